import { setTimeout as delay } from 'node:timers/promises';
import { until } from '@twinbox/messaging/testing';
import { type Figure, quantile } from '../figures.js';
import { Customers } from '../saga/customers.js';
import { startServices } from '../saga/services.js';
import { openShop } from '../saga/shop.js';
import { type Servers } from '../servers.js';

const PER_SECOND = 20;
const WATCHERS = 10;
const GOAL_MS = 300;

/** In ms, of one order; the commit is somewhere between the two. */
interface Told {
  readonly sinceSent: number;
  readonly sinceAnswered: number;
}

/** From POST /orders at one replica to the event of it at a client of another. */
export async function live(servers: Servers): Promise<Figure[]> {
  const shop = await openShop(servers);
  try {
    const services = await startServices(shop, 2);
    try {
      const [here = '', there = ''] = services.orderUrls;
      // The first ones find out where everything is.
      await measure(here, there, PER_SECOND);
      const told = await measure(here, there, servers.quick ? 100 : 200);
      const sinceAnswered = told.map((each) => each.sinceAnswered);
      const sinceSent = told.map((each) => each.sinceSent);
      return [
        {
          ...figureOf(`POST's answer to the event at another replica, ${PER_SECOND}/s`, sinceAnswered),
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

async function measure(here: string, there: string, count: number): Promise<Told[]> {
  const buyers = new Customers([here]);
  const watchers = new Customers([there]);
  const toldAt = new Map<string, number>();
  for (let n = 0; n < WATCHERS; n++)
    await watchers.watch(`watcher-${n}`, 0, (orderId) => toldAt.set(orderId, performance.now()), 'OrderPlaced');
  const place = async (n: number) => {
    const sentAt = performance.now();
    const id = await buyers.place(`watcher-${n % WATCHERS}`);
    // A machine that is busy with something else may refuse one now and then; the saga's part counts them.
    return id === undefined ? [] : [{ id, sentAt, answeredAt: performance.now() }];
  };
  const began = performance.now();
  const placing: ReturnType<typeof place>[] = [];
  for (let n = 0; n < count; n++) {
    await delay(Math.max(0, (n / PER_SECOND) * 1000 - (performance.now() - began)));
    const placed = place(n);
    // It is told below, when all are awaited: until then it must not end the process, and leave the servers behind.
    placed.catch(() => undefined);
    placing.push(placed);
  }
  const orders = (await Promise.all(placing)).flat();
  await until('all are told of', () => orders.every(({ id }) => toldAt.has(id)));
  buyers.close();
  watchers.close();
  return orders.map(({ id, sentAt, answeredAt }) => {
    const at = toldAt.get(id) ?? Number.NaN;
    // It may be there before the answer is.
    return { sinceSent: at - sentAt, sinceAnswered: Math.max(0, at - answeredAt) };
  });
}

function figureOf(what: string, times: readonly number[]): Figure {
  const shown = [0.5, 0.95, 0.99, 1].map((q) => quantile(times, q).toFixed(1)).join(' / ');
  return { what: `${what}, p50 / p95 / p99 / max in ms`, value: shown };
}
