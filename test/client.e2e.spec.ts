import { execFile } from 'node:child_process';
import { createHmac, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  type ClientOptions,
  createOrdersClient,
  type EventsOptions,
  isProblem,
  type Order,
  type OrderEvent,
  type OrdersClient,
  type Received,
  TwinboxConnectionError,
  TwinboxProblem,
} from '@twinbox/client/orders';
import { createAdminClient } from '@twinbox/client/admin';
import { createPaymentsClient, type PaymentsClient } from '@twinbox/client/payments';
import { TokenIssuer } from '@twinbox/api-kit/testing';
import { type TestDatabase, until } from '@twinbox/messaging/testing';
import {
  blocksFor,
  createServiceDatabase,
  createServiceTopics,
  type ServiceProcess,
  type ServiceTopics,
  startService,
  stopServices,
} from '@twinbox/test-support';
import { QUOTAS_FOR_LOAD, root } from '@twinbox/tools';
import { FaultProxy } from '@twinbox/tools/fault-proxy';
import { adminExamples, type Example } from './support/admin-examples.js';

const SECRET = 'a secret of the payment provider';
const NOBODY = '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';

let database: TestDatabase;
let topics: ServiceTopics;
let issuer: TokenIssuer;
let ordersService: ServiceProcess;
let paymentsService: ServiceProcess;
/** Verifies tokens and has small budgets. */
let strictService: ServiceProcess;

beforeAll(async () => {
  [database, topics, issuer] = await Promise.all([createServiceDatabase(), createServiceTopics(), TokenIssuer.start()]);
  [ordersService, strictService, paymentsService] = await Promise.all([
    startOrders(),
    startOrders({ ...issuer.env, JWT_CLOCK_TOLERANCE: '0ms', RATE_LIMIT_READS: '3/s', RATE_LIMIT_WRITES: '1/h' }),
    startService('payment-service', {
      ...topics.env('payment-service'),
      DATABASE_URL: database.urlFor('payments', 'payments'),
      WEBHOOK_SECRET: `whsec_${Buffer.from(SECRET).toString('base64')}`,
    }),
  ]);
  ada = as('ada');
  grace = as('grace');
  ops = as('ops', 'operator');
  payments = createPaymentsClient({ baseUrl: paymentsService.url, devUser: { id: 'ada' } });
  cashier = createPaymentsClient({ baseUrl: paymentsService.url, devUser: { id: 'ops', roles: ['operator'] } });
});

afterAll(async () => {
  await stopServices();
  await issuer.stop();
  await database.drop();
});

let ada: OrdersClient;
let grace: OrdersClient;
let ops: OrdersClient;
let payments: PaymentsClient;
/** An operator of payments. */
let cashier: PaymentsClient;

const startOrders = (env: Record<string, string> = {}) =>
  startService('order-service', {
    ...topics.env('order-service'),
    DATABASE_URL: database.urlFor('orders', 'orders'),
    STREAM_BACKLOG: '20',
    ...QUOTAS_FOR_LOAD,
    ...env,
  });

const as = (id: string, role: 'customer' | 'operator' = 'customer', options: Partial<ClientOptions> = {}) =>
  createOrdersClient({ baseUrl: ordersService.url, devUser: { id, roles: [role] }, ...options });

const aCart = (...productIds: string[]) =>
  ada.createOrder({ draft: true, items: productIds.map((productId) => ({ productId, quantity: 1 })) });
const anOrder = (quantity = 2) => ada.createOrder({ items: [{ productId: 'tea', quantity }] });
const idOf = async (order: Promise<Order>) => ({ orderId: (await order).id });

async function aPayment() {
  const order = await anOrder();
  const request = await until('the payment is requested', async () => {
    const { items } = await cashier.listPaymentRequests({ orderId: order.id }).page();
    return items[0];
  });
  return { order, paymentRequestId: request.id };
}

async function aPaidOrder() {
  const { order, paymentRequestId } = await aPayment();
  await cashier.markPaymentSucceeded({ paymentRequestId });
  await until('the order is paid', async () => (await ada.getOrder({ orderId: order.id })).status === 'COMPLETED');
  return { orderId: order.id };
}

/** A payment that arrived after its order was cancelled, and whose gateway is no longer in use. */
async function aRefundThatIsDue() {
  const { order, paymentRequestId } = await aPayment();
  await database.sql(`update payments.payment_requests set gateway = 'gone' where id = $1`, [paymentRequestId]);
  await ada.cancelOrder({ orderId: order.id, reason: 'Ordered twice.' });
  const hasStatus = (status: string) => async () =>
    (await cashier.getPaymentRequest({ paymentRequestId })).status === status;
  await until('the payment is cancelled', hasStatus('CANCELLED'));
  await sendWebhook({ type: 'payment.succeeded', data: { paymentRequestId } });
  await until('the refund is due', hasStatus('REFUND_PENDING'));
  return { paymentRequestId };
}

async function sendWebhook(event: object): Promise<void> {
  const [id, at, body] = [randomUUID(), Math.floor(Date.now() / 1000), JSON.stringify(event)];
  const signature = createHmac('sha256', SECRET).update(`${id}.${at}.${body}`).digest('base64');
  const headers = {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(at),
    'webhook-signature': `v1,${signature}`,
  };
  const response = await fetch(`${paymentsService.url}/webhooks/payments`, { method: 'POST', headers, body });
  expect(response.status).toBe(200);
}

async function first<T>(iterable: AsyncIterable<T>): Promise<T> {
  for await (const item of iterable) return item;
  throw new Error('There is none.');
}

// Records of all operations, so that the compiler finds one without an example.
const ORDERS: Record<keyof OrdersClient, Example> = {
  createOrder: {
    async succeeds() {
      expect(await anOrder()).toMatchObject({ status: 'PLACED', customerId: 'ada', total: 900, currency: 'EUR' });
    },
    fails: () => ada.createOrder({ items: [{ productId: 'unicorn', quantity: 1 }] }),
    code: 'product-unknown',
  },
  getOrder: {
    async succeeds() {
      const order = await anOrder();
      expect(await ada.getOrder({ orderId: order.id })).toMatchObject({ id: order.id, items: order.items });
    },
    fails: async () => grace.getOrder(await idOf(anOrder())),
    code: 'order-not-found',
  },
  getOrders: {
    async succeeds() {
      const order = await anOrder();
      expect((await first(ops.getOrders({ customerId: 'ada', totalMin: 900 }))).id).toBe(order.id);
    },
    fails: () => ada.getOrders({ cursor: 'nonsense' }).page(),
    code: 'validation',
  },
  placeOrder: {
    async succeeds() {
      const cart = await aCart('mug');
      const placed = await ada.placeOrder({ orderId: cart.id, items: [{ productId: 'mug', unitPrice: 1800 }] });
      expect(placed).toMatchObject({ id: cart.id, status: 'PLACED', total: 1800 });
    },
    fails: async () => ada.placeOrder(await idOf(aCart())),
    code: 'order-empty',
  },
  cancelOrder: {
    async succeeds() {
      const cancelled = await ada.cancelOrder({ ...(await idOf(anOrder())), reason: 'Ordered twice.' });
      expect(cancelled).toMatchObject({ status: 'CANCELLED', cancelReason: 'Ordered twice.' });
    },
    fails: async () => ada.cancelOrder({ ...(await idOf(anOrder())), reason: '' }),
    code: 'validation',
  },
  markOrderFinished: {
    async succeeds() {
      expect(await ops.markOrderFinished(await aPaidOrder())).toMatchObject({ status: 'FINISHED' });
    },
    fails: async () => ada.markOrderFinished(await idOf(anOrder())),
    code: 'role-required',
  },
  addItem: {
    async succeeds() {
      const cart = await ada.addItem({ ...(await idOf(aCart('tea'))), productId: 'mug', quantity: 3 });
      expect(cart.items).toMatchObject([{ productId: 'tea' }, { productId: 'mug', quantity: 3 }]);
    },
    fails: async () => ada.addItem({ ...(await idOf(aCart('tea'))), productId: 'book', quantity: 1 }),
    code: 'mixed-currencies',
  },
  changeItem: {
    async succeeds() {
      const cart = await ada.changeItem({ ...(await idOf(aCart('tea'))), productId: 'tea', quantity: 5 });
      expect(cart.items).toMatchObject([{ productId: 'tea', quantity: 5 }]);
    },
    fails: async () => ada.changeItem({ ...(await idOf(aCart('tea'))), productId: 'mug', quantity: 5 }),
    code: 'item-not-found',
  },
  removeItem: {
    async succeeds() {
      const cart = await aCart('tea');
      expect((await ada.removeItem({ orderId: cart.id, productId: 'tea' }, { ifMatch: cart.version })).items).toEqual(
        [],
      );
    },
    fails: async () => ada.removeItem({ ...(await idOf(aCart('tea'))), productId: 'tea' }, { ifMatch: 7 }),
    code: 'version-conflict',
  },
  getTimeline: {
    async succeeds() {
      const step = await first(ada.getTimeline(await idOf(anOrder())));
      expect(step).toMatchObject({ type: 'OrderPlaced', actor: 'customer:ada' });
    },
    fails: () => ada.getTimeline({ orderId: NOBODY }).page(),
    code: 'order-not-found',
  },
  watchOrders: {
    async succeeds() {
      let order: Order | undefined;
      const placed = await first(
        as('eve').watchOrders({
          load: async () => (order = await as('eve').createOrder({ items: [{ productId: 'tea', quantity: 1 }] })),
        }),
      );
      expect(placed).toMatchObject({ orderId: order?.id, type: 'OrderPlaced' });
    },
    fails: () => first(ada.watchOrders({ lastEventId: 'nonsense' })),
    code: 'event-unknown',
  },
  watchOrder: {
    async succeeds() {
      const { orderId } = await idOf(aCart());
      expect(await first(ada.watchOrder({ orderId }))).toMatchObject({ orderId, type: 'OrderOpened' });
    },
    fails: () => first(ada.watchOrder({ orderId: NOBODY })),
    code: 'order-not-found',
  },
  createStreamTicket: {
    async succeeds() {
      const { url } = await ada.createStreamTicket(await idOf(anOrder()));
      const stream = await fetch(ordersService.url + url);
      expect(stream.headers.get('content-type')).toBe('text/event-stream');
      await stream.body?.cancel();
    },
    fails: () => ada.createStreamTicket({ orderId: NOBODY }),
    code: 'order-not-found',
  },
  listProducts: {
    async succeeds() {
      expect(await first(createOrdersClient({ baseUrl: ordersService.url }).listProducts({ q: 'mug' }))).toMatchObject({
        id: 'mug',
        price: 1800,
      });
    },
    fails: () => ada.listProducts({ limit: 1000 }).page(),
    code: 'validation',
  },
  getProduct: {
    async succeeds() {
      expect(await ops.getProduct({ productId: 'tea' })).toMatchObject({ name: 'Tea', stock: expect.any(Number) });
    },
    fails: () => ada.getProduct({ productId: 'unicorn' }),
    code: 'product-not-found',
  },
  putProduct: {
    async succeeds() {
      const oolong = { productId: `oolong-${randomUUID()}`, name: 'Oolong', price: 990, currency: 'EUR', stock: 3 };
      expect(await ops.putProduct(oolong, { ifNoneMatch: '*' }).answer()).toMatchObject({
        status: 201,
        etag: expect.stringMatching(/^"1-/),
        data: { name: 'Oolong' },
      });
    },
    fails: () =>
      ops.putProduct({ productId: 'tea', name: 'Tea', price: 450, currency: 'EUR', stock: 1 }, { ifNoneMatch: '*' }),
    code: 'version-conflict',
  },
};

const PAYMENTS: Record<keyof PaymentsClient, Example> = {
  listPaymentRequests: {
    async succeeds() {
      const { order } = await aPayment();
      expect(await first(payments.listPaymentRequests({ orderId: order.id, status: ['PENDING'] }))).toMatchObject({
        amount: 900,
      });
    },
    fails: () => payments.listPaymentRequests({ amountMin: -1 }).page(),
    code: 'validation',
  },
  getPaymentRequest: {
    async succeeds() {
      const { order, paymentRequestId } = await aPayment();
      expect(await payments.getPaymentRequest({ paymentRequestId })).toMatchObject({ orderId: order.id });
    },
    fails: () => payments.getPaymentRequest({ paymentRequestId: NOBODY }),
    code: 'payment-request-not-found',
  },
  getTimeline: {
    async succeeds() {
      const { paymentRequestId } = await aPayment();
      expect(await first(payments.getTimeline({ paymentRequestId }))).toMatchObject({ type: 'PaymentRequested' });
    },
    fails: () => payments.getTimeline({ paymentRequestId: NOBODY }).page(),
    code: 'payment-request-not-found',
  },
  markPaymentSucceeded: {
    async succeeds() {
      const { paymentRequestId } = await aPayment();
      expect(await cashier.markPaymentSucceeded({ paymentRequestId })).toMatchObject({ status: 'SUCCEEDED' });
    },
    async fails() {
      const { paymentRequestId } = await aPayment();
      await cashier.markPaymentFailed({ paymentRequestId, reason: 'Declined.' });
      return cashier.markPaymentSucceeded({ paymentRequestId });
    },
    code: 'payment-already-decided',
  },
  markPaymentFailed: {
    async succeeds() {
      const { paymentRequestId } = await aPayment();
      expect(await cashier.markPaymentFailed({ paymentRequestId, reason: 'Declined.' })).toMatchObject({
        status: 'FAILED',
        reason: 'Declined.',
      });
    },
    fails: () => payments.markPaymentFailed({ paymentRequestId: NOBODY, reason: 'Declined.' }),
    code: 'role-required',
  },
  markPaymentRefunded: {
    async succeeds() {
      expect(await cashier.markPaymentRefunded(await aRefundThatIsDue())).toMatchObject({ status: 'REFUNDED' });
    },
    async fails() {
      const { paymentRequestId } = await aPayment();
      return cashier.markPaymentRefunded({ paymentRequestId });
    },
    code: 'refund-not-due',
  },
};

const ADMIN = adminExamples(() => {
  const adminOf = (id: string, role: 'customer' | 'operator' | 'admin') =>
    createAdminClient({ baseUrl: paymentsService.url, devUser: { id, roles: [role] } });
  return {
    admin: adminOf('root', 'admin'),
    operator: adminOf('ops', 'operator'),
    customer: adminOf('ada', 'customer'),
    database,
    consumer: topics.env('payment-service')['CONSUMER_GROUP']!,
    topic: topics.orderEvents,
    requestedOrder: async () => (await aPayment()).order.id,
  };
});

const EXAMPLES = {
  ...prefixed('orders', ORDERS),
  ...prefixed('payments', PAYMENTS),
  ...prefixed('admin', ADMIN),
};

describe.each(Object.entries(EXAMPLES))('%s', (_, { succeeds, fails, code }) => {
  it('succeeds', succeeds);

  it(`throws ${code} as a problem with the id of the request`, async () => {
    const failure = fails();

    await expect(failure).rejects.toBeInstanceOf(TwinboxProblem);
    await expect(failure).rejects.toMatchObject({
      code,
      document: { type: `urn:twinbox:problem:${code}` },
      requestId: expect.stringMatching(/^[\da-f-]{36}$/),
    });
  });
});

function prefixed(service: string, examples: Readonly<Record<string, Example>>): Record<string, Example> {
  return Object.fromEntries(Object.entries(examples).map(([name, example]) => [`${service}.${name}`, example]));
}

describe('a network that fails', () => {
  let proxy: FaultProxy;
  let eve: string;
  beforeEach(async () => {
    proxy = await FaultProxy.open(portOf(ordersService));
    eve = `eve ${randomUUID()}`;
  });
  afterEach(() => proxy.close());

  const through = (options: Partial<ClientOptions> = {}) =>
    as(eve, 'customer', { baseUrl: `http://127.0.0.1:${proxy.port}`, ...options });
  const ordersOf = async (id: string) => (await as(id).getOrders().page()).items;

  it('P4 a POST whose answer is lost is repeated with its key, and takes effect once', async () => {
    proxy.swallow();
    const placing = through()
      .createOrder({ items: [{ productId: 'tea', quantity: 1 }] })
      .answer();
    await until('the answer is lost', () => proxy.lost > 0);
    proxy.heal();

    const { data, replayed, status } = await placing;

    expect([replayed, status]).toEqual([true, 201]);
    expect((await ordersOf(eve)).map(({ id }) => id)).toEqual([data.id]);
  });

  it('P4 a call that gives up can be repeated later with the key that its error names', async () => {
    proxy.swallow();
    const cart = { items: [{ productId: 'tea', quantity: 1 }] };
    const error = await through({ attempts: 2, attemptMs: 200 })
      .createOrder(cart)
      .then(
        () => undefined,
        (reason: unknown) => reason,
      );
    proxy.heal();
    if (!(error instanceof TwinboxConnectionError)) throw error;
    const { idempotencyKey, attempts } = error.request;

    const order = await through().createOrder(cart, { idempotencyKey: idempotencyKey! });

    expect(attempts).toBe(2);
    expect((await ordersOf(eve)).map(({ id }) => id)).toEqual([order.id]);
  });

  it('a change that is not safe to repeat is sent once, and the error has the cause', async () => {
    const cart = await through().createOrder({ draft: true, items: [{ productId: 'tea', quantity: 1 }] });
    const before = proxy.accepted;
    proxy.cut();

    const change = through().changeItem({ orderId: cart.id, productId: 'tea', quantity: 2 });

    await expect(change).rejects.toThrow(TwinboxConnectionError);
    await expect(change).rejects.toMatchObject({
      request: { method: 'PATCH', attempts: 1 },
      cause: { message: 'fetch failed' },
    });
    expect(proxy.accepted).toBe(before + 1);
  });

  it('a PUT with a precondition is sent once, and one without is repeated', async () => {
    const product = { productId: `p-${randomUUID()}`, name: 'Thing', price: 1, currency: 'EUR', stock: 1 };
    proxy.cut();
    const operator = { devUser: { id: 'ops', roles: ['operator'] as const } };

    await expect(through(operator).putProduct(product, { ifMatch: 1 })).rejects.toMatchObject({
      request: { attempts: 1 },
    });

    const putting = through(operator).putProduct(product);
    await until('it was sent', () => proxy.accepted > 1);
    proxy.heal();
    expect(await putting).toMatchObject({ version: 1 });
  });

  it('a GET is repeated when the connection breaks in the middle of the answer', async () => {
    await proxy.close();
    let answers = 0;
    proxy = await FaultProxy.open(portOf(ordersService), {
      filter: (reset) => ({
        answer(chunk) {
          if (++answers > 1) return chunk;
          setTimeout(reset, 10);
          return chunk.subarray(0, chunk.length - 20);
        },
      }),
    });

    expect(await through().getProduct({ productId: 'tea' })).toMatchObject({ name: 'Tea' });
    expect(answers).toBeGreaterThan(1);
  });

  it('a signal ends a call, and the wait before a retry, at once with its reason', async () => {
    proxy.silence();
    const abandoned = new AbortController();
    const silent = through().getProduct({ productId: 'tea' }, { signal: abandoned.signal });
    await until('it is sent', () => proxy.accepted > 0);
    abandoned.abort(new Error('the user has left'));
    await expect(silent).rejects.toThrow('the user has left');

    proxy.heal();
    proxy.cut();
    const waiting = through({ attempts: 100 }).getProduct({ productId: 'tea' }, { signal: AbortSignal.timeout(1500) });
    await expect(waiting).rejects.toMatchObject({ name: 'TimeoutError' });
    await expect(through().getProduct({ productId: 'tea' }, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    });
  });
});

describe('a service that verifies tokens and limits requests', () => {
  const strict = (token: ClientOptions['token']) =>
    createOrdersClient({ baseUrl: strictService.url, ...(token !== undefined && { token }) });

  it('P10 is called with the token, and a refused token is replaced once', async () => {
    const asked: (string | undefined)[] = [];
    const expired = await issuer.token({ expiresIn: -3600 });
    const client = strict(async (refused) => {
      asked.push(refused);
      return refused === undefined ? expired : issuer.token({ claims: { sub: 'tina' } });
    });

    const order = await client.getOrders().page();

    expect(order.items).toEqual([]);
    expect(asked).toEqual([undefined, expired]);
    await expect(strict(expired).getOrders().page()).rejects.toMatchObject({ status: 401, code: 'caller-unknown' });
    await expect(
      strict(() => expired)
        .getOrders()
        .page(),
    ).rejects.toMatchObject({ code: 'caller-unknown' });
    await expect(strict(undefined).getOrders().page()).rejects.toMatchObject({ code: 'caller-unknown' });
  });

  it('is asked again after Retry-After when it has answered 429', async () => {
    const client = strict(await issuer.token({ claims: { sub: `busy ${randomUUID()}` } }));

    const began = performance.now();
    const answers = await Promise.all(Array.from({ length: 4 }, () => client.getOrders().page().answer()));

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(performance.now() - began).toBeGreaterThan(1000);
  });

  it('is not asked again if it asks for a longer wait than the call may take', async () => {
    const client = strict(await issuer.token({ claims: { sub: `busy ${randomUUID()}` } }));
    await client.createStreamTicket();

    const outcome = await client.createStreamTicket().outcome();

    expect(outcome).toMatchObject({ ok: false, problem: { code: 'too-many-requests', request: { attempts: 1 } } });
    expect(outcome.ok ? 0 : outcome.problem.retryAfterMs).toBeGreaterThan(30_000);
  });
});

describe('a list', () => {
  let lister: OrdersClient;
  let placed: readonly string[];
  beforeAll(async () => {
    lister = as(`lister ${randomUUID()}`);
    const carts = await Promise.all(Array.from({ length: 5 }, () => lister.createOrder({ draft: true })));
    placed = carts.map(({ id }) => id).toSorted();
  });

  it('iterates over the items of all pages, and over the pages', async () => {
    const items = await all(lister.getOrders({ limit: 2, sort: 'created' }));
    const pages = await all(lister.getOrders({ limit: 2 }).pages());

    expect(items.map(({ id }) => id)).toEqual(placed);
    expect(pages.map((page) => page.items.length)).toEqual([2, 2, 1]);
  });

  it('asks for a page only when it is needed, and for none after the loop has ended', async () => {
    let requests = 0;
    const counting = as('ada', 'operator', { fetch: (...request) => (requests++, fetch(...request)) });

    for await (const [index] of enumerate(counting.getOrders({ limit: 2 }))) if (index === 2) break;

    expect(requests).toBe(2);
  });

  it('ends with the reason of the signal', async () => {
    const left = new AbortController();
    const reading = (async () => {
      for await (const _ of lister.getOrders({ limit: 1 }, { signal: left.signal })) left.abort();
    })();

    await expect(reading).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('a call', () => {
  it('returns undefined when ifNoneMatch names the current version', async () => {
    const { data, etag } = await ada.getOrder(await idOf(anOrder())).answer();

    expect(await ada.getOrder({ orderId: data.id }, { ifNoneMatch: etag ?? '' })).toBeUndefined();
  });

  it('has the facts of a problem, with a type for each code', async () => {
    const { outcome } = {
      outcome: await ada.createOrder({ items: [{ productId: 'tea', quantity: 1, unitPrice: 1 }] }).outcome(),
    };

    if (outcome.ok) throw new Error('It must fail.');
    const { problem } = outcome;
    const prices = problem.code === 'price-changed' ? problem.document.changed : [];
    expect(prices).toEqual([{ productId: 'tea', expected: 1, actual: 450, currency: 'EUR' }]);
    expect(isProblem(problem, 'price-changed', 'insufficient-stock')).toBe(true);
    expect(isProblem(problem, 'order-empty')).toBe(false);
    expect(problem.message).toContain(`409 price-changed: ${problem.document.title}`);
  });

  it('names the fields that are not valid', async () => {
    const failure = ada.createOrder({ items: [{ productId: 'tea', quantity: -1 }] });

    await expect(failure).rejects.toMatchObject({ code: 'validation', errors: [{ pointer: '#/items/0/quantity' }] });
  });
});

async function all<T>(iterable: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of iterable) items.push(item);
  return items;
}

async function* enumerate<T>(items: AsyncIterable<T>): AsyncGenerator<[number, T]> {
  let index = 0;
  for await (const item of items) yield [index++, item];
}

const portOf = ({ url }: ServiceProcess) => Number(new URL(url).port);

describe('live updates', () => {
  let proxy: FaultProxy;
  let left: AbortController;
  beforeEach(async () => {
    proxy = await FaultProxy.open(portOf(ordersService));
    left = new AbortController();
  });
  afterEach(async () => {
    left.abort();
    await proxy.close();
  });

  const throughProxy = (id: string) => as(id, 'customer', { baseUrl: `http://127.0.0.1:${proxy.port}` });

  /** Follows the orders of a new customer. */
  function follow(further: EventsOptions = {}, clientOf = throughProxy) {
    const id = `eve ${randomUUID()}`;
    const client = clientOf(id);
    const events: Received<OrderEvent>[] = [];
    const interruptions: unknown[] = [];
    const seen = { client, events, loads: 0, interruptions };
    const options = {
      ...further,
      signal: left.signal,
      load: () => void seen.loads++,
      onInterrupted: (reason: unknown) => void interruptions.push(reason),
    };
    const ended = (async () => {
      for await (const event of client.watchOrders(options)) events.push(event);
    })().catch((error: unknown) => error);
    return Object.assign(seen, { id, ended });
  }
  const place = async (id: string) => (await as(id).createOrder({ items: [{ productId: 'tea', quantity: 1 }] })).id;
  const placed = (events: readonly OrderEvent[]) =>
    events.filter(({ type }) => type === 'OrderPlaced').map(({ orderId }) => orderId);
  const arrived = (events: readonly OrderEvent[], count: number) =>
    until('the events have arrived', () => placed(events).length >= count);

  it('P2 resume over a restart and a crash of the service without loss or repetition', async () => {
    const [first, second] = await Promise.all([startOrders(), startOrders()]);
    proxy.pointAt(portOf(first));
    const followed = follow();
    await until('the stream is open', () => followed.loads > 0);
    const ids = [await place(followed.id)];
    await arrived(followed.events, 1);

    await first.stop();
    ids.push(await place(followed.id));
    proxy.pointAt(portOf(second));
    await arrived(followed.events, 2);
    await second.kill();
    ids.push(await place(followed.id));
    proxy.pointAt(portOf(ordersService));
    ids.push(await place(followed.id));
    await arrived(followed.events, 4);
    left.abort();

    expect(await followed.ended).toMatchObject({ name: 'AbortError' });
    expect(placed(followed.events)).toEqual(ids);
    const positions = followed.events.map(({ position }) => position);
    expect(new Set(positions).size).toBe(positions.length);
    expect(followed.loads).toBe(1);
    expect(followed.interruptions.length).toBeGreaterThan(1);
  });

  it('P2 load again when the place to resume from is lost, and miss nothing after that', async () => {
    const followed = follow();
    await until('the stream is open', () => followed.loads > 0);
    const before = await place(followed.id);
    await arrived(followed.events, 1);

    proxy.cut();
    for (let count = 0; count < 21; count++) await place(followed.id);
    proxy.heal();
    await until('the orders are loaded again', () => followed.loads > 1);
    const id = await place(followed.id);
    await until('the event comes', () => placed(followed.events).includes(id));

    expect(placed(followed.events)).toEqual([before, id]);
    const withoutLoad = followed.client.watchOrders({ lastEventId: followed.events[0]!.lastEventId });
    await expect(first(withoutLoad)).rejects.toMatchObject({ code: 'backlog-too-long' });
  });

  it('P2 resume when the network drops everything without closing the connection', async () => {
    const followed = follow({ silenceMs: 1000 });
    await until('the stream is open', () => followed.loads > 0);

    proxy.silence();
    const id = await place(followed.id);
    await until('the silence is noticed', () => followed.interruptions.length > 0);
    proxy.heal();
    await arrived(followed.events, 1);

    expect(placed(followed.events)).toEqual([id]);
    expect(String(followed.interruptions[0])).toMatch(/silent for 1000 ms/);
  });

  it('P2 resume with the next token when the token expires', async () => {
    let expiresIn = 3;
    const refusals: string[] = [];
    const followed = follow({}, (id) => {
      const issue = () => issuer.token({ claims: { sub: id }, expiresIn });
      let cached: Promise<string> | undefined;
      const token = (refused?: string) => {
        if (refused !== undefined) refusals.push(refused);
        return (cached = refused === undefined ? (cached ?? issue()) : issue());
      };
      return createOrdersClient({ baseUrl: strictService.url, token });
    });
    await until('the stream is open', () => followed.loads > 0);
    expiresIn = 300;
    const ids = [await place(followed.id)];
    await arrived(followed.events, 1);

    await until('the token has expired', () => followed.interruptions.length > 0);
    ids.push(await place(followed.id));
    await arrived(followed.events, 2);
    ids.push(await place(followed.id));
    await arrived(followed.events, 3);

    expect(placed(followed.events)).toEqual(ids);
    const positions = followed.events.map(({ position }) => position);
    expect(new Set(positions).size).toBe(positions.length);
    expect(refusals.length).toBeGreaterThan(0);
    expect([followed.interruptions, followed.loads]).toEqual([[undefined], 1]);
  });

  it('continue after the last event of an earlier iterator', async () => {
    const id = `eve ${randomUUID()}`;
    let order = '';
    const { lastEventId } = await first(as(id).watchOrders({ load: async () => (order = await place(id)) }));
    const next = await place(id);

    const events = as(id).watchOrders({ lastEventId });
    for await (const { type, orderId } of events) {
      if (type !== 'OrderPlaced') continue;
      expect(orderId).toBe(next);
      break;
    }

    expect(order).not.toBe(next);
  });

  it('begin with the latest step of a single order, even if the first connection breaks before it', async () => {
    const { orderId } = await aPaidOrder();
    await proxy.close();
    let streams = 0;
    proxy = await FaultProxy.open(portOf(ordersService), {
      filter: (reset) => {
        const isFirst = ++streams === 1;
        let text = '';
        return {
          answer(chunk) {
            text += chunk.toString();
            if (!isFirst || !text.includes('id: ')) return chunk;
            setTimeout(reset, 10);
            const end = chunk.indexOf('event: ');
            return end < 0 ? chunk : chunk.subarray(0, end);
          },
        };
      },
    });
    let loads = 0;
    const client = as('ada', 'customer', { baseUrl: `http://127.0.0.1:${proxy.port}` });

    const event = await first(client.watchOrder({ orderId }, { load: () => void loads++ }));

    expect(event).toMatchObject({ type: 'OrderCompleted' });
    expect([streams, loads]).toEqual([2, 2]);
  });

  it('end with the loop, and at once when the signal is aborted', async () => {
    const { orderId } = await idOf(aCart());
    const interruptions: unknown[] = [];
    const followed = follow();
    await until('the stream is open', () => followed.loads > 0);

    // More than a user may have open at a time.
    for (let count = 0; count < 25; count++)
      await first(ada.watchOrder({ orderId }, { onInterrupted: (reason) => interruptions.push(reason) }));
    left.abort(new Error('the user has left'));

    expect(await followed.ended).toMatchObject({ message: 'the user has left' });
    expect(interruptions).toEqual([]);
  });

  it('throw what another attempt would not change', async () => {
    const client = createOrdersClient({ baseUrl: strictService.url, token: await issuer.token({ expiresIn: -3600 }) });

    await expect(first(client.watchOrders())).rejects.toMatchObject({ status: 401, code: 'caller-unknown' });
  });
});

describe('the code in the documentation', () => {
  let project: string;
  let pages: string[];
  beforeAll(async () => {
    project = await mkdtemp(join(tmpdir(), 'twinbox-client-'));
    const blocks = await blocksFor('code of the typed client');
    const byDocument = Map.groupBy(blocks, ({ document }) => document);
    pages = [...byDocument.values()].map((parts) => parts.map(({ text }) => text).join('\n'));
    await mkdir(join(project, 'node_modules/@twinbox'), { recursive: true });
    await symlink(join(root, 'libs/client'), join(project, 'node_modules/@twinbox/client'));
    await writeFile(join(project, 'package.json'), '{ "type": "module" }');
    await Promise.all(pages.map((text, index) => writeFile(join(project, `page-${index}.ts`), text)));
  });
  afterAll(() => rm(project, { recursive: true }));

  const run = (args: string[]) =>
    promisify(execFile)(process.execPath, args, { cwd: project, timeout: 60_000 }).catch(
      ({ stdout, stderr }: { stdout: string; stderr: string }) => {
        throw new Error(`${stdout}${stderr}`);
      },
    );

  it.each(['nodenext', 'bundler'])('compiles with the module resolution %s', async (resolution) => {
    const config = `tsconfig.${resolution}.json`;
    const compilerOptions = {
      target: 'es2022',
      lib: ['es2022', 'dom', 'dom.iterable'],
      module: resolution === 'bundler' ? 'esnext' : 'nodenext',
      moduleResolution: resolution,
      strict: true,
      types: [],
      noEmit: true,
      // The declarations of the client are checked, those of the compiler are not.
      skipDefaultLibCheck: true,
    };
    await writeFile(join(project, config), JSON.stringify({ compilerOptions, include: ['*.ts'] }));

    await run([join(root, 'node_modules/@typescript/native/bin/tsc'), '-p', config]);
  });

  it('runs', async () => {
    await ops.putProduct({ productId: 'tea-sencha', name: 'Sencha', price: 1150, currency: 'EUR', stock: 1000 });
    const printed: string[] = [];

    for (const [index, text] of pages.entries()) {
      const file = `run-${index}.ts`;
      await writeFile(
        join(project, file),
        text
          .replaceAll('http://localhost:8081', ordersService.url)
          .replaceAll('http://localhost:8082', paymentsService.url),
      );
      printed.push((await run([file])).stdout);
    }

    expect(printed).toHaveLength(2);
    expect(printed[0]).toContain('OrderCompleted COMPLETED');
    expect(printed[1]).toContain('PaymentRequested PAYMENT_PENDING');
  });
});
