import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestDatabase, until } from '@twinbox/messaging/testing';
import {
  createServiceDatabase,
  createServiceTopics,
  type ServiceProcess,
  startService,
  stopServices,
} from '@twinbox/test-support';
import { root } from '@twinbox/tools';
import { FaultProxy } from '@twinbox/tools/fault-proxy';
import { build } from 'esbuild';
import { type Browser, type Page } from 'playwright-core';
import { runsBrowser, startBrowser } from './support/browser.js';

/** What the page does. It prints the events of its orders, and a problem. */
const SCRIPT = `
import { createOrdersClient, isProblem } from './orders.ts';

const orders = createOrdersClient({ baseUrl: new URLSearchParams(location.search).get('api'), devUser: { id: 'ada' } });
const print = (line) => document.body.append(line, document.createElement('br'));

window.placeOrder = async () => {
  const { data, etag, requestId } = await orders
    .createOrder({ items: [{ productId: 'tea', quantity: 2 }] })
    .answer();
  return { id: data.id, etag, requestId };
};
window.refusal = async () => {
  const error = await orders.placeOrder({ orderId: (await orders.createOrder({ draft: true })).id }).catch((reason) => reason);
  return isProblem(error, 'order-empty') ? { code: error.code, orderId: error.document.orderId, requestId: error.requestId } : String(error);
};
window.failure = () => createOrdersClient({ baseUrl: 'http://127.0.0.1:9', attempts: 1 }).listProducts().page().catch(({ name }) => name);
(async () => {
  const options = { load: () => print('loaded'), onInterrupted: () => print('interrupted') };
  for await (const { orderId, type } of orders.watchOrders(options)) print(orderId + ' ' + type);
})();
`;

const describeInBrowser = runsBrowser ? describe : describe.skip;

describeInBrowser(`a page of another origin in Chromium${runsBrowser ? '' : ', which is not installed'}`, () => {
  let database: TestDatabase;
  let api: FaultProxy;
  let website: Server;
  let service: ServiceProcess;
  let browser: Browser;
  let page: Page;
  const errors: string[] = [];
  let start: () => Promise<ServiceProcess>;

  beforeAll(async () => {
    const [created, topics, script, launched] = await Promise.all([
      createServiceDatabase(),
      createServiceTopics(),
      bundle(),
      startBrowser(),
    ]);
    [database, browser] = [created, launched];
    website = createServer(({ url }, response) => {
      const isScript = url === '/page.js';
      response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
      response.end(
        isScript ? script : '<!doctype html><title>Shop</title><script type="module" src="/page.js"></script>',
      );
    });
    await once(website.listen(0, '127.0.0.1'), 'listening');
    const origin = `http://127.0.0.1:${(website.address() as AddressInfo).port}`;
    start = () =>
      startService('order-service', {
        ...topics.env('order-service'),
        DATABASE_URL: database.urlFor('orders', 'orders'),
        CORS_ORIGINS: origin,
      });
    service = await start();
    api = await FaultProxy.open(portOf(service));
    page = await browser.newPage();
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.goto(`${origin}/?api=${encodeURIComponent(`http://127.0.0.1:${api.port}`)}`);
  });

  afterAll(async () => {
    await browser?.close();
    website?.close();
    await api?.close();
    await stopServices();
    await database?.drop();
  });

  const lines = async () => (await page.locator('body').innerText()).split('\n').filter((line) => line !== '');
  const printed = (line: string) => until(`the page prints ${line}`, async () => (await lines()).includes(line));
  const call = <T>(name: string) => page.evaluate<T>(`${name}()`);

  it('P2 places orders and follows them live over a restart of the service', async () => {
    await printed('loaded');
    const first = await call<{ id: string; etag: string; requestId: string }>('placeOrder');
    await printed(`${first.id} OrderPlaced`);

    await service.stop();
    await printed('interrupted');
    service = await start();
    api.pointAt(portOf(service));
    const second = await call<{ id: string }>('placeOrder');
    await printed(`${second.id} OrderPlaced`);

    expect(first).toMatchObject({ etag: '"1"', requestId: expect.stringMatching(/^[\da-f-]{36}$/) });
    const events = (await lines()).filter((line) => line.endsWith('OrderPlaced'));
    expect(events).toEqual([`${first.id} OrderPlaced`, `${second.id} OrderPlaced`]);
    expect((await lines()).filter((line) => line === 'loaded')).toHaveLength(1);
  });

  it('gets a problem with its code, its facts and the id of the request', async () => {
    expect(await call('refusal')).toEqual({
      code: 'order-empty',
      orderId: expect.stringMatching(/^[\da-f-]{36}$/),
      requestId: expect.stringMatching(/^[\da-f-]{36}$/),
    });
    expect(await call('failure')).toBe('TwinboxConnectionError');
    expect(errors).toEqual([]);
  });
});

/** Bundles the page with the client, as a frontend does. */
async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: SCRIPT, resolveDir: join(root, 'libs/client/src') },
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    write: false,
  });
  return outputFiles[0]!.text;
}

const portOf = ({ url }: ServiceProcess) => Number(new URL(url).port);
