import { appendFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  marksOf,
  ordersOf,
  outboxOf,
  type Pace,
  paceOf,
  parkedIn,
  paymentRequestsOf,
  relaysOf,
  stepsOf,
  stockChangesOf,
  stockOf,
} from './databases.js';
import { parkingsOf, recordingsOf, takeOversOf } from './database-faults.js';
import { type Facts } from './facts.js';
import { injectFaults } from './faults.js';
import { takesMoney } from './gateway-books.js';
import { judge, type Verdict } from './judge.js';
import { Load } from './load.js';
import { linesIn, noticesIn } from './notices.js';
import { newSecret } from './provider.js';
import { Random } from './random.js';
import { castOf, planFaults, type ServiceName } from './schedule.js';
import { settle, SETTLE_MS } from './settle.js';
import { type PaymentSettings, startSystem, type System, TOPICS } from './system.js';
import { kafkaClient, Redelivery, TopicLog } from './topic-log.js';

export interface ChaosOptions {
  /** Of load and faults; starting before it and settling after it come on top. */
  readonly minutes: number;
  readonly seed: number;
  /**
   * An existing directory for what shows afterwards what went on: a log of each process and server, `chaos.log` with every
   * fault's beginning and end, and `facts.json` with all that was judged.
   */
  readonly logs: string;
  readonly ordersPerSecond?: number;
  /** How long a payment request waits for its result. */
  readonly paymentTtlMs?: number;
  /** Told what goes on, line by line. */
  readonly tell?: (line: string) => void;
  /** Ends the run: it throws then, with everything stopped. */
  readonly signal?: AbortSignal;
}

export interface ChaosResult {
  readonly verdicts: readonly Verdict[];
  readonly facts: Facts;
  /** Whose relays were processes of their own. */
  readonly relaysApart: ServiceName;
  /** Requests that were sent again. */
  readonly repeats: number;
  /** Parts of answers that never arrived. */
  readonly lostAnswers: number;
  /** In milliseconds. */
  readonly slowestAnswer: number;
  readonly pace: Pace;
}

/** One run: a whole system of its own under load and faults, left to settle, ended, and judged from outside. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const start = performance.now();
  const tell = (what: string) => {
    const line = `${((performance.now() - start) / 1000).toFixed(1).padStart(7)} s  ${what}`;
    // The other logs tell the time of day.
    appendFileSync(join(options.logs, 'chaos.log'), `${new Date().toISOString()} ${line}\n`);
    options.tell?.(line);
  };
  const { seed, logs, paymentTtlMs = 20_000 } = options;
  const cast = castOf(seed);
  const payments = {
    ttlMs: paymentTtlMs,
    webhookSecret: newSecret(),
    // So slow that the gateway meets operators, the provider, cancellations and deaths of the process that calls it.
    simulated: { delayMs: 4000, failureRate: 0.15, seed: `chaos-${seed}` },
  };
  tell(`starting PostgreSQL, Kafka, two replicas of each service, and two relays of ${cast.relaysApart}`);
  tell(`payment gateway: ${cast.gateway}; payments wait for ${paymentTtlMs / 1000} s`);
  const system = await startSystem(cast, payments, logs);
  try {
    return await observe(system, payments, { ...options, tell });
  } finally {
    await system.remove();
    tell('everything has ended');
  }
}

async function observe(
  system: System,
  payments: PaymentSettings,
  options: ChaosOptions & { tell: (what: string) => void },
): Promise<ChaosResult> {
  const { minutes, seed, tell, ordersPerSecond = 10, signal = new AbortController().signal } = options;
  const { gateway, relaysApart } = castOf(seed);
  const kafka = kafkaClient(system.kafka.brokers);
  const live = new TopicLog(kafka, TOPICS);
  const { ttlMs: paymentTtlMs, webhookSecret } = payments;
  const load = new Load({ urls: urlsOf(system), seed, ordersPerSecond, gateway, webhookSecret, paymentTtlMs });
  const redelivery = new Redelivery(kafka, live, new Random(seed + 2));
  try {
    const planned = planFaults(seed, minutes * 60_000);
    tell(`orders flow; ${planned.length} faults to come`);
    const [faults] = await Promise.all([injectFaults(system, planned, signal, tell), pause(minutes * 60_000, signal)]);
    signal.throwIfAborted();

    tell('healing everything, and waiting until nothing is under way any more');
    await Promise.all([redelivery.stop(), load.stop()]);
    await system.heal();
    const restless = await settle({ system, kafka, live, faults }, signal, tell);
    const marksAtRest = await marksOf(system.database, 'at rest');

    tell('ending the processes');
    await system.terminate();
    tell('reading the databases and the topics');
    const facts = {
      gateway,
      ...said(load, system),
      ...(await factsOf(system, kafka, payments)),
      notices: await noticesIn(options.logs),
      preparedAgain: await linesIn(options.logs, 'Preparing all statements again'),
      marks: [...marksAtRest, ...(await marksOf(system.database, 'at the end'))],
      faults,
      redelivered: redelivery.delivered,
      complaints: [
        ...system.complaints,
        ...(restless === undefined ? [] : [`${SETTLE_MS / 1000} s after the last fault, ${restless}`]),
      ],
    };
    const verdicts = judge(facts);
    await writeFile(join(options.logs, 'facts.json'), asJson({ verdicts, facts }));
    return {
      verdicts,
      facts,
      relaysApart,
      repeats: load.calls.repeats,
      lostAnswers: [...system.links.values()].reduce((sum, { lost }) => sum + lost, 0),
      slowestAnswer: Math.max(0, ...load.placings.map(({ tookMs }) => tookMs)),
      pace: await paceOf(system.database),
    };
  } finally {
    await Promise.all([redelivery.stop(), load.stop(), live.stop()]);
  }
}

/** One record a line, for grep. */
function asJson(what: { verdicts: readonly Verdict[]; facts: Facts }): string {
  const list = (name: string, value: unknown) => {
    if (!Array.isArray(value)) return `${JSON.stringify(name)}: ${JSON.stringify(value)}`;
    return `${JSON.stringify(name)}: [\n${value.map((item) => JSON.stringify(item)).join(',\n')}]`;
  };
  const all = Object.entries({ verdicts: what.verdicts, ...what.facts });
  return `{\n${all.map(([name, value]) => list(name, value)).join(',\n')}\n}\n`;
}

const pause = (ms: number, signal: AbortSignal) => delay(ms, undefined, { signal }).catch(() => undefined);

function urlsOf({ processes }: System) {
  const of = (service: ServiceName) =>
    [...processes.values()].filter(({ name }) => name.startsWith(`${service}/`)).map(({ url }) => url);
  return { orders: of('order-service'), payments: of('payment-service') };
}

function said({ placings, edits, commands, decisions, webhooks, puts, calls }: Load, { processes }: System) {
  const names = new Map([...processes.values()].map(({ url, name }) => [url, name]));
  const slowRefusals = calls.slow.map(({ url, ...answer }) => {
    const process = names.get(url);
    if (process === undefined) throw new Error(`${url} is the address of no process`);
    return { ...answer, process };
  });
  const { answers, replayed } = calls;
  return { placings, edits, commands, decisions, webhooks, puts, answers, replayed, slowRefusals };
}

async function factsOf(system: System, kafka: ReturnType<typeof kafkaClient>, { simulated }: PaymentSettings) {
  const { database, processes, links } = system;
  const topics = new TopicLog(kafka, TOPICS);
  try {
    await topics.complete(60_000);
  } finally {
    await topics.stop();
  }
  return {
    orders: await ordersOf(database),
    paymentRequests: await paymentRequestsOf(database, (id) => takesMoney(simulated, id)),
    orderSteps: await stepsOf(database, 'orders.order_timeline'),
    paymentSteps: await stepsOf(database, 'payments.payment_timeline'),
    stock: await stockOf(database),
    stockChanges: await stockChangesOf(database),
    outbox: await outboxOf(database),
    records: topics.records,
    parked: await parkedIn(database),
    parkings: await parkingsOf(database),
    recordings: await recordingsOf(database),
    takeOvers: await takeOversOf(database),
    relays: await relaysOf(database),
    processes: [...processes.keys()],
    stops: [...processes.values()].flatMap(({ stops }) => stops),
    links: [...links].map(([name, { taken }]) => ({ name, connections: taken })),
  };
}
