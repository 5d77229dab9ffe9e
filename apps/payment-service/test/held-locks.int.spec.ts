import { setTimeout as delay } from 'node:timers/promises';
import { type Answer, expectProblem } from '@twinbox/test-support';
import { until } from '@twinbox/messaging/testing';
import pg from 'pg';
import { anOrder, type PaymentServiceHarness, startPaymentService } from './payment-service.harness.js';

let service: PaymentServiceHarness;
beforeAll(async () => {
  service = await startPaymentService();
});
afterAll(() => service.stop());

it('P5 P6 a locked payment delays neither reads nor other payments nor order events', async () => {
  const [held, due] = [await service.aRequest(), await service.aRequest()];
  const holder = new pg.Client({ connectionString: service.database.directUrl });
  // If the test fails, dropping its database ends this connection.
  holder.on('error', () => undefined);
  await holder.connect();
  await holder.query('begin');
  await holder.query('select from payments.payment_requests where id = $1 for update', [held.id]);
  const [refused, read]: Answer[][] = [[], []];
  const stopping = new AbortController();
  const ask = async (answers: Answer[] | undefined, one: () => Promise<Answer>) => {
    while (!stopping.signal.aborted) {
      answers?.push(await one());
      // Leaves CPU to the rest of the machine.
      await delay(50);
    }
  };

  const running = Promise.all([
    ...Array.from({ length: 16 }, () =>
      ask(refused, () => service.anOperator().post(`/payment-requests/${held.id}/succeed`)),
    ),
    ...Array.from({ length: 2 }, () => ask(read, () => service.anOperator().get(`/payment-requests/${due.id}`))),
  ]);
  const orders = [anOrder(), anOrder(), anOrder()];
  for (const order of orders) await service.receives('OrderPlaced', order);
  await until('the order events are processed', async () => {
    const rows = await service.database.sql('select from payments.payment_requests where order_id = any($1)', [
      orders.map(({ orderId }) => orderId),
    ]);
    return rows.length === orders.length;
  });
  const paid = await service.aRequest();
  expect(await service.anOperator().post(`/payment-requests/${paid.id}/succeed`)).toMatchObject({ status: 200 });
  await service.database.sql('update payments.payment_requests set expires_at = now() where id = $1', [due.id]);
  await service.untilStatus(due, 'FAILED');
  // More than could have waited for the lock in this time, so most of them failed at once.
  await until('requests for it fail fast', () => (refused?.length ?? 0) >= 100);
  stopping.abort();
  await running;
  await holder.end();

  for (const answer of refused ?? []) expectProblem(answer, 503, 'try-again');
  expect([...new Set(read?.map(({ status }) => status))]).toEqual([200]);
  await until('the payment is decided', async () => {
    const { status } = await service.anOperator().post(`/payment-requests/${held.id}/succeed`);
    return status === 200;
  });
});
