import { type TestDatabase, until } from '@twinbox/messaging/testing';
import {
  createServiceDatabase,
  createServiceTopics,
  createWallClock,
  customer,
  EventClient,
  operator,
  type ServiceProcess,
  startService,
  stopServices,
  type WallClock,
  whyNoWallClock,
} from '@twinbox/test-support';

const HOUR = 3600;
/** What it is set to, in seconds ahead of the real time: forward, back and forward again, each time by more than a payment may take. */
const JUMPS = [5 * HOUR, -24 * HOUR, 3 * HOUR];

let clock: WallClock;
let database: TestDatabase;
let orders: ServiceProcess;
let payments: ServiceProcess;
let feed: EventClient;

/** Sets the clock and waits until the relays of both services have compared it with the database's. */
async function jump(aheadSeconds: number): Promise<void> {
  await clock.set(aheadSeconds);
  for (const { name, url } of [orders, payments])
    await until(`${name} sees the clock ${aheadSeconds} s ahead`, async () => {
      const { body } = await operator(url).get('/health/messaging');
      const { clockAheadMs = 0 } = { ...body.details.messaging.components.relay };
      return Math.abs(clockAheadMs / 1000 + aheadSeconds) < HOUR / 2;
    });
}

async function place(): Promise<string> {
  const { status, body } = await customer(orders.url).post('/orders', { items: [{ productId: 'tea', quantity: 1 }] });
  expect(status).toBe(201);
  return body.id;
}

/** Returns the id of the order's payment request, once order-service knows it. */
const requested = (orderId: string) =>
  until('the payment is requested', async (): Promise<string | undefined> => {
    const { body } = await customer(orders.url).get(`/orders/${orderId}`);
    return body.status === 'PAYMENT_PENDING' && body.payment.paymentRequestId;
  });

async function pay(orderId: string): Promise<void> {
  const answer = await operator(payments.url).post(`/payment-requests/${await requested(orderId)}/succeed`);
  expect(answer).toMatchObject({ status: 200, body: { status: 'SUCCEEDED' } });
}

const healthy = ({ name, url }: ServiceProcess) =>
  until(`${name} is healthy`, async () => (await operator(url).get('/health')).body.status === 'ok');

/** Makes the order's payment due by the clock of the database. */
async function expire(orderId: string): Promise<void> {
  await database.sql('update payments.payment_requests set expires_at = now() where id = $1', [
    await requested(orderId),
  ]);
}

const shown = (orderId: string, type: string) =>
  until(`the feed shows ${type}`, () => feed.events.some(({ data }) => data.orderId === orderId && data.type === type));

/** Returns the ids on all pages of the customer's list. Calls `between` after the first page. */
async function listed(between: () => Promise<unknown>): Promise<string[]> {
  const ids: string[] = [];
  let query = '';
  do {
    const { body } = await customer(orders.url).get(`/orders?limit=2${query}`);
    ids.push(...body.items.map(({ id }: { id: string }) => id));
    if (query === '') await between();
    query = body.nextCursor && `&cursor=${body.nextCursor}`;
  } while (query);
  return ids;
}

const whyNot = whyNoWallClock();
/** A skipped block has the reason as its title. */
const withWallClock = whyNot === undefined ? describe : describe.skip;

withWallClock(whyNot ?? 'while the clock of the machine jumps', () => {
  beforeAll(async () => {
    [clock, database] = await Promise.all([createWallClock(), createServiceDatabase()]);
    const topics = await createServiceTopics();
    const start = (name: ServiceProcess['name'], schema: string) =>
      startService(name, { ...clock.env, ...topics.env(name), DATABASE_URL: database.urlFor(schema, schema) });
    [orders, payments] = await Promise.all([start('order-service', 'orders'), start('payment-service', 'payments')]);
    feed = await EventClient.open(`${orders.url}/orders/events`, { 'x-user-id': 'ada' });
  });

  afterAll(async () => {
    // libfaketime removes its shared memory only when a process exits by itself.
    await Promise.all([orders, payments].map((service) => service.stop()));
    await stopServices();
    await database.drop();
    await clock.remove();
  });

  it('P2 P8 every order is completed, listed and shown live, and payments expire by the clock of the database', async () => {
    const waiting = [await place()];
    const others: string[] = [];
    await requested(waiting[0]!);
    for (const service of [orders, payments]) await healthy(service);
    const logged = [orders, payments].map((service) => service.log().length);

    for (const aheadSeconds of JUMPS) {
      await jump(aheadSeconds);
      const [paid, due, pending] = [await place(), await place(), await place()];
      await pay(paid);
      await expire(due);
      await requested(pending);
      await Promise.all([shown(paid, 'OrderCompleted'), shown(due, 'OrderCancelled')]);
      others.push(paid, due);
      waiting.push(pending);
    }
    const ids = await listed(() => jump(0));
    await Promise.all(waiting.map(pay));
    await Promise.all(waiting.map((id) => shown(id, 'OrderCompleted')));

    expect(ids).toEqual([...waiting, ...others].toSorted().toReversed());
    for (const [index, service] of [orders, payments].entries()) {
      await healthy(service);
      // A consumer that lost its partitions would say so.
      expect(service.log().slice(logged[index])).not.toContain('Rejoining');
    }
    for (const table of [
      'orders.outbox_parked',
      'orders.inbox_parked',
      'payments.outbox_parked',
      'payments.inbox_parked',
    ])
      expect(await database.sql(`select from ${table}`)).toEqual([]);
  });
});
