import { type AdminClient, createAdminClient, type CreateOperationInput, type Operation } from '@twinbox/client/admin';
import { createOrdersClient, type OrdersClient } from '@twinbox/client/orders';
import { createPaymentsClient, type PaymentsClient } from '@twinbox/client/payments';
import { ORDER_EVENTS } from '@twinbox/contracts';
import { createTopics } from '@twinbox/messaging';
import { produce, readTopic, type TestDatabase, type TopicReader, until } from '@twinbox/messaging/testing';
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
let orders: ServiceProcess;
let payments: ServiceProcess;
let orderEvents: TopicReader;
let ada: OrdersClient;
/** An operator of payments. */
let cashier: PaymentsClient;
/** An administrator of orders. */
let root: AdminClient;

beforeAll(async () => {
  database = await createServiceDatabase();
  topics = await createServiceTopics();
  orderEvents = await readTopic(topics.brokers, topics.orderEvents);
  await startOrders();
  payments = await startService('payment-service', {
    ...topics.env('payment-service'),
    DATABASE_URL: database.urlFor('payments', 'payments'),
  });
  cashier = createPaymentsClient({ baseUrl: payments.url, devUser: { id: 'ops', roles: ['operator'] } });
});

async function startOrders(): Promise<void> {
  orders = await startService('order-service', {
    ...topics.env('order-service'),
    DATABASE_URL: database.urlFor('orders', 'orders'),
  });
  ada = customerOf('ada');
  root = createAdminClient({ baseUrl: orders.url, devUser: { id: 'root', roles: ['admin'] } });
}

afterAll(async () => {
  await stopServices();
  await orderEvents.close();
  await database.drop();
});

const customerOf = (id: string) => createOrdersClient({ baseUrl: orders.url, devUser: { id } });

/** Places an order and waits for its payment request. */
async function placed() {
  const order = await ada.createOrder({ items: [{ productId: 'tea', quantity: 2 }] });
  const request = await until('the payment is requested', async () => {
    const { items } = await cashier.listPaymentRequests({ orderId: order.id }).page();
    return items[0];
  });
  return { order, request };
}

const orderWith = (orderId: string, status: string) =>
  until(`the order is ${status}`, async () => {
    const order = await ada.getOrder({ orderId });
    return order.status === status && order;
  });

it('an order is placed, its payment requested, and a success completes it', async () => {
  const { order, request } = await placed();
  expect(order).toMatchObject({ status: 'PLACED', total: 900, currency: 'EUR' });
  expect(request).toMatchObject({ status: 'PENDING', amount: 900, currency: 'EUR', customerId: 'ada' });
  expect(await orderWith(order.id, 'PAYMENT_PENDING')).toMatchObject({
    payment: { paymentRequestId: request.id, status: 'PENDING' },
  });

  const settled = await cashier.markPaymentSucceeded({ paymentRequestId: request.id });

  expect(settled).toMatchObject({ status: 'SUCCEEDED', decidedBy: 'ops' });
  expect(await orderWith(order.id, 'COMPLETED')).toMatchObject({
    payment: { status: 'SUCCEEDED' },
    cancelReason: null,
  });
});

it('a failed payment cancels the order, and the customer sees why', async () => {
  const { order, request } = await placed();

  await cashier.markPaymentFailed({ paymentRequestId: request.id, reason: 'card declined' });

  expect(await orderWith(order.id, 'CANCELLED')).toMatchObject({
    cancelReason: 'payment failed: card declined',
    payment: { status: 'FAILED', reason: 'card declined' },
  });
});

it('P1 an order rolled back after its message was written is never published', async () => {
  const bea = customerOf('bea');
  const order = { items: [{ productId: 'mug', quantity: 1 }] };
  await database.sql(`create function orders.refuse() returns trigger language plpgsql as
    $$ begin raise exception 'the commit is refused'; end $$`);
  await database.sql(`create constraint trigger refuse after insert on orders.outbox
    deferrable initially deferred for each row execute function orders.refuse()`);
  await expect(bea.createOrder(order)).rejects.toMatchObject({ status: 500 });
  await database.sql('drop trigger refuse on orders.outbox');

  const later = await bea.createOrder(order);
  await until('the later order is published', () => orderEvents.ofKey(later.id).length > 0);

  const ofBea = orderEvents.records.filter(({ value }) => String(value).includes('"customerId":"bea"'));
  expect(ofBea).toHaveLength(1);
  expect((await bea.getOrders().page()).items).toHaveLength(1);
});

it('P3 the events of an order are on its topic in order, with increasing sequences', async () => {
  const { order, request } = await placed();
  await cashier.markPaymentSucceeded({ paymentRequestId: request.id });
  await orderWith(order.id, 'COMPLETED');

  await until('both events are published', () => orderEvents.ofKey(order.id).length === 2);

  const headers = orderEvents.ofKey(order.id).map((record) => record.headers);
  expect(headers.map(({ ce_type }) => ce_type)).toEqual(['OrderPlaced', 'OrderCompleted']);
  expect(Number(headers[0]!['ce_sequence'])).toBeLessThan(Number(headers[1]!['ce_sequence']));
});

it('both services log the order by its id', async () => {
  const { order } = await placed();

  const mentions = (log: string) => log.split('\n').filter((line) => line.includes(order.id));
  await until('order-service logs the request', () =>
    mentions(orders.log()).some((line) => line.includes('POST /orders')),
  );

  expect(JSON.parse(mentions(orders.log())[0]!)).toMatchObject({
    level: 'info',
    service: 'order-service',
    orderId: order.id,
    requestId: expect.any(String),
    userId: 'ada',
    status: 201,
  });
  for (const [service, messageType] of [
    [payments, 'OrderPlaced'],
    [orders, 'PaymentRequested'],
  ] as const) {
    const line = await until(`${service.name} logs the message`, () =>
      mentions(service.log()).find((text) => text.includes(`"messageType":"${messageType}"`)),
    );
    expect(JSON.parse(line)).toMatchObject({ orderId: order.id, messageId: expect.stringMatching(/^[\da-f-]{36}$/) });
  }
});

it('P4 an OrderPlaced delivered five times to two instances creates one payment request', async () => {
  const { order } = await placed();
  const original = await until('the message is on the topic', () => orderEvents.ofKey(order.id)[0]);
  const second = await startService('payment-service', {
    ...topics.env('payment-service'),
    DATABASE_URL: database.urlFor('payments', 'payments'),
  });
  await until(
    'the second instance is in the group',
    async () => (await customer(second.url).get('/health')).body.status === 'ok',
  );
  const marker = `marker-${order.id}`;
  const copies = [0, 1, 2, 3, 4].map((partition) => ({ ...original, partition }));

  // On different partitions, so that both instances receive copies.
  await produce(topics.brokers, topics.orderEvents, copies);
  await produce(
    topics.brokers,
    topics.orderEvents,
    [0, 1, 2, 3, 4].map((partition) => ({ key: marker, value: null, partition })),
  );
  await until('all messages after the copies are processed', async () => {
    const rows = await database.sql('select from payments.inbox_parked where dead_at is not null and key = $1', [
      Buffer.from(marker),
    ]);
    return rows.length === 5;
  });

  expect(await database.sql('select from payments.payment_requests where order_id = $1', [order.id])).toHaveLength(1);
  await second.stop();
});

it('P8 a service stopped by SIGTERM loses nothing, and its successor continues', async () => {
  const { order, request } = await placed();

  expect(await orders.stop()).toBe(0);
  await cashier.markPaymentSucceeded({ paymentRequestId: request.id });
  await startOrders();

  await orderWith(order.id, 'COMPLETED');
});

describe('a replay', () => {
  const create = (filter: CreateOperationInput['filter'], options = {}) =>
    root.createOperation({ kind: 'replay', filter, options, reason: 'a new report' }) as Promise<Operation>;
  const ended = ({ id }: Operation) =>
    until('the replay has ended', async () => {
      const operation = await root.getOperation({ id });
      return operation.finishedAt !== null && operation;
    });
  const copiesOf = ({ id }: Operation, { records }: TopicReader) =>
    records.filter(({ headers }) => headers['twinbox-replay'] === id);
  const duplicates = async () => {
    const { body } = await customer(payments.url).get('/metrics');
    const lines = String(body).matchAll(/^messaging_inbox_messages_total\{.*outcome="duplicate".*\} (\d+)$/gm);
    return [...lines].reduce((sum, [, count]) => sum + Number(count), 0);
  };

  it('P4 of a completed order is dropped by payment-service, which requested the payment once', async () => {
    const { order, request } = await placed();
    await cashier.markPaymentSucceeded({ paymentRequestId: request.id });
    await orderWith(order.id, 'COMPLETED');
    const before = await duplicates();
    const filter = { aggregateId: order.id, type: 'OrderPlaced' };
    // The relay records some time after the acknowledgement that a message is published.
    await until('the message counts as published', async () => (await create(filter, { dryRun: true })).total === 1);

    const operation = await ended(await create(filter));

    expect(operation).toMatchObject({ state: 'done', total: 1, totalIsExact: true, done: 1 });
    await until('payment-service has dropped the copy', async () => (await duplicates()) === before + 1);
    const [copy, ...others] = copiesOf(operation, orderEvents);
    const [original] = orderEvents.ofKey(order.id);
    expect(others).toEqual([]);
    expect([copy!.value, copy!.headers['ce_id']]).toEqual([original!.value, original!.headers['ce_id']]);
    expect((await cashier.listPaymentRequests({ orderId: order.id }).page()).items).toMatchObject([
      { id: request.id, status: 'SUCCEEDED' },
    ]);
    expect(await ada.getOrder({ orderId: order.id })).toMatchObject({ status: 'COMPLETED' });
  });

  it('P2 goes on after kill -9 where it stopped, to another topic, and is cancelled where it is', async () => {
    const topic = `${topics.orderEvents}-copy`;
    await createTopics({ brokers: topics.brokers, clientId: 'test' }, [
      { ...ORDER_EVENTS, name: topic, partitions: 2 },
    ]);
    const reader = await readTopic(topics.brokers, topic);
    for (let n = 0; n < 10; n++) await ada.createOrder({ items: [{ productId: 'tea', quantity: 1 }] });
    const dryRun = { dryRun: true, topic };
    await until('all are published', async () => {
      const { total } = await root.createOperation({ kind: 'replay', filter: { all: true }, options: dryRun });
      const [row] = await database.sql<{ count: number }>('select count(*)::int from orders.outbox');
      return total === row?.count;
    });
    const slow = { topic, ratePerSecond: 2 };
    const [first, second] = [await create({ all: true }, slow), await create({ all: true }, slow)];
    const doneBy = async ({ id }: Operation) => (await root.getOperation({ id })).done;
    await until('the first has begun', async () => (await doneBy(first)) > 0);

    await root.cancelOperation({ id: first.id, reason: 'too slow' });
    await until('the second has begun', async () => (await doneBy(second)) > 0);
    await orders.kill();
    await database.sql(
      `update orders.messaging_operations set runner_until = '-infinity', options = options - 'ratePerSecond' where id = $1`,
      [second.id],
    );
    await startOrders();
    const finished = await ended(second);

    expect(finished).toMatchObject({ state: 'done', done: second.total });
    const cancelled = await root.getOperation({ id: first.id });
    expect(cancelled).toMatchObject({ state: 'cancelled', cancelledBy: 'root' });
    expect(cancelled.done).toBeLessThan(first.total);
    await reader.caughtUp();
    const ids = copiesOf(second, reader).map(({ headers }) => headers['ce_id']);
    const originals = await database.sql<{ id: string }>('select id from orders.outbox order by position');
    expect(new Set(ids)).toEqual(new Set(originals.map(({ id }) => id)));
    await reader.close();
  });
});
