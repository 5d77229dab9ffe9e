import { appendFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { marksOf, ordersOf, outboxOf, type Pace, paceOf, parkedIn, paymentRequestsOf, relaysOf } from './databases.js';
import { type Facts } from './facts.js';
import { type Injected, injectFaults } from './faults.js';
import { judge, type Verdict } from './judge.js';
import { waiting } from './judge-rest.js';
import { Load } from './load.js';
import { ParkedWatch } from './parked-watch.js';
import { Random } from './random.js';
import { castOf, planFaults, type ServiceName } from './schedule.js';
import { CONSUMERS, startSystem, type System, TOPICS } from './system.js';
import { endsOf, kafkaClient, lagOf, Redelivery, TopicLog } from './topic-log.js';

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
  /** Messages that were parked at some time, as far as was seen. */
  readonly parked: number;
  /** Parts of answers that never arrived. */
  readonly lostAnswers: number;
  /** In milliseconds. */
  readonly slowestAnswer: number;
  readonly pace: Pace;
}

/** After everything was healed, the system may take so long until nothing is under way any more. */
const SETTLE_MS = 120_000;
const TELL_EVERY_MS = 5000;

/** One run: a whole system of its own under load and faults, left to settle, ended, and judged from outside. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const start = performance.now();
  const tell = (what: string) => {
    const line = `${((performance.now() - start) / 1000).toFixed(1).padStart(7)} s  ${what}`;
    // The other logs tell the time of day.
    appendFileSync(join(options.logs, 'chaos.log'), `${new Date().toISOString()} ${line}\n`);
    options.tell?.(line);
  };
  const cast = castOf(options.seed);
  tell(`starting PostgreSQL, Kafka, two replicas of each service, and two relays of ${cast.relaysApart}`);
  const system = await startSystem(cast, options.logs);
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
  const parked = new ParkedWatch(system.database);
  try {
    const planned = planFaults(seed, minutes * 60_000);
    tell(`orders flow; ${planned.length} faults to come`);
    const [faults] = await Promise.all([injectFaults(system, planned, signal, tell), pause(minutes * 60_000, signal)]);
    signal.throwIfAborted();

    tell('healing everything, and waiting until nothing is under way any more');
    await Promise.all([redelivery.stop(), load.stopCustomers()]);
    await system.heal();
    const restless = await settle({ system, kafka, live, load, faults }, signal, tell);
    await Promise.all([load.stop(), parked.stop()]);
    const marksAtRest = await marksOf(system.database, 'at rest');

    tell('ending the processes');
    await system.terminate();
    tell('reading the databases and the topics');
    const facts = {
      ...(await factsOf(system, kafka, load)),
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
    const answered = load.placings.filter(({ outcome }) => outcome !== 'unanswered').map(({ tookMs }) => tookMs);
    return {
      verdicts,
      facts,
      relaysApart: castOf(seed).relaysApart,
      parked: parked.count,
      lostAnswers: [...system.links.values()].reduce((sum, { lost }) => sum + lost, 0),
      slowestAnswer: Math.max(0, ...answered),
      pace: await paceOf(system.database),
    };
  } finally {
    await Promise.all([redelivery.stop(), load.stop(), live.stop(), parked.stop()]);
  }
}

/** One record a line, for grep. */
function asJson(what: { verdicts: readonly Verdict[]; facts: Facts }): string {
  const plain = (value: unknown): unknown => (value instanceof Set ? [...value] : value);
  const list = (name: string, value: unknown) => {
    const items = plain(value);
    if (!Array.isArray(items)) return `${JSON.stringify(name)}: ${JSON.stringify(items)}`;
    return `${JSON.stringify(name)}: [\n${items.map((item) => JSON.stringify(item)).join(',\n')}]`;
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

interface Observed {
  readonly system: System;
  readonly kafka: ReturnType<typeof kafkaClient>;
  readonly live: TopicLog;
  readonly load: Load;
  readonly faults: readonly Injected[];
}

/** Returns when nothing is under way any more, or what still is when the time is over. */
async function settle(
  observed: Observed,
  signal: AbortSignal,
  tell: (what: string) => void,
): Promise<string | undefined> {
  const deadline = performance.now() + SETTLE_MS;
  let before: string | undefined;
  let tellAt = performance.now() + TELL_EVERY_MS;
  for (;;) {
    const restless = await unrest(observed).catch(String);
    if (restless !== undefined && performance.now() > tellAt) {
      tell(`still waiting: ${restless}`);
      tellAt = performance.now() + TELL_EVERY_MS;
    }
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

async function unrest({ system, kafka, live, load, faults }: Observed): Promise<string | undefined> {
  const { database, processes } = system;
  const outbox = await outboxOf(database);
  const unseen = outbox.filter(({ id }) => !live.has(id)).length;
  if (unseen > 0) return `${unseen} messages of the outboxes were not seen on their topics`;
  const pending = outbox.filter((row) => row.pending).length;
  if (pending > 0) return `${pending} messages of the outboxes are not told as published`;
  const gaps = (await relaysOf(database)).reduce((sum, relay) => sum + relay.gaps, 0);
  if (gaps > 0) return `${gaps} gaps of the relays are open`;
  for (const { groupId, topic } of CONSUMERS) {
    const lag = await lagOf(kafka, groupId, topic);
    if (lag > 0) return `${groupId} lags ${lag} messages behind on ${topic}`;
  }
  const parked = waiting({ parked: await parkedIn(database), faults }).length;
  if (parked > 0) return `${parked} messages wait for another attempt`;
  const undecided = (await paymentRequestsOf(database)).filter(
    ({ id, status }) => status === 'PENDING' && !load.setAside.has(id),
  );
  if (undecided.length > 0) return `${undecided.length} payments wait for the operators`;
  for (const { name, url } of processes.values()) {
    const { status } = await fetch(`${url}/health`, { signal: AbortSignal.timeout(3000) });
    if (status !== 200) return `${name} answers ${status} at /health`;
  }
  return undefined;
}

async function factsOf(system: System, kafka: ReturnType<typeof kafkaClient>, load: Load) {
  const { database, processes, links } = system;
  const topics = new TopicLog(kafka, TOPICS);
  try {
    await topics.complete(60_000);
  } finally {
    await topics.stop();
  }
  return {
    placings: load.placings,
    decisions: load.decisions,
    setAside: load.setAside,
    orders: await ordersOf(database),
    paymentRequests: await paymentRequestsOf(database),
    outbox: await outboxOf(database),
    records: topics.records,
    parked: await parkedIn(database),
    relays: await relaysOf(database),
    processes: [...processes.keys()],
    stops: [...processes.values()].flatMap(({ stops }) => stops),
    links: [...links].map(([name, { taken }]) => ({ name, connections: taken })),
  };
}
