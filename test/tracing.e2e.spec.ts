import { OrderServiceService } from '@twinbox/contracts/grpc/orders';
import { readTopic, type TestDatabase, type TopicReader, until } from '@twinbox/messaging/testing';
import {
  createServiceDatabase,
  createServiceTopics,
  GrpcTestClient,
  type OtlpReceiver,
  type ReceivedSpan,
  type ServiceProcess,
  type ServiceTopics,
  startOtlpReceiver,
  startService,
  stopServices,
} from '@twinbox/test-support';

let database: TestDatabase;
let topics: ServiceTopics;
let orderEvents: TopicReader;
let collector: OtlpReceiver;
let orders: ServiceProcess;
let payments: ServiceProcess;

const ordersEnv = () => ({ ...topics.env('order-service'), DATABASE_URL: database.urlFor('orders', 'orders') });

beforeAll(async () => {
  database = await createServiceDatabase();
  topics = await createServiceTopics();
  orderEvents = await readTopic(topics.brokers, topics.orderEvents);
  collector = await startOtlpReceiver();
  orders = await startService('order-service', { ...ordersEnv(), ...collector.env });
  payments = await startService('payment-service', {
    ...topics.env('payment-service'),
    DATABASE_URL: database.urlFor('payments', 'payments'),
    PAYMENT_GATEWAY: 'simulated',
    OTEL_NODE_ENABLED_INSTRUMENTATIONS: 'fastify,pg',
    ...collector.env,
  });
});

afterAll(async () => {
  await stopServices();
  await collector.close();
  await orderEvents.close();
  await database.drop();
});

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER = 'b7ad6b7169203331';

/** Places an order. */
async function place(headers: Record<string, string> = {}, url = orders.url): Promise<string> {
  const response = await fetch(`${url}/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-user-id': 'ada', ...headers },
    body: JSON.stringify({ items: [{ productId: 'tea', quantity: 1 }] }),
  });
  expect(response.status).toBe(201);
  return ((await response.json()) as { id: string }).id;
}

/** Names a span and those above it, with what the names of the topics have in common. */
function pathOf(span: ReceivedSpan | undefined, spans: readonly ReceivedSpan[]): string[] {
  if (!span) return [];
  const parent = spans.find(({ spanId }) => spanId === span.parentSpanId);
  return [...pathOf(parent, spans), `${span.service}: ${span.name.replace(/(events)-\w+$/, '$1')}`];
}

const SAGA = [
  'order-service: create order.events',
  'payment-service: process order.events',
  'payment-service: create charge',
  'payment-service: process charge',
  'payment-service: create payment.events',
  'order-service: process payment.events',
  'order-service: create order.events',
  'order-service: process order.events',
  'order-service: create notification',
  'order-service: process notification',
];

/** Waits until the customer of a trace was notified, and returns its spans and the names on the way there from the edge. */
const notified = (traceId: string) =>
  until('the customer was notified', () => {
    const spans = collector.spans.filter((span) => span.traceId === traceId);
    const last = spans.find(({ name }) => name === 'process notification');
    const path = pathOf(last, spans);
    // The services send their spans at different times.
    return path.length > SAGA.length && { spans, path };
  });

it('P9 one trace covers the request, both services, the gateway, the way back and the notification', async () => {
  const orderId = await place({ traceparent: `00-${TRACE}-${CALLER}-01`, tracestate: 'vendor=a' });

  const { spans, path } = await notified(TRACE);
  expect(path).toEqual(['order-service: POST /orders', ...SAGA]);
  expect(spans.find(({ kind }) => kind === 2)).toMatchObject({
    parentSpanId: CALLER,
    attributes: { 'http.request.method': 'POST', 'http.route': '/orders', 'http.response.status_code': 201 },
  });
  const [placed] = orderEvents.ofKey(orderId);
  expect(placed?.headers).toMatchObject({ tracestate: 'vendor=a' });
  const created = spans.find(({ spanId }) => placed?.headers['traceparent'] === `00-${TRACE}-${spanId}-01`);
  expect(created).toMatchObject({ kind: 4, attributes: { 'messaging.kafka.message.key': orderId } });
  // Perhaps with others, and then in a trace of its own.
  const sends = collector.spans.filter(({ name }) => name === `send ${topics.orderEvents}`);
  expect(sends.find(({ links }) => links.includes(created?.spanId ?? ''))).toMatchObject({ kind: 3 });
  expect(spans.find(({ parentSpanId, kind }) => parentSpanId === created?.spanId && kind === 5)).toMatchObject({
    service: 'payment-service',
    attributes: {
      'messaging.system': 'kafka',
      'messaging.operation.name': 'process',
      'messaging.destination.name': topics.orderEvents,
      'messaging.consumer.group.name': topics.env('payment-service')['CONSUMER_GROUP'],
      'messaging.kafka.offset': expect.any(Number),
    },
  });
});

it('P9 SQL statements have spans only where they are asked for, without the values of their parameters', () => {
  const statements = collector.spans.filter(({ attributes }) => 'db.query.text' in attributes);

  expect(new Set(statements.map(({ service, traceId }) => `${service} ${traceId}`))).toEqual(
    new Set([`payment-service ${TRACE}`]),
  );
  // The name of the customer.
  expect(JSON.stringify(statements)).not.toContain('ada"');
});

it('P9 the log lines of both services have the id of the trace', () => {
  const lines = (service: ServiceProcess) =>
    service
      .log()
      .split('\n')
      .filter((line) => line.includes(`"trace_id":"${TRACE}"`));

  expect(lines(orders).some((line) => line.includes('POST /orders 201'))).toBe(true);
  expect(lines(payments).length).toBeGreaterThan(0);
});

it('P9 one trace covers an order that is placed by gRPC', async () => {
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  const client = new GrpcTestClient(/gRPC on (127\.0\.0\.1:\d+)/.exec(orders.log())?.[1] ?? '');
  const headers = { 'x-user-id': 'ada', traceparent: `00-${traceId}-${CALLER}-01` };

  const answer = await client.call(
    OrderServiceService.createOrder,
    { items: [{ productId: 'tea', quantity: 1 }] } as never,
    { headers },
  );

  client.close();
  expect(answer.status).toBe('OK');
  const { path } = await notified(traceId);
  const [edge, ...others] = path;
  expect(edge).toBe('order-service: twinbox.orders.v1.OrderService/CreateOrder');
  expect(others).toEqual(SAGA);
});

it('P9 the trace of a caller that is not sampled stays so, and streams, probes and scrapes have no span', async () => {
  const traceId = '11111111111111111111111111111111';
  const known = collector.spans.length;
  const abort = new AbortController();
  const orderId = await place({ traceparent: `00-${traceId}-${CALLER}-00` });
  await fetch(`${orders.url}/orders/${orderId}/events`, { headers: { 'x-user-id': 'ada' }, signal: abort.signal });
  // A span of the stream would be sent when it ends.
  abort.abort();
  await until('the stream has ended', () => orders.log().includes(`/orders/${orderId}/events aborted`));
  await fetch(`${orders.url}/health/ready`);
  await until('its event is on the topic', () => orderEvents.ofKey(orderId).length >= 2);
  await fetch(`${orders.url}/orders/${orderId}`, { headers: { 'x-user-id': 'ada' } });
  await until('a later request is received', () => collector.spans.slice(known).some(({ kind }) => kind === 2));

  expect(orderEvents.ofKey(orderId)[0]?.headers['traceparent']).toMatch(new RegExp(`^00-${traceId}-\\w+-00$`));
  expect(collector.spans.filter((span) => span.traceId === traceId)).toEqual([]);
  expect(orders.log()).not.toContain(`"trace_id":"${traceId}"`);
  const served = collector.spans.slice(known).filter(({ kind }) => kind === 2);
  expect(served.map(({ name }) => name)).toEqual(['GET /orders/:orderId']);
});

it('P10 a rejected request is no error in its trace, which has nothing of its query and its body', async () => {
  const traceId = '22222222222222222222222222222222';
  const headers = {
    'content-type': 'application/json',
    'x-user-id': 'ada',
    traceparent: `00-${traceId}-${CALLER}-01`,
  };

  const rejected = await fetch(`${orders.url}/orders?token=hush`, { method: 'POST', headers, body: '{"card": hush}' });

  expect(rejected.status).toBe(400);
  const span = await until('it is received', () => collector.spans.find((of) => of.traceId === traceId));
  expect(span).toMatchObject({ name: 'POST /orders', status: 0, attributes: { 'http.response.status_code': 400 } });
  expect(span.text).not.toContain('hush');
});

it.each([
  ['a trace id of zeros', { traceparent: `00-${'0'.repeat(32)}-${CALLER}-01` }],
  ['more fields than its version has', { traceparent: `00-${TRACE}-${CALLER}-01-${'f'.repeat(5000)}` }],
  [
    'a state that is longer than the column',
    { traceparent: `00-${TRACE}-${CALLER}-01`, tracestate: `a=${'b'.repeat(600)}` },
  ],
])('P10 an order is placed although its request has %s', async (_, headers) => {
  const orderId = await place(headers);

  const placed = await until('its event is on the topic', () => orderEvents.ofKey(orderId)[0]);
  expect(placed.headers['traceparent']).toMatch(/^00-(?!0{32})[\da-f]{32}-[\da-f]{16}-0[01]$/);
  expect(placed.headers).not.toHaveProperty('tracestate');
});

it('P7 a collector that never answers holds up neither requests nor the shutdown, and spans are dropped', async () => {
  const hanging = await startOtlpReceiver({ answers: false });
  const limits = { OTEL_BSP_MAX_QUEUE_SIZE: '100', OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '50' };
  const service = await startService('order-service', { ...ordersEnv(), ...hanging.env, ...limits });
  await fetch(`${service.url}/orders`, { headers: { 'x-user-id': 'ada' } });
  await until('the collector has a request', () => hanging.spans.length > 0);

  let slowestMs = 0;
  for (let n = 0; n < 30; n++) {
    const start = performance.now();
    await Promise.all(
      Array.from({ length: 10 }, async () => fetch(`${service.url}/orders`, { headers: { 'x-user-id': 'ada' } })),
    );
    slowestMs = Math.max(slowestMs, performance.now() - start);
  }
  const start = performance.now();
  const code = await service.stop();

  await hanging.close();
  expect(slowestMs).toBeLessThan(2000);
  expect({ code, isInTime: performance.now() - start < 10_000 }).toEqual({ code: 0, isInTime: true });
  // One batch was in flight, and the shutdown has tried to send the queue.
  expect(hanging.spans.length).toBeLessThanOrEqual(150);
});

it('P8 an environment that traces cannot be sent by is reported, and the service works without them', async () => {
  const service = await startService('order-service', {
    ...ordersEnv(),
    OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318',
  });

  await place({}, service.url);

  expect(service.log()).toContain(
    'Traces are off: OTEL_EXPORTER_OTLP_ENDPOINT must be an http or https URL, such as http://localhost:4318.',
  );
  await service.stop();
});
