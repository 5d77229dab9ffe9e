import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '@twinbox/messaging/testing';
import { type Consumer, Kafka, type KafkaMessage, logLevel } from 'kafkajs';
import { Random } from '../random.js';

export interface LoggedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  /** From its CloudEvents headers. */
  readonly id: string;
  readonly type: string;
  readonly sequence: number;
}

/** The number of newest records from which redelivered records are chosen. */
const RECENT = 300;

/** @param brokers host:port of each broker, separated by commas */
export const kafkaClient = (brokers: string) =>
  new Kafka({
    brokers: brokers.split(','),
    clientId: 'chaos',
    connectionTimeout: 3000,
    requestTimeout: 5000,
    logLevel: logLevel.NOTHING,
  });

/** Reads the topics from their beginnings and keeps reading as records arrive, across outages of the broker. */
export class TopicLog {
  /** The newest records, unchanged. */
  readonly recent: { topic: string; partition: number; message: KafkaMessage }[] = [];
  private readonly known = new Map<string, LoggedRecord>();
  private readonly ids = new Set<string>();
  /** The next offset to read, by topic and partition. */
  private readonly positions = new Map<string, number>();
  private readonly running: Promise<void>;
  private stopped = false;
  private consumer: Consumer | undefined;

  constructor(
    private readonly kafka: Kafka,
    private readonly topics: readonly string[],
  ) {
    this.running = this.read();
  }

  get records(): readonly LoggedRecord[] {
    return [...this.known.values()];
  }

  /** Whether a message with this id is on a topic. */
  has(id: string): boolean {
    return this.ids.has(id);
  }

  /** Waits until everything that is on the topics now has been read. */
  async complete(timeoutMs: number): Promise<void> {
    const ends = await until('the ends of the topics are known', () => endsOf(this.kafka, this.topics), timeoutMs);
    await until(
      'the topics are read to their ends',
      () => [...ends].every(([partition, end]) => (this.positions.get(partition) ?? 0) >= end),
      timeoutMs,
    );
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.consumer?.disconnect().catch(() => undefined);
    await this.running;
  }

  /** Replaces a consumer that has failed permanently. Records that are read again are ignored. */
  private async read(): Promise<void> {
    const groupId = `chaos-${randomUUID()}`;
    while (!this.stopped) {
      const consumer = this.kafka.consumer({
        groupId,
        sessionTimeout: 10_000,
        maxWaitTimeInMs: 200,
        retry: { retries: 2, restartOnFailure: () => Promise.resolve(false) },
      });
      this.consumer = consumer;
      const { promise: crashed, resolve: crash } = Promise.withResolvers<void>();
      consumer.on(consumer.events.CRASH, () => crash());
      consumer.on(consumer.events.DISCONNECT, () => crash());
      try {
        await consumer.connect();
        await consumer.subscribe({ topics: [...this.topics], fromBeginning: true });
        await consumer.run({
          eachBatch: ({ batch: { topic, partition, messages } }) => {
            for (const message of messages) this.add(topic, partition, message);
            return Promise.resolve();
          },
        });
        await crashed;
      } catch {
        // The broker is down. Retried until it is back.
      }
      await consumer.disconnect().catch(() => undefined);
      if (!this.stopped) await delay(200);
    }
  }

  private add(topic: string, partition: number, message: KafkaMessage): void {
    const offset = Number(message.offset);
    const place = `${topic}/${partition}`;
    this.positions.set(place, Math.max(offset + 1, this.positions.get(place) ?? 0));
    if (this.known.has(`${place}/${offset}`)) return;
    const header = (name: string) => message.headers?.[name]?.toString() ?? '';
    const id = header('ce_id');
    this.known.set(`${place}/${offset}`, {
      topic,
      partition,
      offset,
      key: message.key?.toString() ?? '',
      id,
      type: header('ce_type'),
      sequence: Number(header('ce_sequence')),
    });
    this.ids.add(id);
    this.recent.push({ topic, partition, message });
    if (this.recent.length > RECENT) this.recent.shift();
  }
}

/** Returns the offset of the next record, by topic and partition. */
export async function endsOf(kafka: Kafka, topics: readonly string[]): Promise<Map<string, number>> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const ends = new Map<string, number>();
    for (const topic of topics)
      for (const { partition, high } of await admin.fetchTopicOffsets(topic))
        ends.set(`${topic}/${partition}`, Number(high));
    return ends;
  } finally {
    await admin.disconnect();
  }
}

/** Returns how many records of the topic the group has not committed yet. */
export async function lagOf(kafka: Kafka, groupId: string, topic: string): Promise<number> {
  const ends = await endsOf(kafka, [topic]);
  const admin = kafka.admin();
  await admin.connect();
  try {
    const [committed] = await admin.fetchOffsets({ groupId, topics: [topic] });
    let lag = 0;
    for (const { partition, offset } of committed?.partitions ?? [])
      // -1 if the group has not committed anything in a partition.
      lag += Math.max(0, (ends.get(`${topic}/${partition}`) ?? 0) - Math.max(0, Number(offset)));
    return lag;
  } finally {
    await admin.disconnect();
  }
}

/** Redelivers random records from the newest ones, unchanged, until it is stopped. */
export class Redelivery {
  /** The number of records that Kafka has acknowledged. */
  delivered = 0;
  private readonly stopping = new AbortController();
  private readonly running: Promise<void>;

  constructor(
    private readonly kafka: Kafka,
    private readonly log: TopicLog,
    private readonly random: Random,
  ) {
    this.running = this.run();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      await delay(this.random.between(500, 2500), undefined, { signal }).catch(() => undefined);
      const [first, ...others] = this.log.recent;
      if (!first || signal.aborted) continue;
      const chosen = Array.from({ length: this.random.between(1, 8) }, () => this.random.oneOf([first, ...others]));
      this.delivered += await deliver(this.kafka, chosen).catch(() => 0);
    }
  }
}

async function deliver(kafka: Kafka, chosen: TopicLog['recent']): Promise<number> {
  const producer = kafka.producer({ allowAutoTopicCreation: false, retry: { retries: 1 } });
  await producer.connect();
  try {
    for (const { topic, partition, message } of chosen) {
      const { key, value, headers, timestamp } = message;
      await producer.send({ topic, messages: [{ key, value, partition, timestamp, ...(headers && { headers }) }] });
    }
    return chosen.length;
  } finally {
    await producer.disconnect();
  }
}
