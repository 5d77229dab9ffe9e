import { freePort } from '@twinbox/tools';
import {
  type Call,
  CALLS,
  type Measured,
  type Measurements,
  type OrderCallsOptions,
  type OrderCallsResult,
} from '../processes/order-calls.js';
import { CUSTOMERS, Customers } from '../saga/customers.js';
import { type Services, startServices } from '../saga/services.js';
import { openShop, type Shop } from '../saga/shop.js';
import { startChild } from '../support/child.js';
import { type Figure, median, ratio, spread } from '../support/figures.js';
import { type Servers } from '../support/servers.js';
import { serverProcesses } from '../support/usage.js';

const WHOLE = { windowMs: 2000, warmUpRounds: 3, rounds: 20 };
const QUICK = { windowMs: 1000, warmUpRounds: 1, rounds: 3 };

/**
 * Compares gRPC with REST for the same work: getting an order, and placing one. One order-service answers both. Nothing is published, and
 * payment-service does not run, so that only the call is measured and not what follows it.
 */
export async function grpc(servers: Servers): Promise<Figure[]> {
  const { windowMs, warmUpRounds, rounds } = servers.quick ? QUICK : WHOLE;
  const beginRound = servers.rounds(2);
  const { PostgreSQL = [] } = await serverProcesses(servers);
  const shop = await openShop(servers);
  try {
    const grpcPort = await freePort();
    const settings = { GRPC_PORT: String(grpcPort), RELAY: 'off' };
    const services = await startServices(shop, [settings], ['order-service']);
    try {
      const common = await optionsFor(shop, services, { grpcPort, PostgreSQL, windowMs });
      const measure = async (rounds: number) =>
        (await startChild<OrderCallsResult>('order-calls', { ...common, rounds })).result;
      beginRound('warming up');
      await measure(warmUpRounds);
      // Autovacuum would do this within a minute. Done here, it cannot run during the measurement in some rounds only.
      await shop.database.sql('analyze');
      await shop.database.sql('checkpoint');
      beginRound(`${rounds} rounds of GetOrder and CreateOrder`);
      const results = await measure(rounds);
      return CALLS.flatMap((call) => figuresOf(call, results[call]));
    } finally {
      await services.stop();
    }
  } finally {
    await shop.close();
  }
}

interface Setting {
  readonly grpcPort: number;
  readonly PostgreSQL: readonly number[];
  readonly windowMs: number;
}

/** Places an order for each customer, for GetOrder. */
async function optionsFor(
  { database }: Shop,
  { orderUrls: [url = ''], pids }: Services,
  { grpcPort, PostgreSQL, windowMs }: Setting,
): Promise<Omit<OrderCallsOptions, 'rounds'>> {
  const customers = new Customers([url]);
  const orders: { customerId: string; orderId: string }[] = [];
  for (const customerId of CUSTOMERS) {
    const orderId = await customers.place(customerId);
    if (orderId !== undefined) orders.push({ customerId, orderId });
  }
  customers.close();
  return {
    addresses: { REST: url, gRPC: `127.0.0.1:${grpcPort}` },
    orders,
    databaseUrl: database.url,
    kinds: { 'order-service': pids['order-service'] ?? [], PostgreSQL },
    windowMs,
  };
}

function figuresOf(call: Call, { REST: rest, gRPC: grpc }: Measurements): Figure[] {
  const rates = (all: readonly Measured[]) => all.map(({ perSecond }) => perSecond);
  const cpu = (all: readonly Measured[], kind: string) => all.map(({ cpuMs }) => cpuMs[kind] ?? Number.NaN);
  const rejected = [...rest, ...grpc].reduce((sum, each) => sum + each.rejected, 0);
  return [
    { what: `${call} by REST, calls/s`, value: spread(rates(rest)) },
    { what: `${call} by gRPC, calls/s`, value: spread(rates(grpc)) },
    { what: '  gRPC / REST, calls/s', value: ratio(rates(grpc), rates(rest)) },
    ...Object.keys(rest[0]?.cpuMs ?? {}).map((kind) => ({
      what: `  CPU-ms per call of ${kind === 'client' ? 'the client' : kind}: gRPC / REST, ratio`,
      value: `${[grpc, rest].map((all) => median(cpu(all, kind)).toFixed(2)).join(' / ')}, ${ratio(cpu(grpc, kind), cpu(rest, kind))}`,
    })),
    ...(rejected > 0 ? [{ what: '  rejected because the service was busy', value: String(rejected) }] : []),
  ];
}
