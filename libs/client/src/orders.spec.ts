import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { createOrdersClient, isProblem, TwinboxProblem } from './orders.js';

// A proxy between a caller and the service, which answers by itself.
let server: Server;
let answers: ((response: ServerResponse) => void)[];
let requests: { readonly method: string | undefined; readonly url: string | undefined; readonly key: unknown }[];

beforeAll(async () => {
  server = createServer(({ method, url, headers }, response) => {
    requests.push({ method, url, key: headers['idempotency-key'] });
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

const client = (options = {}) =>
  createOrdersClient({ baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, ...options });
const html = (status: number) => (response: ServerResponse) =>
  void response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>Not now</h1>');
const json =
  (value: unknown, status = 200) =>
  (response: ServerResponse) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));

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

it('does not repeat a request that failed in the service, or that is not safe to repeat', async () => {
  answers = [html(500), html(503), html(503)];

  await expect(client().getOrder({ orderId: 'x' })).rejects.toMatchObject({ status: 500 });
  await expect(client().removeItem({ orderId: 'x', productId: 'y' })).rejects.toMatchObject({ status: 503 });
  await expect(client().changeItem({ orderId: 'x', productId: 'y', quantity: 1 })).rejects.toMatchObject({
    status: 503,
  });
  expect(requests.map(({ method }) => method)).toEqual(['GET', 'DELETE', 'PATCH']);
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
