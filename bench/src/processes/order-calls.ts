import { setTimeout as delay } from 'node:timers/promises';
import { runAsChild } from '../support/child.js';
import { type Kinds, usageOf } from '../support/usage.js';
import { Customers, someCustomer, type Trading } from '../saga/customers.js';
import { GrpcCustomers } from '../saga/grpc-customers.js';

export const PROTOCOLS = ['REST', 'gRPC'] as const;
export const CALLS = ['GetOrder', 'CreateOrder'] as const;

type Protocol = (typeof PROTOCOLS)[number];
export type Call = (typeof CALLS)[number];

/** The measurements of a call, one for each round. */
export type Measurements = Readonly<Record<Protocol, Measured[]>>;

export interface Measured {
  readonly perSecond: number;
  /** Calls that the service could not answer at the moment. They are not in the rate. */
  readonly rejected: number;
  /** Per call, by kind of process. This process is the `client`. */
  readonly cpuMs: Readonly<Record<string, number>>;
}

export interface OrderCallsOptions {
  /** Of order-service: a URL for REST, `host:port` for gRPC. */
  readonly addresses: Readonly<Record<Protocol, string>>;
  /** The orders to get, each with its customer. */
  readonly orders: readonly { readonly customerId: string; readonly orderId: string }[];
  readonly databaseUrl: string;
  /** The processes whose CPU time is measured beside that of this one. */
  readonly kinds: Kinds;
  readonly rounds: number;
  readonly windowMs: number;
}

export type OrderCallsResult = Readonly<Record<Call, Measurements>>;

/** How many calls are in progress at any time. */
const IN_PROGRESS = 16;

runAsChild<OrderCallsOptions, OrderCallsResult>(async (options, finish) => {
  const result = measured(options);
  result.then(finish, fail);
  return () => result;
});

/** Measures both protocols in turn, in short windows, so that other work on the machine affects both alike. */
async function measured(options: OrderCallsOptions): Promise<OrderCallsResult> {
  const { addresses, rounds } = options;
  const tradings = { REST: new Customers([addresses.REST]), gRPC: new GrpcCustomers(addresses.gRPC) };
  const results: Record<Call, Record<Protocol, Measured[]>> = {
    GetOrder: { REST: [], gRPC: [] },
    CreateOrder: { REST: [], gRPC: [] },
  };
  for (let round = 0; round < rounds; round++) {
    // The other protocol begins in every second round, because the first of a pair finds another system than the second.
    const protocols = round % 2 === 0 ? PROTOCOLS : PROTOCOLS.toReversed();
    for (const call of CALLS)
      for (const protocol of protocols) results[call][protocol].push(await measure(tradings[protocol], call, options));
  }
  for (const trading of Object.values(tradings)) trading.close();
  return results;
}

async function measure(
  trading: Trading,
  call: Call,
  { orders, databaseUrl, kinds, windowMs }: OrderCallsOptions,
): Promise<Measured> {
  const all = { ...kinds, client: [process.pid] };
  const counts = { answered: 0, rejected: 0 };
  const deadline = new AbortController();
  const before = await usageOf(databaseUrl, all);
  const customers = Array.from({ length: IN_PROGRESS }, async () => {
    while (!deadline.signal.aborted) {
      const isAnswered = await callOnce(trading, call, orders);
      counts[isAnswered ? 'answered' : 'rejected']++;
    }
  });
  // They end by themselves only on an error.
  await Promise.race([delay(windowMs), Promise.all(customers)]);
  deadline.abort();
  await Promise.all(customers);
  const after = await usageOf(databaseUrl, all);
  return {
    perSecond: (counts.answered * 1000) / (after.at.getTime() - before.at.getTime()),
    rejected: counts.rejected,
    cpuMs: Object.fromEntries(
      Object.entries(after.cpuMs).map(([kind, ms]) => [kind, (ms - (before.cpuMs[kind] ?? 0)) / counts.answered]),
    ),
  };
}

async function callOnce(trading: Trading, call: Call, orders: OrderCallsOptions['orders']): Promise<boolean> {
  if (call === 'CreateOrder') return (await trading.place(someCustomer())) !== undefined;
  const order = orders[Math.floor(Math.random() * orders.length)];
  if (!order) throw new Error('There are no orders to get.');
  return trading.read(order.customerId, order.orderId);
}

function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}
