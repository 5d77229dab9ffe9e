import { appendFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  marksOf,
  ordersOf,
  outboxOf,
  type Timings,
  timingsOf,
  parkedIn,
  promotionsOf,
  paymentRequestsOf,
  relaysOf,
  stepsOf,
  stockChangesOf,
  stockOf,
} from './system/databases.js';
import { parkingsOf, recordingsOf, takeOversOf } from './faults/database-faults.js';
import { type Facts } from './judge/facts.js';
import { injectFaults } from './faults/faults.js';
import { takesMoney } from './system/simulated-gateway.js';
import { judge, type Verdict } from './judge/judge.js';
import { Load } from './load/load.js';
import { linesIn, noticesIn } from './system/notices.js';
import { newSecret } from './load/provider.js';
import { reportPhases } from './progress.js';
import { Random } from './random.js';
import { type Fault, planFaults, type ServiceName, setupFor } from './faults/schedule.js';
import { withStandbyFaults } from './faults/standby-faults.js';
import { settle, SETTLE_MS } from './system/settle.js';
import { type PaymentSettings, startSystem, type System, TOPICS } from './system/system.js';
import { kafkaClient, Redelivery, TopicLog } from './system/topic-log.js';

export interface ChaosOptions {
  /** The duration of load and faults, excluding startup and settling. */
  readonly minutes: number;
  readonly seed: number;
  /** The number of Kafka brokers. Default: 1. */
  readonly brokers?: number;
  /**
   * An existing directory for the evidence: a log of each process and server, `chaos.log` with the beginning and end of every fault, and
   * `facts.json` with the input of the checks.
   */
  readonly logs: string;
  /** Whether PostgreSQL has a synchronous standby, to which it fails over repeatedly. Default: false. */
  readonly standby?: boolean;
  /** Whether Kafka requires TLS and SASL of the services. Default: false. */
  readonly secure?: boolean;
  readonly ordersPerSecond?: number;
  /** The time to live of a payment request. */
  readonly paymentTtlMs?: number;
  /** Called with each line of progress. */
  readonly log?: (line: string) => void;
  /** Aborts the run: everything is stopped, and `runChaos` throws. */
  readonly signal?: AbortSignal;
}

export interface ChaosResult {
  readonly verdicts: readonly Verdict[];
  readonly facts: Facts;
  /** The service with separate relay processes. */
  readonly separateRelaysOf: ServiceName;
  /** The number of requests that were sent again. */
  readonly repeats: number;
  /** The number of chunks of answers that were dropped. */
  readonly lostAnswers: number;
  /** In milliseconds. */
  readonly slowestAnswer: number;
  readonly timings: Timings;
}

/** Starts a complete system, runs it under load and faults, lets it settle, stops it, and judges it from outside. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const start = performance.now();
  const log = (what: string) => {
    const line = `${((performance.now() - start) / 1000).toFixed(1).padStart(7)} s  ${what}`;
    // With the time of day, as in the other logs.
    appendFileSync(join(options.logs, 'chaos.log'), `${new Date().toISOString()} ${line}\n`);
    options.log?.(line);
  };
  const { seed, brokers = 1, standby = false, secure = false, logs, paymentTtlMs = 20_000 } = options;
  const setup = setupFor(seed, brokers);
  const payments = {
    ttlMs: paymentTtlMs,
    webhookSecret: newSecret(),
    // Slow enough to coincide with operators, the provider, cancellations and crashes of the calling process.
    simulated: { delayMs: 4000, failureRate: 0.15, seed: `chaos-${seed}` },
  };
  const kafka = brokers === 1 ? 'Kafka' : `${brokers} Kafka brokers`;
  log(`starting PostgreSQL, ${kafka}, two replicas of each service, and two relays of ${setup.separateRelaysOf}`);
  log(`payment gateway: ${setup.gateway}; payments expire after ${paymentTtlMs / 1000} s`);
  if (secure) log('Kafka requires TLS and SASL');
  if (standby) log('PostgreSQL has a synchronous standby');
  const phases = reportPhases(options.minutes, log);
  phases.beginPart();
  try {
    const system = await startSystem(setup, payments, logs, { standby, secure });
    try {
      return await observe(system, payments, { ...options, log, nextPhase: () => phases.beginPart() });
    } finally {
      await system.remove();
      log('everything has stopped');
    }
  } finally {
    phases.stop();
  }
}

async function observe(
  system: System,
  payments: PaymentSettings,
  options: ChaosOptions & { log: (what: string) => void; nextPhase: () => void },
): Promise<ChaosResult> {
  const { minutes, seed, brokers = 1, log, nextPhase, ordersPerSecond = 10 } = options;
  const signal = options.signal ?? new AbortController().signal;
  const { gateway, separateRelaysOf } = setupFor(seed);
  const kafka = kafkaClient(system.brokers);
  const live = new TopicLog(kafka, TOPICS);
  const { ttlMs: paymentTtlMs, webhookSecret } = payments;
  const load = new Load({ urls: urlsOf(system), seed, ordersPerSecond, gateway, webhookSecret, paymentTtlMs });
  const redelivery = new Redelivery(kafka, live, new Random(seed + 2));
  try {
    const planned = plannedFaults(options);
    log(`load is running; ${planned.length} faults planned`);
    nextPhase();
    const [faults] = await Promise.all([injectFaults(system, planned, signal, log), pause(minutes * 60_000, signal)]);
    signal.throwIfAborted();

    log('healing everything and waiting until the system is idle');
    nextPhase();
    await Promise.all([redelivery.stop(), load.stop()]);
    await system.heal();
    const unfinished = await settle({ system, kafka, live, faults }, signal, log);
    const marksAtRest = await marksOf(system.database, 'at rest');

    log('stopping the processes');
    nextPhase();
    await system.terminate();
    log('reading the databases and the topics');
    const facts = {
      gateway,
      brokers,
      ...clientFacts(load, system),
      ...(await factsOf(system, kafka, payments)),
      notices: await noticesIn(options.logs),
      preparedAgain: await linesIn(options.logs, 'Preparing all statements again'),
      marks: [...marksAtRest, ...(await marksOf(system.database, 'at the end'))],
      faults,
      redelivered: redelivery.delivered,
      unexpectedEvents: [...system.unexpectedEvents, ...unsettled(unfinished)],
    };
    const verdicts = judge(facts);
    await writeFile(join(options.logs, 'facts.json'), asJson({ verdicts, facts }));
    return { verdicts, facts, separateRelaysOf, ...(await figuresOf(load, system)) };
  } finally {
    await Promise.all([redelivery.stop(), load.stop(), live.stop()]);
  }
}

function plannedFaults({ seed, minutes, brokers = 1, standby = false }: ChaosOptions): Fault[] {
  const faults = planFaults(seed, minutes * 60_000, brokers);
  return standby ? withStandbyFaults(faults, seed, minutes * 60_000) : faults;
}

const unsettled = (unfinished: string | undefined): string[] =>
  unfinished === undefined ? [] : [`${SETTLE_MS / 1000} s after the last fault, ${unfinished}`];

async function figuresOf(
  load: Load,
  system: System,
): Promise<Omit<ChaosResult, 'verdicts' | 'facts' | 'separateRelaysOf'>> {
  return {
    repeats: load.calls.repeats,
    lostAnswers: [...system.links.values()].reduce((sum, { lost }) => sum + lost, 0),
    slowestAnswer: Math.max(0, ...load.orderAttempts.map(({ tookMs }) => tookMs)),
    timings: await timingsOf(system.database),
  };
}

/** Formats the facts with one record per line, for grep. */
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

function clientFacts(
  { orderAttempts, edits, commands, decisions, webhooks, puts, calls }: Load,
  { processes }: System,
) {
  const names = new Map([...processes.values()].map(({ url, name }) => [url, name]));
  const slowRefusals = calls.slow.map(({ url, ...answer }) => {
    const process = names.get(url);
    if (process === undefined) throw new Error(`No process has the address ${url}`);
    return { ...answer, process };
  });
  const { answers, replayed } = calls;
  return { orderAttempts, edits, commands, decisions, webhooks, puts, answers, replayed, slowRefusals };
}

async function factsOf(system: System, kafka: ReturnType<typeof kafkaClient>, { simulated }: PaymentSettings) {
  const { database, processes, links, replicated } = system;
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
    ...(replicated && { promotions: await promotionsOf(database) }),
    processes: [...processes.keys()],
    stops: [...processes.values()].flatMap(({ stops }) => stops),
    links: [...links].map(([name, { accepted }]) => ({ name, connections: accepted })),
  };
}
