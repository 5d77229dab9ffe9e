import { setTimeout as delay } from 'node:timers/promises';
import { startChild } from '../support/child.js';
import { type Figure, quantile, whole } from '../support/figures.js';
import { type SagaLoadOptions, type SagaLoadResult } from '../processes/saga-load.js';
import { type SagaWatchOptions, type SagaWatchResult } from '../processes/saga-watch.js';
import { completedBetween } from '../saga/completed.js';
import { multiply } from '../saga/multiply.js';
import { type Services, startServices } from '../saga/services.js';
import { openShop, type Shop } from '../saga/shop.js';
import { type Kinds, serverProcesses, totalOf, usageOf } from '../support/usage.js';
import { type Servers } from '../support/servers.js';

/** The size of a measurement. */
interface Extent {
  /** The number of orders in the full shop. */
  readonly orders: number;
  readonly originals: number;
  readonly warmUpMs: number;
  readonly windowMs: number;
  readonly watchSeconds: number;
}

const WHOLE: Extent = { orders: 1_000_000, originals: 2000, warmUpMs: 20_000, windowMs: 40_000, watchSeconds: 60 };
const QUICK: Extent = { orders: 20_000, originals: 400, warmUpMs: 4000, windowMs: 8000, watchSeconds: 10 };
const PER_SECOND = 20;

/** Measures orders from POST /orders to COMPLETED, paid by the simulated gateway, in a new shop and in one with many orders. */
export async function saga(servers: Servers): Promise<Figure[]> {
  const extent = servers.quick ? QUICK : WHOLE;
  const kinds = await serverProcesses(servers);
  const beginRound = servers.rounds(5);
  const full = await openShop(servers);
  try {
    beginRound('filling the shop');
    const sold = await fill(full, extent);
    const figures: Figure[] = [];
    const rates: number[] = [];
    for (const replicas of [1, 2]) {
      const who = replicas === 1 ? 'one replica of each service' : `${replicas} replicas of each service`;
      beginRound(`${who}, empty database`);
      const first = await measureEmpty(servers, replicas, kinds, extent);
      beginRound(`${who}, after ${whole(sold)} orders`);
      const later = await measure(full, replicas, kinds, extent);
      figures.push(...figuresOf(`${who}, empty database`, first));
      figures.push(...figuresOf(`${who}, after ${whole(sold)} orders`, later));
      figures.push(growth(first, later));
      rates.push(first.perSecond);
    }
    const [one = Number.NaN, two = Number.NaN] = rates;
    figures.push({
      what: 'two replicas of each service / one, empty database, orders/s',
      value: (two / one).toFixed(2),
      goal: '≥ 0.9',
    });
    return figures;
  } finally {
    await full.close();
  }
}

/** Places real orders, which also warms up Kafka, then copies them. */
async function fill(shop: Shop, { originals, orders }: Extent): Promise<number> {
  const services = await startServices(shop, [{}]);
  try {
    const load = await startLoad(shop, services, originals);
    await load.result;
  } finally {
    await services.stop();
  }
  return multiply(shop.database, orders);
}

interface Measured {
  readonly perSecond: number;
  readonly rejected: number;
  /** Per order, by kind of process. */
  readonly cpuMs: Readonly<Record<string, number>>;
  readonly walBytes: number;
  readonly latency: SagaWatchResult;
}

async function measureEmpty(servers: Servers, replicas: number, kinds: Kinds, extent: Extent): Promise<Measured> {
  const shop = await openShop(servers);
  try {
    return await measure(shop, replicas, kinds, extent);
  } finally {
    await shop.close();
  }
}

async function measure(shop: Shop, replicas: number, servers: Kinds, extent: Extent): Promise<Measured> {
  const services = await startServices(
    shop,
    Array.from({ length: replicas }, () => ({})),
  );
  try {
    const load = await startLoad(shop, services);
    // It ends by itself only on an error.
    const runFor = (ms: number) => Promise.race([delay(ms), load.result]);
    await runFor(extent.warmUpMs / 2);
    // Autovacuum would do this within a minute. Done here, it cannot run during the measurement in some rounds only.
    await shop.database.sql('analyze');
    await runFor(extent.warmUpMs / 2);
    const kinds = { ...services.pids, ...servers, load: [load.pid] };
    const before = await usageOf(shop.database.url, kinds);
    await runFor(extent.windowMs);
    const after = await usageOf(shop.database.url, kinds);
    const { rejected } = await load.stop();
    const completed = await completedBetween(shop, before, after);

    // Writes out what the load has left, so that this does not affect the latencies.
    await shop.database.sql('checkpoint');
    return {
      rejected,
      perSecond: (completed * 1000) / (after.at.getTime() - before.at.getTime()),
      cpuMs: Object.fromEntries(
        Object.entries(after.cpuMs).map(([kind, ms]) => [kind, (ms - (before.cpuMs[kind] ?? 0)) / completed]),
      ),
      walBytes: (after.walBytes - before.walBytes) / completed,
      latency: await watch(shop, services, extent),
    };
  } finally {
    await services.stop();
  }
}

function startLoad({ database }: Shop, { orderUrls }: Services, orders?: number) {
  const options: SagaLoadOptions = { orderUrls, databaseUrl: database.url, ...(orders && { orders }) };
  return startChild<SagaLoadResult>('saga-load', options);
}

async function watch({ database }: Shop, { orderUrls }: Services, { watchSeconds }: Extent): Promise<SagaWatchResult> {
  const orders = watchSeconds * PER_SECOND;
  const options: SagaWatchOptions = { orderUrls, databaseUrl: database.url, perSecond: PER_SECOND, orders };
  const watchers = await startChild<SagaWatchResult>('saga-watch', options);
  return watchers.result;
}

function figuresOf(where: string, { perSecond, rejected, cpuMs, walBytes, latency }: Measured): Figure[] {
  const { load = Number.NaN, ...system } = cpuMs;
  // In the first seconds the system adjusts to the new rate.
  const warm = (values: readonly number[]) => values.slice(values.length / 6);
  const shown = (values: readonly number[]) =>
    [0.5, 0.95, 0.99].map((q) => quantile(warm(values), q).toFixed(1)).join(' / ');
  return [
    { what: `${where}, orders/s to COMPLETED`, value: whole(perSecond), goal: '≥ 400' },
    ...(rejected > 0 ? [{ what: '  rejected with 503', value: whole(rejected) }] : []),
    { what: '  CPU-ms per order, total', value: totalOf(system).toFixed(2), goal: '≤ 4.5' },
    {
      what: `    ${Object.keys(system).join(' / ')}`,
      value: Object.values(system)
        .map((ms) => ms.toFixed(2))
        .join(' / '),
    },
    { what: '    load generator, not in the total', value: load.toFixed(2) },
    { what: '  WAL per order, kB', value: (walBytes / 1000).toFixed(1) },
    {
      what: `  POST to COMPLETED at ${PER_SECOND}/s, p50 / p95 / p99 in ms`,
      value: shown(latency.seenMs),
      goal: 'p50 ≤ 20',
    },
    { what: '    of which to the answer to the POST', value: shown(latency.answeredMs) },
    { what: '    of which to the commit of COMPLETED', value: shown(latency.decidedMs) },
  ];
}

function growth(first: Measured, later: Measured): Figure {
  const p50 = ({ latency }: Measured) => quantile(latency.seenMs, 0.5);
  const cpu = ({ cpuMs: { load: _, ...system } }: Measured) => totalOf(system);
  const ratios = [later.perSecond / first.perSecond, cpu(later) / cpu(first), p50(later) / p50(first)];
  return {
    what: '  full / empty database: orders/s, CPU-ms, p50',
    value: ratios.map((ratio) => ratio.toFixed(2)).join(' / '),
    goal: 'CPU-ms ≤ 1.05',
  };
}
