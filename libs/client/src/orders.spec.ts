import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { createAdminClient } from './admin.js';
import { createOrdersClient, isProblem, TwinboxConnectionError, TwinboxProblem } from './orders.js';

// A proxy between a caller and the service, which answers by itself.
let server: Server;
let answers: ((response: ServerResponse) => void)[];
let requests: {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly key: unknown;
  readonly token: string | undefined;
  readonly lastEventId: unknown;
}[];

beforeAll(async () => {
  server = createServer(({ method, url, headers }, response) => {
    const { authorization: token, 'idempotency-key': key, 'last-event-id': lastEventId } = headers;
    requests.push({ method, url, key, token, lastEventId });
    answers.shift()?.(response);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
});
beforeEach(() => {
  answers = [];
  requests = [];
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
});

const baseUrl = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
const client = (options = {}) => createOrdersClient({ baseUrl: baseUrl(), ...options });
const html = (status: number) => (response: ServerResponse) =>
  void response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>Not now</h1>');
const problem =
  (status: number, document: unknown, headers = {}) =>
  (response: ServerResponse) =>
    void response
      .writeHead(status, { 'content-type': 'application/problem+json', ...headers })
      .end(JSON.stringify(document));
const json =
  (value: unknown, status = 200) =>
  (response: ServerResponse) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));

/** Sends frames, and ends the stream. */
const endingStream = (text: string) => (response: ServerResponse) =>
  void response.writeHead(200, { 'content-type': 'text/event-stream' }).end(text);
/** Sends frames, and leaves the stream open. */
const stream = (text: string) => (response: ServerResponse) =>
  void response.writeHead(200, { 'content-type': 'text/event-stream' }).write(text);
const anEvent = (position: number) =>
  `id: ${position}\nevent: order\ndata: ${JSON.stringify({ orderId: 'x', position })}\n\n`;
async function firstOf<T>(items: AsyncIterable<T>): Promise<T> {
  for await (const item of items) return item;
  throw new Error('There is none.');
}

it('repeats what a proxy could not deliver, with the same idempotency key', async () => {
  answers = [html(502), html(504), json({ id: 'x' }, 201)];

  expect(await client().createOrder({ draft: true })).toEqual({ id: 'x' });
  expect(requests).toHaveLength(3);
  expect(new Set(requests.map(({ key }) => key)).size).toBe(1);
  expect(requests[0]?.key).toMatch(/^[\da-f]{32}$/);
});

it('gives each call a key of its own', async () => {
  answers = [json({}), json({})];

  await Promise.all([client().createOrder({ draft: true }), client().createOrder({ draft: true })]);

  expect(new Set(requests.map(({ key }) => key)).size).toBe(2);
});

it('reports an answer that is not a problem document by its status', async () => {
  answers = [html(403)];

  const error: unknown = await client()
    .getOrder({ orderId: 'x' })
    .catch((reason: unknown) => reason);

  expect(error).toMatchObject({ status: 403, code: 'unknown', document: { title: 'Forbidden' } });
  expect(isProblem(error, 'order-not-found')).toBe(false);
  expect(error).toBeInstanceOf(TwinboxProblem);
});

it.each([
  ['a page', html(200)],
  ['nothing', (response: ServerResponse) => void response.writeHead(200).end()],
])('reports %s instead of data as a problem, and does not repeat the request', async (_, answer) => {
  answers = [answer, answer];

  await expect(client().getOrder({ orderId: 'x' })).rejects.toMatchObject({ status: 200, code: 'unknown' });
  await expect(firstOf(client().watchOrders())).rejects.toMatchObject({ status: 200, code: 'unknown' });
  expect(requests).toHaveLength(2);
});

it.each([
  ['a title alone', { title: 'Denied' }, 'Denied'],
  ['members of other types', { type: 7, title: null, status: '200', detail: {}, errors: { id: ['bad'] } }, 'Forbidden'],
  ['no object', null, 'Forbidden'],
])('takes the status of the answer for a problem document with %s', async (_, document, title) => {
  answers = [problem(403, document)];

  const outcome = await client().getOrder({ orderId: 'x' }).outcome();

  if (outcome.ok) throw new Error('It must fail.');
  expect(outcome.problem).toMatchObject({ status: 403, code: 'unknown', errors: [] });
  expect(outcome.problem.document).toMatchObject({ type: 'about:blank', title, status: 403, instance: '' });
  expect(outcome.problem.message).toMatch(new RegExp(`^403 unknown: ${title} .*\\(GET http`));
});

it('repeats what a proxy refused with a problem document without a status', async () => {
  answers = [problem(503, { title: 'Away' }), json({ id: 'x' })];

  expect(await client().getOrder({ orderId: 'x' })).toEqual({ id: 'x' });
});

it.each([
  ['a number of seconds', () => '7', 7000],
  ['a date', () => new Date(Date.now() + 90_000).toUTCString(), 90_000],
  ['a date in the past', () => new Date(0).toUTCString(), 0],
  ['anything else', () => 'soon', undefined],
])('reads %s in Retry-After', async (_, retryAfter, expected) => {
  answers = [problem(429, {}, { 'retry-after': retryAfter() })];

  const outcome = await client().getOrder({ orderId: 'x' }, { attempts: 1 }).outcome();

  const { retryAfterMs } = outcome.ok ? {} : outcome.problem;
  expect(retryAfterMs === undefined).toBe(expected === undefined);
  expect(Math.abs((retryAfterMs ?? 0) - (expected ?? 0))).toBeLessThan(5000);
});

it('repeats what resumes processing, because resuming twice changes nothing', async () => {
  answers = [html(503), json({ ended: null })];
  const admin = createAdminClient({ baseUrl: baseUrl() });

  const resumed = await admin.resumeProcessing({ kind: 'relay', name: 'relay', reason: 'It is over.' });

  expect(resumed).toEqual({ ended: null });
  expect(requests.map(({ method }) => method)).toEqual(['DELETE', 'DELETE']);
});

it('does not repeat a request that failed in the service, or that is not idempotent', async () => {
  answers = [html(500), html(503), html(503), html(503)];

  await expect(client().getOrder({ orderId: 'x' })).rejects.toMatchObject({ status: 500 });
  await expect(client().removeItem({ orderId: 'x', productId: 'y' })).rejects.toMatchObject({ status: 503 });
  await expect(client().changeItem({ orderId: 'x', productId: 'y', quantity: 1 })).rejects.toMatchObject({
    status: 503,
  });
  await expect(client().createStreamTicket()).rejects.toMatchObject({ status: 503, request: { attempts: 1 } });
  expect(requests.map(({ method }) => method)).toEqual(['GET', 'DELETE', 'PATCH', 'POST']);
  expect(requests.map(({ key }) => key)).toEqual([undefined, undefined, undefined, undefined]);
});

it('sends a request at most as often, and for as long, as the options say', async () => {
  answers = [html(503), html(503), () => undefined, () => undefined];

  await expect(client({ attempts: 2 }).getOrder({ orderId: 'x' })).rejects.toMatchObject({
    status: 503,
    request: { attempts: 2 },
  });
  await expect(client().getOrder({ orderId: 'x' }, { attemptMs: 50, totalMs: 60 })).rejects.toThrow(
    /It took more than 50 ms/,
  );
  expect(requests).toHaveLength(3);
});

it('escapes what it puts into a path', async () => {
  answers = [json({})];

  await client().getProduct({ productId: '../a b?' });

  expect(requests[0]?.url).toBe('/products/..%2Fa%20b%3F');
});

describe('a token provider', () => {
  it('that fails is asked again, whatever the request is, because nothing was sent', async () => {
    answers = [json({ id: 'x' })];
    let calls = 0;
    const token = () => {
      if (++calls < 3) throw new Error('the issuer is away');
      return 'fresh';
    };

    const cart = await client({ token }).changeItem({ orderId: 'x', productId: 'y', quantity: 1 });

    expect(cart).toEqual({ id: 'x' });
    expect(requests).toMatchObject([{ method: 'PATCH', token: 'Bearer fresh' }]);
  });

  it('that keeps failing is named by the error, which says that nothing was sent', async () => {
    const token = () => Promise.reject(new Error('the issuer is away'));

    const error: unknown = await client({ token, attempts: 2 })
      .getOrder({ orderId: 'x' })
      .catch((reason: unknown) => reason);

    expect(error).toBeInstanceOf(TwinboxConnectionError);
    expect(error).toMatchObject({ request: { attempts: 0 }, cause: { message: 'the issuer is away' } });
    expect(String(error)).toMatch(/No access token for GET .*\/orders\/x: the issuer is away/);
  });

  it('interrupts live updates when it fails', async () => {
    answers = [stream(`retry: 1\nid: 1\n\n${anEvent(2)}`)];
    let calls = 0;
    const interruptions: unknown[] = [];
    const token = () => (++calls === 1 ? Promise.reject(new Error('the issuer is away')) : 'fresh');

    const event = await firstOf(
      client({ token }).watchOrders({ onInterrupted: (reason) => interruptions.push(reason) }),
    );

    expect(event).toEqual({ orderId: 'x', position: 2, lastEventId: '2' });
    expect(interruptions.map(String)).toEqual([expect.stringContaining('the issuer is away')]);
  });

  it('has no more time than an attempt, and ends with the signal', async () => {
    const token = () => new Promise<string>(() => undefined);
    const left = new AbortController();

    await expect(client({ token, attempts: 1, attemptMs: 20 }).getOrder({ orderId: 'x' })).rejects.toThrow(
      /It took more than 20 ms/,
    );
    const waiting = client({ token }).getOrder({ orderId: 'x' }, { signal: left.signal });
    const watching = firstOf(client({ token }).watchOrders({ signal: left.signal }));
    left.abort(new Error('the user has left'));

    await expect(waiting).rejects.toThrow('the user has left');
    await expect(watching).rejects.toThrow('the user has left');
    expect(requests).toEqual([]);
  });

  it('gets its second token within the time of the same attempt', async () => {
    answers = [(response) => void setTimeout(() => html(401)(response), 500), () => undefined];
    let refusedAt = 0;
    const token = (refused?: string) => {
      if (refused !== undefined) refusedAt = performance.now();
      return refused === undefined ? 'old' : 'new';
    };

    const reading = client({ token, attempts: 1, attemptMs: 600 }).getOrder({ orderId: 'x' });

    await expect(reading).rejects.toThrow(/It took more than 600 ms/);
    expect(performance.now() - refusedAt).toBeLessThan(500);
    expect(requests.map(({ token: sent }) => sent)).toEqual(['Bearer old', 'Bearer new']);
  });
});

describe('live updates', () => {
  it('say when they are interrupted, and when they are resumed', async () => {
    answers = [stream(`retry: 1\nid: 1\n\n${anEvent(2)}`), stream(`id: 3\n\n${anEvent(4)}`)];
    const log: unknown[] = [];
    const updates = client().watchOrders({
      load: () => log.push('loaded'),
      onInterrupted: () => log.push('interrupted'),
      onResumed: () => log.push('resumed'),
    });

    for await (const { position } of updates) if (log.push(position) && position === 4) break;

    expect(log).toEqual(['loaded', 2, 'interrupted', 'resumed', 4]);
  });

  it('begin again when loading fails with an error that may pass', async () => {
    answers = [stream('retry: 1\nid: 1\n\n'), html(503), stream(`id: 2\n\n${anEvent(3)}`), json({ id: 'x' })];
    const interruptions: unknown[] = [];

    const event = await firstOf(
      client().watchOrders({
        load: () => client({ attempts: 1 }).getOrder({ orderId: 'x' }),
        onInterrupted: (reason) => interruptions.push(reason),
      }),
    );

    expect(event).toMatchObject({ position: 3 });
    expect(interruptions).toMatchObject([{ status: 503, request: { url: expect.stringMatching(/\/orders\/x$/) } }]);
    // Otherwise, what happened before the next event would be shown only after it.
    expect(requests[2]).toMatchObject({ url: '/orders/events', lastEventId: undefined });
    expect(requests).toHaveLength(4);
  });

  it('throw any other error of the caller who loads', async () => {
    answers = [stream('id: 1\n\n')];
    const load = () => Promise.reject(new TypeError('a bug'));

    await expect(firstOf(client().watchOrders({ load }))).rejects.toThrow('a bug');
  });

  it('survive an error of the service once they were open, but not before', async () => {
    answers = [html(500), endingStream(`retry: 1\n${anEvent(1)}`), html(500), stream(anEvent(2))];
    const positions: number[] = [];

    await expect(firstOf(client().watchOrders())).rejects.toMatchObject({ status: 500 });
    for await (const { position } of client().watchOrders()) if (positions.push(position) === 2) break;

    expect(positions).toEqual([1, 2]);
    expect(requests.map(({ lastEventId }) => lastEventId)).toEqual([undefined, undefined, '1', '1']);
  });
});
