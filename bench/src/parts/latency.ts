import { setTimeout as delay } from 'node:timers/promises';
import { Kafka, logLevel } from 'kafkajs';
import { type Child, startChild } from '../support/child.js';
import { type Figure, quantile } from '../support/figures.js';
import { type WriterOptions, type WriterResult } from '../processes/writer.js';
import { createWorld, type Servers, type World } from '../support/servers.js';
import { cpuFigures, cpuOf, type CpuPerMessage } from '../support/usage.js';

const PER_SECOND = 500;

/** Measures the time from just before the INSERT to the consumer, with one message per transaction. */
export async function latency(servers: Servers): Promise<Figure[]> {
  const beginRound = servers.rounds(3);
  // Not counted, because Kafka compiles its code in the first half minute after its start.
  beginRound('warming up');
  await measure(servers, 'warming up', false);
  beginRound('relay in the writing process');
  const within = await measure(servers, 'relay in the writing process', false);
  beginRound('relay in another process');
  return [...within, ...(await measure(servers, 'relay in another process', true))];
}

async function measure(servers: Servers, what: string, relayElsewhere: boolean): Promise<Figure[]> {
  const messages = (servers.quick ? 4 : 30) * PER_SECOND;
  const world = await createWorld(servers);
  const latencies: number[] = [];
  const consumer = await consume(world, (sentAt) => latencies.push(Number(process.hrtime.bigint() - sentAt) / 1e6));
  let commitMs: readonly number[] = [];
  let relay: Child<unknown> | undefined;
  let cpu: CpuPerMessage | undefined;
  try {
    if (relayElsewhere) {
      relay = await startChild('relay', world);
      // Lets it take the lease before the writer can.
      await delay(2000);
    }
    const options: WriterOptions = {
      databaseUrl: world.databaseUrl,
      brokers: world.brokers,
      name: world.name,
      perSecond: PER_SECOND,
      messages,
    };
    const writer = await startChild<WriterResult>('writer', options);
    const cpuPerMessage = await cpuOf(servers, relay ? { relay: [relay.pid] } : {});
    const written = await writer.result;
    ({ commitMs } = written);
    const cpuOfOthers = await cpuPerMessage(messages);
    // The writer has ended by now, and reports its own CPU time.
    cpu = cpuOfOthers && (relay ? cpuOfOthers : { 'writer and relay': written.cpuUs / messages, ...cpuOfOthers });
    await relay?.stop();
  } finally {
    await consumer.disconnect();
    await world.close();
  }
  // The first seconds include compiling code and opening connections.
  const warm = (values: readonly number[]) => values.slice(messages / 5);
  if (latencies.length < messages) throw new Error(`${latencies.length} of ${messages} messages arrived`);
  const shown = (values: readonly number[]) =>
    [0.5, 0.95, 0.99].map((q) => quantile(warm(values), q).toFixed(1)).join(' / ');
  return [
    {
      what: `INSERT to consumer at ${PER_SECOND}/s, ${what}, p50 / p95 / p99 in ms`,
      value: shown(latencies),
      goal: 'p50 ≤ 3.3, p99 ≤ 9',
    },
    { what: '  of which INSERT to commit', value: shown(commitMs) },
    ...cpuFigures([cpu]),
  ];
}

async function consume({ brokers, name }: World, onMessage: (sentAt: bigint) => void) {
  const consumer = new Kafka({ brokers: [...brokers], clientId: 'bench', logLevel: logLevel.NOTHING }).consumer({
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
