import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createOrdersClient, type OrdersClient } from '@twinbox/client/orders';
import { createPaymentsClient, type PaymentsClient } from '@twinbox/client/payments';
import { type TestDatabase, until } from '@twinbox/messaging/testing';
import {
  createServiceDatabase,
  createServiceTopics,
  customer,
  type ServiceProcess,
  type ServiceTopics,
  startService,
  stopServices,
} from '@twinbox/test-support';
import { type KafkaServer, type PostgresServer, startKafka, startPostgres } from '@twinbox/tools';

// These tests break the servers, so they have their own.
let postgres: PostgresServer;
let kafka: KafkaServer;
let database: TestDatabase;
let topics: ServiceTopics;
let orders: ServiceProcess;
let ada: OrdersClient;
let cashier: PaymentsClient;

beforeAll(async () => {
  [postgres, kafka] = await Promise.all([startPostgres({}), startKafka({ shortLived: true })]);
  database = await createServiceDatabase(postgres.url);
  topics = await createServiceTopics(kafka.brokers.split(','));
  const ordersUrl = database.urlFor('orders', 'orders');
  const paymentsUrl = database.urlFor('payments', 'payments');
  orders = await startService('order-service', { ...topics.env('order-service'), DATABASE_URL: ordersUrl });
  const paymentsEnv = { ...topics.env('payment-service'), DATABASE_URL: paymentsUrl };
  const payments = await startService('payment-service', paymentsEnv);
  ada = customerOf(orders);
  cashier = createPaymentsClient({ baseUrl: payments.url, devUser: { id: 'ops', roles: ['operator'] } });
});

afterAll(async () => {
  await stopServices();
  await database.drop();
  await Promise.all([postgres.remove(), kafka.remove()]);
});

const customerOf = ({ url }: ServiceProcess) => createOrdersClient({ baseUrl: url, devUser: { id: 'ada' } });

/** Places an order, with a single attempt. */
const placeAt = (client: OrdersClient) =>
  client.createOrder({ items: [{ productId: 'tea', quantity: 1 }] }, { attempts: 1 });

async function place(): Promise<string> {
  const { id, status } = await placeAt(ada);
  expect(status).toBe('PLACED');
  return id;
}

async function hasStatus(orderId: string, status: string): Promise<void> {
  await until(`the order is ${status}`, async () => (await ada.getOrder({ orderId })).status === status, 60_000);
}

const health = async (url: string, path: string) => (await customer(url).get(`/health/${path}`)).status;

it('P8 while Kafka is down, orders are accepted and messaging reports it; when Kafka is back, everything is published', async () => {
  await hasStatus(await place(), 'PAYMENT_PENDING');

  await kafka.stop();
  const ids = [await place(), await place(), await place()];
  expect(await health(orders.url, 'ready')).toBe(200);
  await until('messaging is reported as down', async () => (await health(orders.url, 'messaging')) === 503);
  expect((await customer(orders.url).get('/health/ready')).body).toEqual({ status: 'degraded' });
  await kafka.start();

  for (const id of ids) await hasStatus(id, 'PAYMENT_PENDING');
  await until('messaging is healthy again', async () => (await health(orders.url, 'messaging')) === 200, 60_000);
});

it('P8 both services recover by themselves after a restart of PostgreSQL', async () => {
  const id = await place();
  await hasStatus(id, 'PAYMENT_PENDING');
  const [request] = (await cashier.listPaymentRequests({ orderId: id }).page()).items;

  await postgres.stop();
  await expect(placeAt(ada)).rejects.toMatchObject({ status: 503, code: 'database-unavailable' });
  expect(await health(orders.url, 'live')).toBe(200);
  expect(await health(orders.url, 'ready')).toBe(503);
  await postgres.start();

  const decided = await until('the operator succeeds', async () => {
    const outcome = await cashier.markPaymentSucceeded({ paymentRequestId: request!.id }).outcome();
    return outcome.ok && outcome.data;
  });
  expect(decided).toMatchObject({ status: 'SUCCEEDED' });
  await hasStatus(id, 'COMPLETED');
  await hasStatus(await place(), 'PAYMENT_PENDING');
});

it('P8 an accepted order survives a crash of PostgreSQL and continues', async () => {
  const id = await place();

  await postgres.kill();
  await postgres.start();

  await hasStatus(id, 'PAYMENT_PENDING');
});

it('P8 a Kafka that accepts connections and never answers blocks neither orders nor SIGTERM', async () => {
  const connections = new Set<Socket>();
  const silent = createServer((socket) => connections.add(socket)).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const service = await startService('order-service', {
    ...topics.env('order-service'),
    KAFKA_BROKERS: `127.0.0.1:${port}`,
    DATABASE_URL: database.urlFor('orders', 'orders'),
  });

  expect(await placeAt(customerOf(service))).toMatchObject({ status: 'PLACED' });
  await until('messaging is reported as down', async () => (await health(service.url, 'messaging')) === 503);

  expect(await service.stop()).toBe(0);
  for (const socket of connections) socket.destroy();
  silent.close();
});

it('P8 a service may start before its servers', async () => {
  await Promise.all([postgres.stop(), kafka.stop()]);
  const early = await startService('order-service', {
    ...topics.env('order-service'),
    DATABASE_URL: database.urlFor('orders', 'orders'),
  });
  expect(await health(early.url, 'live')).toBe(200);
  expect(await health(early.url, 'ready')).toBe(503);

  await Promise.all([postgres.start(), kafka.start()]);

  await until('the service is ready', async () => (await health(early.url, 'ready')) === 200);
  await until('messaging is healthy', async () => (await health(early.url, 'messaging')) === 200, 60_000);
  expect(await early.stop()).toBe(0);
});
