import { join } from 'node:path';
import { createLogger, loadConfig } from '@twinbox/api-kit/edge';
import { createOrdersClient, type OrdersClient } from '@twinbox/client/orders';
import { createPaymentsClient, type PaymentsClient } from '@twinbox/client/payments';
import { type TestDatabase, until } from '@twinbox/messaging/testing';
import {
  createServiceDatabase,
  createServiceTopics,
  type ServiceTopics,
  startService,
  stopServices,
} from '@twinbox/test-support';
import { startBrowser } from '@twinbox/test-support/browser';
import { freePort, QUOTAS_FOR_LOAD, root } from '@twinbox/tools';
import { FaultProxy } from '@twinbox/tools/fault-proxy';
import { type Browser, type BrowserContext, type Page } from 'playwright-core';
import { ConsoleConfig } from '../server/config.js';
import { createServer } from '../server/create-server.js';

/** A demo user of the console. */
export type UserId = 'demo' | 'ops' | 'admin';

/** Where the build has put the pages. */
export const PAGES = join(root, 'apps/console/dist/web');

/** The console with its real pages and both services, and a browser that opens it. */
export interface BrowserConsole {
  readonly url: string;
  readonly database: TestDatabase;
  readonly topics: ServiceTopics;
  /** Between the console and order-service. */
  readonly link: FaultProxy;
  /** Clients that do not go through the console: of a customer, and of another operator. */
  readonly customer: OrdersClient;
  readonly colleague: PaymentsClient;
  /** What the browser has complained about, such as a violation of the policy or an uncaught error. */
  readonly complaints: string[];
  /** Opens a page as a user who has signed in, or as nobody. */
  open(user: UserId | undefined, path: string): Promise<Page>;
  /** Places an order, and waits for its payment request. */
  placed(): Promise<{ readonly orderId: string; readonly paymentId: string }>;
  /** Ends payment-service. */
  stopPayments(): Promise<void>;
  stop(): Promise<void>;
}

export async function startBrowserConsole(): Promise<BrowserConsole> {
  const complaints: string[] = [];
  const [services, browser] = await Promise.all([startServices(), startBrowser()]);
  const { orders, payments, database, topics } = services;
  const link = await FaultProxy.open(Number(new URL(orders.url).port));
  const server = await startServer(
    { ORDERS_URL: `http://127.0.0.1:${link.port}`, PAYMENTS_URL: payments.url },
    complaints,
  );
  const customer = createOrdersClient({ baseUrl: orders.url, devUser: { id: 'demo' } });
  const colleague = createPaymentsClient({ baseUrl: payments.url, devUser: { id: 'colleague', roles: ['operator'] } });
  return {
    url: server.url,
    database,
    topics,
    link,
    customer,
    colleague,
    complaints,
    open: opener(browser, server.url, complaints),
    async placed() {
      const { id: orderId } = await customer.createOrder({ items: [{ productId: 'tea', quantity: 2 }] });
      const paymentId = await until('the payment is requested', async () => {
        const { items } = await colleague.listPaymentRequests({ orderId }).page();
        return items[0]?.id;
      });
      return { orderId, paymentId };
    },
    async stopPayments() {
      await payments.stop();
    },
    async stop() {
      await browser.close();
      await server.stop();
      await link.close();
      await stopServices();
      await database.drop();
    },
  };
}

async function startServices() {
  const [database, topics] = await Promise.all([createServiceDatabase(), createServiceTopics()]);
  const [orders, payments] = await Promise.all([
    startService('order-service', {
      ...topics.env('order-service'),
      ...QUOTAS_FOR_LOAD,
      DATABASE_URL: database.urlFor('orders', 'orders'),
    }),
    startService('payment-service', {
      ...topics.env('payment-service'),
      DATABASE_URL: database.urlFor('payments', 'payments'),
    }),
  ]);
  return { database, topics, orders, payments };
}

async function startServer(env: Readonly<Record<string, string>>, complaints: string[]) {
  const config = loadConfig(ConsoleConfig, { LOG_FORMAT: 'json', DEMO: 'on', ...env });
  const logger = createLogger(config, 'console', {
    write: (line) => void (line.includes('violation of the policy') && complaints.push(line)),
  });
  const { server } = await createServer(config, { logger, pages: PAGES });
  const port = await freePort();
  await server.listen({ port, host: '127.0.0.1' });
  return { url: `http://localhost:${port}`, stop: () => server.close() };
}

/** Returns a function that opens pages. Each user has one context, and so signs in once. */
function opener(browser: Browser, url: string, complaints: string[]): BrowserConsole['open'] {
  const contexts = new Map<UserId, Promise<BrowserContext>>();

  async function contextOf(user: UserId | undefined): Promise<BrowserContext> {
    const context = await browser.newContext({ baseURL: url, viewport: { width: 1280, height: 900 }, locale: 'en-GB' });
    if (user === undefined) return context;
    const answer = await context.request.post('/session', { data: { userId: user }, headers: { origin: url } });
    if (!answer.ok()) throw new Error(`Signing in as ${user}: ${answer.status()} ${await answer.text()}`);
    return context;
  }

  return async (user, path) => {
    const context = (user !== undefined && contexts.get(user)) || contextOf(user);
    if (user !== undefined) contexts.set(user, context);
    const page = await (await context).newPage();
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => {
      // A refused request is also an error of the console, and some tests want one.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
        complaints.push(message.text());
    });
    await page.goto(path);
    return page;
  };
}
