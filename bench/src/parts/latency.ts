import { setTimeout as delay } from 'node:timers/promises';
import { logLevel } from 'kafkajs';
import { startChild } from '../support/child.js';
import { type Figure, quantile } from '../support/figures.js';
import { type WriterOptions, type WriterResult } from '../processes/writer.js';
import { kafkaJs } from '../support/secured.js';
import { createWorld, type Servers, type World } from '../support/servers.js';
import { cpuFigures, cpuOf, type CpuPerMessage, type Kinds } from '../support/usage.js';

const PER_SECOND = 500;

/** Measures the time from just before the INSERT to the consumer, with one message per transaction. */
export async function latency(servers: Servers): Promise<Figure[]> {
  const beginRound = servers.rounds(3);
  // Not counted, because Kafka compiles its code in the first half minute after its start.
  beginRound('warming up');
  await measureLatency(servers);
  beginRound('relay in the writing process');
  const within = await measureLatency(servers);
  beginRound('relay in another process');
  const elsewhere = await measureLatency(servers, relayElsewhere);
  const goal = 'p50 ≤ 3.3, p99 ≤ 9';
  return [
    ...latencyFigures('relay in the writing process', within, goal),
    ...latencyFigures('relay in another process', elsewhere, goal),
  ];
}

/** What publishes the messages of the writer. */
export interface Publisher {
  /** Its processes, whose CPU time is measured. */
  readonly processes: Kinds;
  /** Whether the writer takes part in the election of the relay. */
  readonly writerMayRelay: boolean;
  stop(): Promise<unknown>;
}

export interface Latencies {
  /** From just before each INSERT to the consumer. */
  readonly ms: readonly number[];
  readonly commitMs: readonly number[];
  readonly cpu: CpuPerMessage | undefined;
}

export async function relayElsewhere(world: World): Promise<Publisher> {
  const relay = await startChild('relay', world);
  // Lets it take the lease before the writer can.
  await delay(2000);
  return { processes: { relay: [relay.pid] }, writerMayRelay: true, stop: () => relay.stop() };
}

/** Measures with a publisher beside the writer, or with the relay in the writer. */
export async function measureLatency(
  servers: Servers,
  startPublisher?: (world: World) => Promise<Publisher>,
): Promise<Latencies> {
  const messages = (servers.quick ? 4 : 30) * PER_SECOND;
  const world = await createWorld(servers);
  const ms: number[] = [];
  const consumer = await consume(world, (sentAt) => ms.push(Number(process.hrtime.bigint() - sentAt) / 1e6));
  try {
    const publisher = await startPublisher?.(world);
    try {
      const options: WriterOptions = {
        databaseUrl: world.databaseUrl,
        brokers: world.brokers,
        secured: world.secured,
        name: world.name,
        perSecond: PER_SECOND,
        messages,
        relay: publisher?.writerMayRelay ?? true,
      };
      const writer = await startChild<WriterResult>('writer', options);
      const cpuPerMessage = await cpuOf(servers, publisher?.processes ?? {});
      const { commitMs, cpuUs } = await writer.result;
      const cpuOfOthers = await cpuPerMessage(messages);
      if (ms.length < messages) throw new Error(`${ms.length} of ${messages} messages arrived`);
      // The writer has ended by now, and reports its own CPU time.
      const cpu = cpuOfOthers && (publisher ? cpuOfOthers : { 'writer and relay': cpuUs / messages, ...cpuOfOthers });
      return { ms: warm(ms), commitMs: warm(commitMs), cpu };
    } finally {
      await publisher?.stop();
    }
  } finally {
    await consumer.disconnect();
    await world.close();
  }
}

/** The first seconds include compiling code and opening connections. */
const warm = (values: readonly number[]) => values.slice(values.length / 5);

export function latencyFigures(what: string, { ms, commitMs, cpu }: Latencies, goal?: string): Figure[] {
  const shown = (values: readonly number[]) => [0.5, 0.95, 0.99].map((q) => quantile(values, q).toFixed(1)).join(' / ');
  return [
    {
      what: `INSERT to consumer at ${PER_SECOND}/s, ${what}, p50 / p95 / p99 in ms`,
      value: shown(ms),
      ...(goal !== undefined && { goal }),
    },
    { what: '  of which INSERT to commit', value: shown(commitMs) },
    ...cpuFigures([cpu]),
  ];
}

async function consume({ name, ...kafka }: World, onMessage: (sentAt: bigint) => void) {
  const consumer = kafkaJs(kafka, 'bench', logLevel.NOTHING).consumer({
    groupId: `${name}-latency`,
    maxWaitTimeInMs: 500,
  });
  await consumer.connect();
  await consumer.subscribe({ topics: [name], fromBeginning: true });
  const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve));
  await consumer.run({
    partitionsConsumedConcurrently: 6,
    // It commits no offsets, because commits after every fetch would be measured too.
    autoCommit: false,
    eachMessage: ({ message }) => {
      const { note } = JSON.parse(String(message.value)) as { note: string };
      onMessage(BigInt(note.split(' ', 1)[0] ?? 0));
      return Promise.resolve();
    },
  });
  await joined;
  return consumer;
}
