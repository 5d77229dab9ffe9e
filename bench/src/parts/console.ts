import { type Browser } from 'playwright-core';
import { startConsole } from '../console/console-process.js';
import { firstVisit, interactiveMs, loadAllRows, scrollFrames, startChromium } from '../console/measured-page.js';
import { startServices } from '../saga/services.js';
import { openShop, type Shop } from '../saga/shop.js';
import { type Figure, quantile } from '../support/figures.js';
import { type Servers } from '../support/servers.js';

const RUNS = 5;
const LETTERS = '/messaging/payments/dead-letters';
const PAGES = ['/payments', '/messaging/payments', LETTERS, '/shop'];

/** Measures the pages of the console in Chromium: their first load, and a list of 10,000 rows while it is scrolled. */
export async function consolePages(servers: Servers): Promise<Figure[]> {
  const shop = await openShop(servers);
  try {
    const services = await startServices(shop, [{}]);
    try {
      const started = await startConsole(services);
      const browser = await startChromium();
      try {
        return await measure(servers, shop, browser, started.url);
      } finally {
        await browser.close();
        await started.stop();
      }
    } finally {
      await services.stop();
    }
  } finally {
    await shop.close();
  }
}

async function measure(servers: Servers, shop: Shop, browser: Browser, url: string): Promise<Figure[]> {
  const runs = servers.quick ? 2 : RUNS;
  const beginRound = servers.rounds(runs);
  const rows = servers.quick ? 1000 : 10_000;
  await addDeadLetters(shop, rows);
  const loads = new Map(PAGES.map((path): [string, number[]] => [path, []]));
  const longest: number[] = [];
  // The server's code is compiled on the first requests.
  await (await firstVisit(browser, url)).goto(`${url}/shop`);
  for (let run = 0; run < runs; run++) {
    beginRound();
    for (const [path, times] of loads) {
      const page = await firstVisit(browser, url);
      times.push(await interactiveMs(page, url + path));
      await page.context().close();
    }
    const page = await firstVisit(browser, url);
    await loadAllRows(page, url + LETTERS);
    longest.push(Math.max(...(await scrollFrames(page))));
    await page.context().close();
  }
  return [
    ...[...loads].map(([path, times]) => figureOf(`first load of ${path} until interactive`, times, '≤ 1,000')),
    figureOf(`longest frame while ${rows.toLocaleString('en')} rows are scrolled`, longest, '≤ 50'),
  ];
}

/** With few runs, the p95 is the slowest of them. */
function figureOf(what: string, times: readonly number[], goal: string): Figure {
  const shown = [0.5, 0.95].map((q) => Math.round(quantile(times, q)).toLocaleString('en')).join(' / ');
  return { what: `${what}, p50 / p95 of ${times.length} in ms`, value: shown, goal };
}

async function addDeadLetters(shop: Shop, count: number): Promise<void> {
  const { CONSUMER_GROUP, ORDER_EVENTS_TOPIC } = shop.env('payment-service');
  await shop.database.sql(
    `insert into payments.inbox_parked (consumer, topic, partition, "offset", recorded_at, source, message_id, type, key, headers, value,
       holds_key, attempts, error, dead_at)
     select $1, $2, 0, n, now(), '/orders', 'message-' || n, 'OrderPlaced', convert_to('key-' || n, 'UTF8'), '{}', '{}', true, 5,
            'The total of order ' || n || ' is missing', now() - n * interval '1 second'
       from generate_series(1, $3::int) as n`,
    [CONSUMER_GROUP, ORDER_EVENTS_TOPIC, count],
  );
}
