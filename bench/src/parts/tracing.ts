import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type SagaLoadOptions, type SagaLoadResult } from '../processes/saga-load.js';
import { completedBetween } from '../saga/completed.js';
import { type Services, startServices } from '../saga/services.js';
import { openShop, type Shop } from '../saga/shop.js';
import { startChild } from '../support/child.js';
import { type Figure, median, spread } from '../support/figures.js';
import { type Servers } from '../support/servers.js';
import { type Kinds, serverProcesses, totalOf, usageOf } from '../support/usage.js';
import { costWhileOff } from './tracing-cost.js';

const WHOLE = { warmUpMs: 3000, windowMs: 10_000, rounds: 5 };
const QUICK = { warmUpMs: 1500, windowMs: 3000, rounds: 2 };
const SAMPLED = '0.1';

type Mode = 'off' | 'on';

interface Running {
  readonly shop: Shop;
  readonly services: Services;
}

interface Measured {
  readonly perSecond: number;
  readonly cpuMs: number;
}

/**
 * Compares orders of services that trace 10 % of them with those of services that trace none. Each mode has a shop and services of its
 * own, because services that share consumer groups would handle each other's messages. All of them run all the time, and the customers
 * use them in turn.
 */
export async function tracing(servers: Servers): Promise<Figure[]> {
  const { warmUpMs, windowMs, rounds } = servers.quick ? QUICK : WHOLE;
  const kinds = await serverProcesses(servers);
  const beginRound = servers.rounds(rounds + 2);
  beginRound('the cost while it is off');
  const off = await costWhileOff();
  const collector = await startCollector();
  const modes: Partial<Record<Mode, Running>> = {};
  try {
    modes.off = await start(servers, {});
    modes.on = await start(servers, {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: SAMPLED,
    });
    const { off: offMode, on: onMode } = modes;
    const measure = (mode: Mode) => measured(mode === 'off' ? offMode : onMode, { warmUpMs, windowMs, kinds });
    beginRound('warming up');
    for (const mode of ['off', 'on', 'off', 'on'] as const) await measure(mode);
    for (const { shop } of [offMode, onMode]) await shop.database.sql('analyze');
    await offMode.shop.database.sql('checkpoint');
    const results: Record<Mode, Measured[]> = { off: [], on: [] };
    for (let round = 0; round < rounds; round++) {
      beginRound();
      // The other mode begins in every second round, because the first of a pair finds another system than the second.
      const order: Mode[] = round % 2 === 0 ? ['off', 'on'] : ['on', 'off'];
      for (const mode of order) results[mode].push(await measure(mode));
    }
    return [...off, ...figuresOf(results, collector.requests())];
  } finally {
    for (const running of Object.values(modes)) {
      await running.services.stop();
      await running.shop.close();
    }
    collector.close();
  }
}

async function start(servers: Servers, env: Readonly<Record<string, string>>): Promise<Running> {
  const shop = await openShop(servers);
  return { shop, services: await startServices(shop, [env]) };
}

/** A collector that takes everything at once, so that only the cost of the services is measured. */
async function startCollector() {
  let requests = 0;
  const server = createServer((request, response) => {
    requests++;
    request.resume().once('end', () => response.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests: () => requests,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function measured(
  { shop, services: { orderUrls, pids } }: Running,
  { warmUpMs, windowMs, kinds }: { warmUpMs: number; windowMs: number; kinds: Kinds },
): Promise<Measured> {
  const { url } = shop.database;
  const load = await startChild<SagaLoadResult>('saga-load', { orderUrls, databaseUrl: url } satisfies SagaLoadOptions);
  // It ends by itself only on an error.
  const runFor = (ms: number) => Promise.race([delay(ms), load.result]);
  await runFor(warmUpMs);
  const before = await usageOf(url, { ...pids, ...kinds });
  await runFor(windowMs);
  const after = await usageOf(url, { ...pids, ...kinds });
  await load.stop();
  const orders = await completedBetween(shop, before, after);
  return {
    perSecond: (orders * 1000) / (after.at.getTime() - before.at.getTime()),
    cpuMs: (totalOf(after.cpuMs) - totalOf(before.cpuMs)) / orders,
  };
}

function figuresOf({ off, on }: Readonly<Record<Mode, readonly Measured[]>>, requests: number): Figure[] {
  const rates = (all: readonly Measured[]) => all.map(({ perSecond }) => perSecond);
  const cpu = (all: readonly Measured[]) => all.map(({ cpuMs }) => cpuMs);
  if (requests === 0) throw new Error('the collector has received no traces');
  return [
    { what: 'orders/s to COMPLETED, without tracing', value: spread(rates(off)) },
    { what: 'the same with 10 % traced', value: spread(rates(on)) },
    {
      what: '  CPU-ms per order, traced / not, medians',
      value: [on, off].map((all) => median(cpu(all)).toFixed(2)).join(' / '),
    },
    {
      what: '  more CPU per order',
      value: `${((median(cpu(on)) / median(cpu(off)) - 1) * 100).toFixed(1)} %`,
      goal: '≤ 3 %',
    },
  ];
}
