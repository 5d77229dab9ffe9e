import { setTimeout as delay } from 'node:timers/promises';
import { until } from '@twinbox/messaging/testing';
import pg from 'pg';
import { runAsChild } from '../support/child.js';
import { Customers } from '../saga/customers.js';

export interface SagaWatchOptions {
  readonly orderUrls: readonly string[];
  /** For a superuser. */
  readonly databaseUrl: string;
  readonly perSecond: number;
  readonly orders: number;
}

/** Times in ms from just before each POST, in the order of placing. */
export interface SagaWatchResult {
  /** Until the completion event in the customer's stream, which is what a frontend sees. */
  readonly seenMs: readonly number[];
  /** Until the answer to the POST. */
  readonly answeredMs: readonly number[];
  /** Until the completion time in the timeline, which is just before the commit. */
  readonly decidedMs: readonly number[];
}

/** Each has an event stream open at one of the replicas. */
const WATCHERS = 10;

/** Customers who place orders at a steady rate and watch their progress. */
runAsChild<SagaWatchOptions, SagaWatchResult>(async (options, finish) => {
  const customers = new Customers(options.orderUrls);
  const seenAt = new Map<string, number>();
  for (let n = 0; n < WATCHERS; n++)
    await customers.watch(`watcher-${n}`, n, (orderId) => seenAt.set(orderId, performance.now()));
  void placeAll(options, customers, seenAt)
    .then(finish)
    .catch((error: unknown) => {
      console.error(error);
      process.exit(1);
    });
  return () => Promise.reject(new Error('the watchers end by themselves'));
});

interface Placed {
  readonly id: string;
  readonly sentAt: number;
  readonly answeredAt: number;
}

async function placeAll(
  { databaseUrl, perSecond, orders }: SagaWatchOptions,
  customers: Customers,
  seenAt: ReadonlyMap<string, number>,
): Promise<SagaWatchResult> {
  const place = async (n: number): Promise<Placed> => {
    const sentAt = performance.now();
    const id = await customers.place(`watcher-${n % WATCHERS}`);
    if (id === undefined) throw new Error('an order was rejected');
    return { id, sentAt, answeredAt: performance.now() };
  };
  const began = performance.now();
  const placing: Promise<Placed>[] = [];
  for (let n = 0; n < orders; n++) {
    await delay(Math.max(0, (n / perSecond) * 1000 - (performance.now() - began)));
    placing.push(place(n));
  }
  const placed = await Promise.all(placing);
  await until('all orders are completed', () => placed.every(({ id }) => seenAt.has(id)));
  customers.close();
  const decidedAt = await decisions(databaseUrl, placed);
  return {
    seenMs: placed.map(({ id, sentAt }) => (seenAt.get(id) ?? Number.NaN) - sentAt),
    answeredMs: placed.map(({ answeredAt, sentAt }) => answeredAt - sentAt),
    decidedMs: placed.map(({ id, sentAt }) => (decidedAt.get(id) ?? Number.NaN) - performance.timeOrigin - sentAt),
  };
}

/** Measured by the clock of the services, which is this machine's. */
async function decisions(databaseUrl: string, placed: readonly Placed[]): Promise<ReadonlyMap<string, number>> {
  const database = new pg.Client({ connectionString: databaseUrl });
  await database.connect();
  const { rows } = await database.query<{ id: string; at: Date }>(
    `select order_id as id, at from orders.order_timeline where order_id = any($1::uuid[]) and type = 'OrderCompleted'`,
    [placed.map(({ id }) => id)],
  );
  await database.end();
  return new Map(rows.map(({ id, at }) => [id, at.getTime()]));
}
