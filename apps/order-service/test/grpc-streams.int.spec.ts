import { randomUUID } from 'node:crypto';
import { jest } from '@jest/globals';
import { ResponseStream } from '@twinbox/api-kit';
import { TokenIssuer } from '@twinbox/api-kit/testing';
import {
  OrderServiceService as Orders,
  type WatchOrderResponse,
  type WatchOrdersResponse,
} from '@twinbox/contracts/grpc/orders';
import { until } from '@twinbox/messaging/testing';
import {
  createServiceDatabase,
  createServiceTopics,
  GrpcTestClient,
  type GrpcTestStream,
  PASSWORDS,
  startService,
} from '@twinbox/test-support';
import { QUOTAS_FOR_LOAD } from '@twinbox/tools';
import { aCart, type OrderServiceHarness, startOrderService } from './order-service.harness.js';

let service: OrderServiceHarness;
let client: GrpcTestClient;

beforeAll(async () => {
  service = await startOrderService({ ...QUOTAS_FOR_LOAD, GRPC_PORT: '0' });
  client = GrpcTestClient.of(service);
});
afterAll(async () => {
  client.close();
  await service.stop();
});

const aCustomer = () => ({ 'x-user-id': `customer ${randomUUID()}` });

async function anOrder(headers: Record<string, string>): Promise<string> {
  return String((await service.caller(headers).post('/orders', { draft: true })).body.id);
}

const addTea = (headers: Record<string, string>, orderId: string) =>
  service.caller(headers).post(`/orders/${orderId}/items`, { productId: 'tea', quantity: 1 });

/** The steps of a stream, without the responses that only advance the resume point. */
function steps({ messages }: GrpcTestStream<WatchOrderResponse | WatchOrdersResponse>) {
  return messages.flatMap(({ event }) => (event?.step ? [{ orderId: event.orderId, ...event.step }] : []));
}

const lastId = ({ messages }: GrpcTestStream<WatchOrdersResponse>) => messages.at(-1)?.eventId ?? '';

describe('WatchOrder', () => {
  it('sends the newest step and each later one, and resumes after the last without loss', async () => {
    const headers = aCustomer();
    const orderId = await anOrder(headers);
    const stream = client.open(Orders.watchOrder, { orderId }, { headers });
    await until('the newest step is sent', () => steps(stream).length === 1);
    await addTea(headers, orderId);
    await until('the next step is sent', () => steps(stream).length === 2);
    stream.cancel();

    await addTea(headers, orderId);
    const resumed = client.open(Orders.watchOrder, { orderId, resumeAfter: lastId(stream) }, { headers });
    await until('the missed step is sent', () => steps(resumed).length === 1);
    await addTea(headers, orderId);
    await until('the new step is sent', () => steps(resumed).length === 2);
    resumed.cancel();

    const timeline = await client.call(Orders.getTimeline, { orderId, pageSize: 0, pageToken: '' }, { headers });
    expect([...steps(stream), ...steps(resumed)]).toEqual(
      timeline.response?.steps.map((step) => ({ orderId, ...step })),
    );
  });

  it('refuses an event that this service has not sent, and too many streams of a user', async () => {
    const headers = aCustomer();
    const orderId = await anOrder(headers);

    const unknown = client.open(Orders.watchOrder, { orderId, resumeAfter: 'nonsense' }, { headers });
    const opened = Array.from({ length: 20 }, () => client.open(Orders.watchOrder, { orderId }, { headers }));
    await until('all streams are open', () => opened.every((stream) => steps(stream).length === 1));
    const excess = client.open(Orders.watchOrder, { orderId }, { headers });

    const ends = await until('both are refused', () => unknown.end && excess.end && [unknown.end, excess.end]);
    for (const stream of opened) stream.cancel();
    expect(ends).toMatchObject([
      { status: 'INVALID_ARGUMENT', reason: 'event-unknown' },
      { status: 'RESOURCE_EXHAUSTED', reason: 'too-many-streams', facts: { most: '20' } },
    ]);
  });
});

describe('WatchOrders', () => {
  it('P10 sends customers the changes of their own orders, and operators all', async () => {
    const [ada, grace] = [aCustomer(), aCustomer()];
    const own = client.open(Orders.watchOrders, {}, { headers: ada });
    const all = client.open(Orders.watchOrders, {}, { headers: { 'x-user-id': 'olga', 'x-roles': 'operator' } });
    await until('both streams have begun', () => own.messages.length > 0 && all.messages.length > 0);

    const others = await anOrder(grace);
    const orderId = await anOrder(ada);

    await until('the operator has both', () => steps(all).length >= 2);
    await until('the customer has one', () => steps(own).length > 0);
    expect(steps(all).map((step) => step.orderId)).toEqual(expect.arrayContaining([others, orderId]));
    expect(steps(own).map((step) => step.orderId)).toEqual([orderId]);
    for (const stream of [own, all]) stream.cancel();
  });

  it('P7 keeps little in memory for a client that does not read, and loses nothing for it', async () => {
    const headers = aCustomer();
    const orderId = await anOrder(headers);
    const stream = client.open(Orders.watchOrders, {}, { headers });
    await until('the stream has begun', () => stream.messages.length > 0);
    stream.call.pause();
    const sent = jest.spyOn(ResponseStream.prototype, 'send');
    // Far more than the windows of HTTP/2 and the buffers of both ends hold.
    const count = 12_000;
    await addSteps(orderId, count);
    await addTea(headers, orderId);

    await until('the feed has read all steps', async () => {
      const probe = client.open(Orders.watchOrder, { orderId }, { headers });
      await until('the newest step is sent', () => steps(probe).length > 0);
      probe.cancel();
      return steps(probe).some(({ version }) => version > 1);
    });
    const bytes = sent.mock.calls.map(([message]) => JSON.stringify(message).length);
    sent.mockRestore();
    stream.call.resume();
    await until('all steps have arrived', () => steps(stream).length >= count + 1);
    stream.cancel();

    // Nothing else is kept of the stream but at most 1,000 steps of the feed, which all subscribers share.
    expect(bytes.reduce((sum, each) => sum + each, 0)).toBeLessThan(1_000_000);
    const positions = steps(stream).map(({ position }) => position);
    expect(new Set(positions).size).toBe(count + 1);
  });

  /** Writes steps of half a kilobyte to the timeline of an order. */
  async function addSteps(orderId: string, count: number): Promise<void> {
    await service.database.sql(
      `insert into orders.order_timeline (order_id, customer_id, type, status, version, at, actor, cause, detail)
       select order_id, customer_id, type, status, version, at, actor, cause, jsonb_build_object('note', repeat('x', 500))
         from orders.order_timeline, generate_series(1, $2::int) where order_id = $1 limit $2`,
      [orderId, count],
    );
  }
});

describe('a stream', () => {
  it('P10 ends with UNAUTHENTICATED when the token expires, and when its key is withdrawn', async () => {
    const issuer = await TokenIssuer.start();
    const secured = await startOrderService({
      ...issuer.env,
      GRPC_PORT: '0',
      JWT_CLOCK_TOLERANCE: '0ms',
      JWKS_REFRESH: '1s',
    });
    const own = GrpcTestClient.of(secured);
    const bearer = async (fields: object) => ({ authorization: `Bearer ${await issuer.token(fields)}` });
    const long = own.open(Orders.watchOrders, {}, { headers: await bearer({}) });
    await until('the stream has begun', () => long.messages.length > 0);

    const short = own.open(Orders.watchOrders, {}, { headers: await bearer({ expiresIn: 2 }) });
    const expired = await until('the token expires', () => short.end);
    await issuer.rotate({ overlap: false });
    const withdrawn = await until('the key is withdrawn', () => long.end);
    own.close();
    await secured.stop();
    await issuer.stop();

    expect(short.messages.length).toBeGreaterThan(0);
    for (const end of [expired, withdrawn])
      expect(end).toMatchObject({ status: 'UNAUTHENTICATED', reason: 'caller-unknown' });
  });

  it('P8 ends with UNAVAILABLE on SIGTERM, and each of fifty resumes at the next process without loss', async () => {
    const [database, topics] = await Promise.all([createServiceDatabase(), createServiceTopics()]);
    const env = {
      ...topics.env('order-service'),
      ...QUOTAS_FOR_LOAD,
      DATABASE_URL: database.urlFor('orders', PASSWORDS.orders),
    };
    const first = await startService('order-service', env);
    const headersOf = (n: number) => ({ 'x-user-id': `customer ${n % 5}` });
    const orderIds: string[] = [];
    const post = async (url: string, n: number, path: string, body: object) => {
      const response = await fetch(`${url}${path}`, {
        method: 'POST',
        headers: { ...headersOf(n), 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      return (await response.json()) as { id: string };
    };
    for (let n = 0; n < 5; n++) orderIds.push((await post(first.url, n, '/orders', aCart({ draft: true }))).id);
    const before = new GrpcTestClient(addressIn(first.log()));
    const streams = Array.from({ length: 50 }, (_, n) =>
      before.open(Orders.watchOrder, { orderId: orderIds[n % 5] ?? '' }, { headers: headersOf(n) }),
    );
    await until('all streams have begun', () => streams.every((stream) => steps(stream).length > 0));

    const stopped = first.stop();
    await until('all streams have ended', () => streams.every(({ end }) => end !== undefined));
    // A process that is not stopped within 9 s exits with 1.
    await stopped;
    expect(first.log()).toContain('"msg":"Stopped."');
    before.close();

    const second = await startService('order-service', env);
    for (let n = 0; n < 5; n++)
      await post(second.url, n, `/orders/${orderIds[n]}/items`, { productId: 'tea', quantity: 1 });
    const after = new GrpcTestClient(addressIn(second.log()));
    const resumed = streams.map((stream, n) =>
      after.open(
        Orders.watchOrder,
        { orderId: orderIds[n % 5] ?? '', resumeAfter: lastId(stream) },
        { headers: headersOf(n) },
      ),
    );
    await until('all missed steps have arrived', () => resumed.every((stream) => steps(stream).length > 0));
    for (const stream of resumed) stream.cancel();
    after.close();
    await second.stop();
    await database.drop();

    for (const { end } of streams) expect(end).toMatchObject({ status: 'UNAVAILABLE', reason: 'service-stopping' });
    for (const [n, stream] of streams.entries()) {
      const positions = [...steps(stream), ...steps(resumed[n]!)].map(({ position }) => position);
      expect(positions).toHaveLength(2);
      expect(positions[1]).toBeGreaterThan(positions[0] ?? Infinity);
    }
  });
});

function addressIn(log: string): string {
  const [, address] = /gRPC on ([\d.]+:\d+)/.exec(log) ?? [];
  if (address === undefined) throw new Error('the log does not name the gRPC address');
  return address;
}
