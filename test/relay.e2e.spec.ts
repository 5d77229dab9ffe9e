import { createOrdersClient } from '@twinbox/client/orders';
import { createPaymentsClient } from '@twinbox/client/payments';
import { type TestDatabase, until } from '@twinbox/messaging/testing';
import { SCHEMA_OF } from '@twinbox/migrations/services';
import {
  createServiceDatabase,
  createServiceTopics,
  customer,
  type ServiceName,
  type ServiceTopics,
  startRelay,
  startService,
  stopServices,
} from '@twinbox/test-support';

let database: TestDatabase;
let topics: ServiceTopics;

const env = (name: ServiceName) => {
  const role = SCHEMA_OF[name];
  return { ...topics.env(name), DATABASE_URL: database.urlFor(role, role), RELAY: 'off' };
};

beforeEach(async () => {
  database = await createServiceDatabase();
  topics = await createServiceTopics();
});

afterEach(async () => {
  await stopServices();
  await database.drop();
});

it('P2 separate relay processes, one leading and one standing by, publish what services with RELAY=off commit', async () => {
  const orders = await startService('order-service', env('order-service'));
  const payments = await startService('payment-service', env('payment-service'));
  const ada = createOrdersClient({ baseUrl: orders.url, devUser: { id: 'ada' } });
  const cashier = createPaymentsClient({ baseUrl: payments.url, devUser: { id: 'ops', roles: ['operator'] } });
  const order = await ada.createOrder({ items: [{ productId: 'tea', quantity: 1 }] });
  await startRelay('payment-service', env('payment-service'));
  const first = await startRelay('order-service', env('order-service'));
  const second = await startRelay('order-service', env('order-service'));
  const requestOf = async (orderId: string) => (await cashier.listPaymentRequests({ orderId }).page()).items[0];
  await until('the payment is requested', () => requestOf(order.id));
  const roleOf = async ({ url }: { url: string }) => {
    const { body } = await customer(url).get('/health/messaging');
    return body.details.messaging.components.relay.role as string;
  };
  await until('the service leaves publishing to other processes', async () => (await roleOf(orders)) === 'elsewhere');
  // A relay counts as ready once it listens, and connects to its database later.
  const roles = await until('one relay leads and one stands by', async () => {
    const all = new Map([
      [first, await roleOf(first)],
      [second, await roleOf(second)],
    ]);
    return [...all.values()].toSorted().join() === 'leader,standby' ? all : undefined;
  });
  const leader = [...roles].find(([, role]) => role === 'leader')![0];
  const metrics = await (await fetch(`${leader.url}/metrics`)).text();
  expect(metrics).toMatch(/^messaging_relay_leader 1$/m);
  expect(metrics).toMatch(new RegExp(`^messaging_outbox_published_total\\{topic="${topics.orderEvents}"\\} 1$`, 'm'));

  expect(await leader.stop()).toBe(0);
  const next = await ada.createOrder({ items: [{ productId: 'tea', quantity: 1 }] });

  await until('the standby publishes', () => requestOf(next.id));
});
