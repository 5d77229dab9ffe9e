import { setTimeout as delay } from 'node:timers/promises';
import { TokenIssuer } from '@twinbox/api-kit/testing';
import { type SagaLoadOptions, type SagaLoadResult } from '../processes/saga-load.js';
import { completedBetween } from '../saga/completed.js';
import { CUSTOMERS } from '../saga/customers.js';
import { type Services, startServices } from '../saga/services.js';
import { openShop, type Shop } from '../saga/shop.js';
import { startChild } from '../support/child.js';
import { type Figure, median, spread } from '../support/figures.js';
import { type Servers } from '../support/servers.js';
import { type Kinds, serverProcesses, totalOf, usageOf } from '../support/usage.js';
import { costOfToken } from './token-cost.js';

/** In seconds. Longer than any run. */
const LIFETIME = 24 * 3600;
const WHOLE = { warmUpMs: 3000, windowMs: 10_000, rounds: 5 };
const QUICK = { warmUpMs: 1500, windowMs: 3000, rounds: 2 };

type Mode = 'dev' | 'jwt';

interface Measured {
  readonly perSecond: number;
  readonly cpuMs: number;
}

/**
 * Compares orders whose customers send an access token, each their own, with those whose customers are named by a header. A replica for each
 * mode runs all the time, and the customers call them in turn, so that both modes have the same warm system.
 */
export async function tokens(servers: Servers): Promise<Figure[]> {
  const { warmUpMs, windowMs, rounds } = servers.quick ? QUICK : WHOLE;
  const kinds = await serverProcesses(servers);
  const beginRound = servers.rounds(rounds + 2);
  beginRound('the cost of a token');
  const issuer = await TokenIssuer.start();
  const shop = await openShop(servers);
  try {
    const held = await tokensOf(issuer);
    const cost = await costOfToken(issuer, Object.values(held));
    const services = await startServices(shop, [{}, issuer.env]);
    try {
      const measure = (mode: Mode) => measured(shop, services, mode, held, { warmUpMs, windowMs, kinds });
      beginRound('warming up');
      for (const mode of ['dev', 'jwt', 'dev', 'jwt'] as const) await measure(mode);
      // Autovacuum would do this within a minute. Done here, it cannot run during the measurement in some rounds only.
      await shop.database.sql('analyze');
      await shop.database.sql('checkpoint');
      const results: Record<Mode, Measured[]> = { dev: [], jwt: [] };
      for (let round = 0; round < rounds; round++) {
        beginRound();
        // The other mode begins in every second round, because the first of a pair finds another system than the second.
        const modes: Mode[] = round % 2 === 0 ? ['dev', 'jwt'] : ['jwt', 'dev'];
        for (const mode of modes) results[mode].push(await measure(mode));
      }
      return [...cost, ...figuresOf(results)];
    } finally {
      await services.stop();
    }
  } finally {
    await shop.close();
    await issuer.stop();
  }
}

async function tokensOf(issuer: TokenIssuer): Promise<Record<string, string>> {
  const held: Record<string, string> = {};
  for (const sub of CUSTOMERS) held[sub] = await issuer.token({ claims: { sub }, expiresIn: LIFETIME });
  return held;
}

async function measured(
  shop: Shop,
  { orderUrls: [devUrl = '', jwtUrl = ''], pids }: Services,
  mode: Mode,
  held: Readonly<Record<string, string>>,
  { warmUpMs, windowMs, kinds }: { warmUpMs: number; windowMs: number; kinds: Kinds },
): Promise<Measured> {
  const target = mode === 'dev' ? { orderUrls: [devUrl] } : { orderUrls: [jwtUrl], tokens: held };
  const { url } = shop.database;
  const options: SagaLoadOptions = { ...target, databaseUrl: url };
  const load = await startChild<SagaLoadResult>('saga-load', options);
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

function figuresOf({ dev, jwt }: Readonly<Record<Mode, readonly Measured[]>>): Figure[] {
  const rates = (all: readonly Measured[]) => all.map(({ perSecond }) => perSecond);
  const cpu = (all: readonly Measured[]) => all.map(({ cpuMs }) => cpuMs);
  return [
    { what: 'orders/s to COMPLETED, customers named by a header', value: spread(rates(dev)) },
    { what: `the same with ${CUSTOMERS.length} access tokens`, value: spread(rates(jwt)) },
    {
      what: '  with tokens / without, medians of orders/s',
      value: (median(rates(jwt)) / median(rates(dev))).toFixed(2),
      goal: '≥ 0.97',
    },
    {
      what: '  CPU-ms per order, with tokens / without',
      value: [jwt, dev].map((all) => median(cpu(all)).toFixed(2)).join(' / '),
    },
  ];
}
