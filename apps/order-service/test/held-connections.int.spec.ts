import { MESSAGING_DATA_SOURCE } from '@twinbox/api-kit';
import { until } from '@twinbox/messaging/testing';
import { expectProblem } from '@twinbox/test-support';
import { DataSource } from 'typeorm';
import { type OrderServiceHarness, startOrderService } from './order-service.harness.js';

/** The size of each pool, unless a service configures another. */
const POOL_SIZE = 10;

let service: OrderServiceHarness;
beforeAll(async () => {
  service = await startOrderService();
});
afterAll(() => service.stop());

/** Holds every connection of a pool with a transaction that does nothing, until the returned function is called. */
async function holdAll(token: Parameters<OrderServiceHarness['app']['get']>[0]): Promise<() => Promise<void>> {
  const dataSource = service.app.get<DataSource>(token, { strict: false });
  const runners = Array.from({ length: POOL_SIZE }, () => dataSource.createQueryRunner());
  await Promise.all(runners.map((runner) => runner.startTransaction()));
  return async () => {
    // The server has ended those that were idle for too long.
    await Promise.all(runners.map((runner) => runner.rollbackTransaction().catch(() => undefined)));
    await Promise.all(runners.map((runner) => runner.release().catch(() => undefined)));
  };
}

async function places(): Promise<string> {
  const { status, body } = await service.aCustomer().post('/orders', { items: [{ productId: 'tea', quantity: 1 }] });
  expect(status).toBe(201);
  return body.id;
}

const isPending = (orderId: string) =>
  until('the payment event is handled', async () => {
    const { order } = await service.stored(orderId);
    return order?.['status'] === 'PAYMENT_PENDING';
  });

const failedMessages = () => service.database.sql('select attempts from orders.inbox_parked');

it('P8 while every connection for requests is held, requests get a 503, health reports it, and messages are handled', async () => {
  const orderId = await places();
  const release = await holdAll(DataSource);

  const refused = await service.aCustomer().post('/orders', { items: [{ productId: 'tea', quantity: 1 }] });
  await until('health reports it', async () => (await service.aCustomer().get('/health/ready')).status === 503);
  await service.publishesPaymentRequested([orderId]);
  await isPending(orderId);
  await release();

  expectProblem(refused, 503, 'database-unavailable');
  await places();
  await until('health is restored', async () => (await service.aCustomer().get('/health/ready')).status === 200);
});

it('P5 P8 while every connection for messages is held, requests are served, health reports it, and messages wait without an attempt', async () => {
  const orderId = await places();
  const release = await holdAll(MESSAGING_DATA_SOURCE);

  await service.publishesPaymentRequested([orderId]);
  await until('messaging is reported as down', async () => {
    const { status } = await service.aCustomer().get('/health/messaging');
    return status === 503;
  });
  await places();
  // Nobody releases them: the server ends transactions that are idle for too long.
  await isPending(orderId);
  await until('messaging is healthy again', async () => {
    const { status } = await service.aCustomer().get('/health/messaging');
    return status === 200;
  });
  await release();

  expect(await failedMessages()).toEqual([]);
}, 60_000);
