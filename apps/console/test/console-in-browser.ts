import { join } from 'node:path';
import { createLogger, loadConfig } from '@twinbox/api-kit/edge';
import { type TestDatabase } from '@twinbox/messaging/testing';
import {
  createServiceDatabase,
  createServiceTopics,
  type ServiceProcess,
  type ServiceTopics,
  startService,
  stopServices,
} from '@twinbox/test-support';
import { QUOTAS_FOR_LOAD, root } from '@twinbox/tools';
import { FaultProxy } from '@twinbox/tools/fault-proxy';
import { type Browser, type BrowserContext, type Page } from 'playwright-core';
import { startBrowser } from '@twinbox/test-support/browser';
import { ConsoleConfig } from '../server/config.js';
import { createServer } from '../server/create-server.js';

/** Both services, the console with its built pages, and a browser. */
export interface ConsoleInBrowser {
  readonly url: string;
  readonly database: TestDatabase;
  readonly topics: ServiceTopics;
  readonly orders: ServiceProcess;
  readonly payments: ServiceProcess;
  /** Between the console and order-service. */
  readonly link: FaultProxy;
  /** What went wrong in a page, such as a script error or a violation of the Content-Security-Policy. */
  readonly errors: readonly string[];
  /** Opens a page as one of the demo users. */
  open(userId: string, path: string): Promise<Page>;
  close(): Promise<void>;
}

export async function startConsoleInBrowser(): Promise<ConsoleInBrowser> {
  const [database, topics, browser] = await Promise.all([
    createServiceDatabase(),
    createServiceTopics(),
    startBrowser(),
  ]);
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
  const link = await FaultProxy.open(Number(new URL(orders.url).port));
  const { server, url } = await listen({ ORDERS_URL: `http://127.0.0.1:${link.port}`, PAYMENTS_URL: payments.url });
  const errors: string[] = [];
  const contexts = new Map<string, Promise<BrowserContext>>();
  return {
    url,
    database,
    topics,
    orders,
    payments,
    link,
    errors,
    async open(userId, path) {
      if (!contexts.has(userId)) contexts.set(userId, signedIn(browser, url, userId));
      const page = await (await contexts.get(userId)!).newPage();
      page.setDefaultTimeout(15_000);
      page.on('pageerror', ({ message }) => errors.push(`${path}: ${message}`));
      page.on('console', (line) => {
        if (/Content.Security.Policy/i.test(line.text())) errors.push(`${path}: ${line.text()}`);
      });
      await page.goto(url + path);
      return page;
    },
    async close() {
      await browser.close();
      await server.close();
      await link.close();
      await stopServices();
      await database.drop();
    },
  };
}

async function listen(env: Record<string, string>) {
  const config = loadConfig(ConsoleConfig, { LOG_FORMAT: 'json', DEMO: 'on', PORT: '0', ...env });
  const logger = createLogger(config, 'console', { write: () => undefined });
  const { server } = await createServer(config, { logger, pages: join(root, 'apps/console/dist/web') });
  return { server, url: await server.listen({ port: 0, host: '127.0.0.1' }) };
}

/** Signs in as the page does, and waits for no animation. */
async function signedIn(browser: Browser, url: string, userId: string): Promise<BrowserContext> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce' });
  const answer = await context.request.post(`${url}/session`, {
    data: { userId },
    headers: { origin: url, 'sec-fetch-site': 'same-origin' },
  });
  if (!answer.ok()) throw new Error(`Signing in as ${userId} was answered with ${answer.status()}`);
  return context;
}
