import { setTimeout as delay } from 'node:timers/promises';
import { until } from '@twinbox/messaging/testing';
import { type Figure, quantile } from '../support/figures.js';
import { Customers } from '../saga/customers.js';
import { startServices } from '../saga/services.js';
import { openShop } from '../saga/shop.js';
import { type Servers } from '../support/servers.js';

const PER_SECOND = 20;
const WATCHERS = 10;
const GOAL_MS = 300;

/** The latencies of one order in ms. Its commit is between the two starting points. */
interface Latency {
  readonly sinceSent: number;
  readonly sinceAnswered: number;
}

/** Measures the time from POST /orders at one replica to its event at a client of another. */
export async function live(servers: Servers): Promise<Figure[]> {
  const shop = await openShop(servers);
  try {
    const services = await startServices(shop, [{}, {}]);
    try {
      const [here = '', there = ''] = services.orderUrls;
      // The first orders warm everything up.
      await measure(here, there, PER_SECOND);
      const latencies = await measure(here, there, servers.quick ? 100 : 200);
      const sinceAnswered = latencies.map((each) => each.sinceAnswered);
      const sinceSent = latencies.map((each) => each.sinceSent);
      return [
        {
          ...figureOf(`answer to POST until the event at another replica, ${PER_SECOND}/s`, sinceAnswered),
          goal: `≤ ${GOAL_MS}`,
        },
        figureOf('  from before the POST', sinceSent),
      ];
    } finally {
      await services.stop();
    }
  } finally {
    await shop.close();
  }
}

async function measure(here: string, there: string, count: number): Promise<Latency[]> {
  const buyers = new Customers([here]);
  const watchers = new Customers([there]);
  const receivedAt = new Map<string, number>();
  for (let n = 0; n < WATCHERS; n++)
    await watchers.watch(`watcher-${n}`, 0, (orderId) => receivedAt.set(orderId, performance.now()), 'OrderPlaced');
  const place = async (n: number) => {
    const sentAt = performance.now();
    const id = await buyers.place(`watcher-${n % WATCHERS}`);
    // A machine busy with something else may reject an order now and then; the saga part counts these.
    return id === undefined ? [] : [{ id, sentAt, answeredAt: performance.now() }];
  };
  const began = performance.now();
  const placing: ReturnType<typeof place>[] = [];
  for (let n = 0; n < count; n++) {
    await delay(Math.max(0, (n / PER_SECOND) * 1000 - (performance.now() - began)));
    const placed = place(n);
    // Rejections are reported below, when all are awaited. Until then they must not end the process and leave the servers behind.
    placed.catch(() => undefined);
    placing.push(placed);
  }
  const orders = (await Promise.all(placing)).flat();
  await until('all events have arrived', () => orders.every(({ id }) => receivedAt.has(id)));
  buyers.close();
  watchers.close();
  return orders.map(({ id, sentAt, answeredAt }) => {
    const at = receivedAt.get(id) ?? Number.NaN;
    // The event may arrive before the answer.
    return { sinceSent: at - sentAt, sinceAnswered: Math.max(0, at - answeredAt) };
  });
}

function figureOf(what: string, times: readonly number[]): Figure {
  const shown = [0.5, 0.95, 0.99, 1].map((q) => quantile(times, q).toFixed(1)).join(' / ');
  return { what: `${what}, p50 / p95 / p99 / max in ms`, value: shown };
}
