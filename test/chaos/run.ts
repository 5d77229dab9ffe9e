import { setTimeout as delay } from 'node:timers/promises';
import { ordersOf, outboxOf, parkedIn, paymentRequestsOf, worstWaysOf } from './databases.js';
import { injectFaults } from './faults.js';
import { type Facts, judge, type Verdict } from './judge.js';
import { Load } from './load.js';
import { Random } from './random.js';
import { type Fault, planFaults } from './schedule.js';
import { CONSUMERS, startSystem, type System, TOPICS } from './system.js';
import { endsOf, kafkaClient, lagOf, Redelivery, TopicLog } from './topic-log.js';

export interface ChaosOptions {
  /** Of load and faults; starting before it and settling after it come on top. */
  readonly minutes: number;
  readonly seed: number;
  /** For the services' logs. */
  readonly logs: string;
  readonly ordersPerSecond?: number;
  /** Told what goes on, line by line. */
  readonly tell?: (line: string) => void;
  /** Ends the run: it throws then, with everything stopped. */
  readonly signal?: AbortSignal;
}

export interface ChaosResult {
  readonly verdicts: readonly Verdict[];
  readonly facts: Facts;
  readonly faults: readonly Fault[];
  /** Records that were delivered once more on purpose. */
  readonly redelivered: number;
  /** In milliseconds. */
  readonly worst: { readonly answer: number; readonly toPaymentRequest: number; readonly toEnd: number };
}

/** After everything was healed, the system may take so long until nothing is under way any more. */
const SETTLE_MS = 90_000;

/** One run: a whole system of its own under load and faults, left to settle, and judged from outside. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const start = performance.now();
  const told = options.tell ?? (() => {});
  const tell = (what: string) => told(`${((performance.now() - start) / 1000).toFixed(1).padStart(7)} s  ${what}`);
  tell('starting PostgreSQL, Kafka and two replicas of each service');
  const system = await startSystem(options.logs);
  try {
    return await observe(system, { ...options, tell });
  } finally {
    await system.remove();
    tell('everything has ended');
  }
}

async function observe(system: System, options: ChaosOptions & { tell: (what: string) => void }): Promise<ChaosResult> {
  const { minutes, seed, tell, ordersPerSecond = 12, signal = new AbortController().signal } = options;
  const kafka = kafkaClient(system.kafka.brokers);
  const live = new TopicLog(kafka, TOPICS);
  const load = new Load(urlsOf(system), new Random(seed + 1), ordersPerSecond);
  const redelivery = new Redelivery(kafka, live, new Random(seed + 2));
  try {
    const faults = planFaults(seed, minutes * 60_000);
    tell(`orders flow; ${faults.length} faults to come`);
    await Promise.all([injectFaults(system, faults, signal, tell), pause(minutes * 60_000, signal)]);
    signal.throwIfAborted();

    tell('healing everything, and waiting until nothing is under way any more');
    await Promise.all([redelivery.stop(), load.stopCustomers()]);
    await system.heal();
    const restless = await settle({ system, kafka, live, load }, signal);
    await load.stop();

    tell('reading the databases and the topics');
    const facts = await factsOf(system, kafka, load, [
      ...(restless === undefined ? [] : [`${SETTLE_MS / 1000} s after the last fault, ${restless}`]),
      ...[...system.links].filter(([, link]) => link.taken === 0).map(([name]) => `nothing ever went ${name}`),
    ]);
    const answered = load.placings.filter(({ outcome }) => outcome !== 'unanswered').map(({ tookMs }) => tookMs);
    const worst = { answer: Math.max(0, ...answered), ...(await worstWaysOf(system.database)) };
    return { verdicts: judge(facts), facts, faults, redelivered: redelivery.delivered, worst };
  } finally {
    await Promise.all([redelivery.stop(), load.stop(), live.stop()]);
  }
}

const pause = (ms: number, signal: AbortSignal) => delay(ms, undefined, { signal }).catch(() => undefined);

function urlsOf({ replicas }: System) {
  const of = (service: string) =>
    [...replicas.values()].filter(({ name }) => name.startsWith(service)).map(({ url }) => url);
  return { orders: of('order-service'), payments: of('payment-service') };
}

interface Observed {
  readonly system: System;
  readonly kafka: ReturnType<typeof kafkaClient>;
  readonly live: TopicLog;
  readonly load: Load;
}

/** Returns when nothing is under way any more, or what still is when the time is over. */
async function settle(observed: Observed, signal: AbortSignal): Promise<string | undefined> {
  const deadline = performance.now() + SETTLE_MS;
  let before: string | undefined;
  for (;;) {
    const restless = await unrest(observed).catch(String);
    const ends = restless === undefined ? await endsOf(observed.kafka, TOPICS).catch(() => undefined) : undefined;
    const quiet = ends && JSON.stringify([...ends]);
    // Quiet twice with nothing published in between: no message was on its way from what was asked later to what was earlier.
    if (quiet !== undefined && quiet === before) return undefined;
    before = quiet;
    signal.throwIfAborted();
    if (performance.now() > deadline) return restless ?? 'messages are still published';
    await pause(300, signal);
  }
}

async function unrest({ system, kafka, live, load }: Observed): Promise<string | undefined> {
  const { database, replicas } = system;
  const unpublished = (await outboxOf(database)).filter((id) => !live.has(id)).length;
  if (unpublished > 0) return `${unpublished} messages of the outboxes are not on their topics`;
  for (const { groupId, topic } of CONSUMERS) {
    const lag = await lagOf(kafka, groupId, topic);
    if (lag > 0) return `${groupId} lags ${lag} messages behind on ${topic}`;
  }
  const { waiting } = await parkedIn(database);
  if (waiting > 0) return `${waiting} messages wait for another attempt`;
  const undecided = (await paymentRequestsOf(database)).filter(
    ({ id, status }) => status === 'PENDING' && !load.setAside.has(id),
  );
  if (undecided.length > 0) return `${undecided.length} payments wait for the operators`;
  for (const { name, url } of replicas.values()) {
    const { status } = await fetch(`${url}/health`, { signal: AbortSignal.timeout(3000) });
    if (status !== 200) return `${name} answers ${status} at /health`;
  }
  return undefined;
}

async function factsOf(
  system: System,
  kafka: ReturnType<typeof kafkaClient>,
  load: Load,
  complaints: readonly string[],
): Promise<Facts> {
  const { database } = system;
  const topics = new TopicLog(kafka, TOPICS);
  await topics.complete(60_000);
  await topics.stop();
  return {
    placings: load.placings,
    decisions: load.decisions,
    orders: await ordersOf(database),
    paymentRequests: await paymentRequestsOf(database),
    outbox: await outboxOf(database),
    records: topics.records,
    deadLetters: (await parkedIn(database)).deadLetters,
    complaints: [...system.complaints, ...complaints],
  };
}
