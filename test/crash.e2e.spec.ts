import { createOrdersClient } from '@twinbox/client/orders';
import { createPaymentsClient } from '@twinbox/client/payments';
import { readTopic, type TestDatabase, type TopicReader, until } from '@twinbox/messaging/testing';
import {
  createServiceDatabase,
  createServiceTopics,
  customer,
  type ServiceProcess,
  type ServiceTopics,
  startService,
  stopServices,
} from '@twinbox/test-support';

let database: TestDatabase;
let topics: ServiceTopics;
let orderEvents: TopicReader;

const startOrders = () =>
  startService('order-service', { ...topics.env('order-service'), DATABASE_URL: database.urlFor('orders', 'orders') });
const startPayments = () =>
  startService('payment-service', {
    ...topics.env('payment-service'),
    DATABASE_URL: database.urlFor('payments', 'payments'),
  });

beforeEach(async () => {
  database = await createServiceDatabase();
  topics = await createServiceTopics();
  orderEvents = await readTopic(topics.brokers, topics.orderEvents);
});

afterEach(async () => {
  await stopServices();
  await orderEvents.close();
  await database.drop();
});

const customerOf = ({ url }: ServiceProcess, id = 'ada') => createOrdersClient({ baseUrl: url, devUser: { id } });

const SESSIONS = `
  select from pg_stat_activity where datname = current_database() and application_name like 'order-service%'`;

const unpublished = () =>
  database.sql(`select from orders.outbox, orders.relay_lease as lease
                 where outbox.position > lease.position or outbox.position <@ lease.gaps`);

it('P2 a relay killed between publishing and recording loses nothing, and P4 its duplicates have no effect', async () => {
  const first = await startOrders();
  // Discards the progress that the relay records, as if it had been killed before recording it.
  await database.sql(`create function orders.forget() returns trigger language plpgsql as
    $$ begin new.position := old.position; new.gaps := old.gaps; return new; end $$`);
  await database.sql(`create trigger forget before update on orders.relay_lease
    for each row execute function orders.forget()`);
  await database.sql('grant execute on function orders.forget() to orders');

  const order = await customerOf(first).createOrder({ items: [{ productId: 'tea', quantity: 1 }] });
  await until('the message is published', () => orderEvents.ofKey(order.id).length === 1);
  await first.kill();
  // Statements that it sent still run, and a late update would be kept.
  await until('its sessions have ended', async () => (await database.sql(SESSIONS)).length === 0);
  await database.sql('drop trigger forget on orders.relay_lease');
  expect(await unpublished()).toHaveLength(1);

  await startOrders();
  const payments = await startPayments();
  await until('its successor has published and recorded the message', async () => (await unpublished()).length === 0);
  await until('the message is on the topic again', () => orderEvents.ofKey(order.id).length === 2);

  const cashier = createPaymentsClient({ baseUrl: payments.url, devUser: { id: 'ops', roles: ['operator'] } });
  const requests = await until('the payment is requested', async () => {
    const { items } = await cashier.listPaymentRequests({ orderId: order.id }).page();
    return items.length > 0 && items;
  });
  expect(requests).toHaveLength(1);
  const ids = orderEvents.ofKey(order.id).map(({ headers }) => headers['ce_id']);
  expect(ids[0]).toBe(ids[1]);
});

it('P2 a consumer killed while processing leaves no order without its payment request', async () => {
  const orders = await startOrders();
  const victim = await startPayments();
  const placing = Promise.all(
    Array.from({ length: 60 }, async (_, n) => {
      // A busy machine may not answer in time.
      const patience = { attempts: 60, totalMs: 60_000 };
      const cart = { items: [{ productId: 'mug', quantity: 1 }] };
      return (await customerOf(orders, `customer-${n}`).createOrder(cart, patience)).id;
    }),
  );
  const requested = () => database.sql<{ order_id: string }>('select order_id from payments.payment_requests');
  await until('some payments are requested', async () => (await requested()).length > 5);

  await victim.kill();
  await startPayments();
  const ids = await placing;

  await until('all payments are requested', async () => (await requested()).length === 60, 60_000);
  expect((await requested()).map(({ order_id }) => order_id).toSorted()).toEqual(ids.toSorted());
});

it('P3 a standby publishes after the leader was killed', async () => {
  const leader = await startOrders();
  const isLeader = async (url: string) =>
    JSON.stringify((await customer(url).get('/health')).body).includes('"leader"');
  await until('the first service leads', () => isLeader(leader.url));
  const standby = await startOrders();
  await leader.kill();

  const order = await customerOf(standby).createOrder({ items: [{ productId: 'tea', quantity: 1 }] });

  await until('the message is published', () => orderEvents.ofKey(order.id).length === 1);
  expect(await isLeader(standby.url)).toBe(true);
});
