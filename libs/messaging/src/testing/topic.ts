import { randomUUID } from 'node:crypto';
import kafkajs, { Kafka, logLevel } from 'kafkajs';
import { startConsumer } from '../kafka/consumer.js';
import { type KafkaRecord } from '../message/message.js';
import { until } from './until.js';

/** Collects all records of a topic from its beginning, as they arrive. */
export interface TopicReader {
  readonly records: readonly KafkaRecord[];
  /** The records of one key, in topic order. */
  ofKey(key: string): readonly KafkaRecord[];
  /**
   * Waits until it has read every record that the topic has at the time of the call. Not for topics with transactions, whose markers
   * have offsets too.
   */
  caughtUp(): Promise<void>;
  close(): Promise<void>;
}

/** Starts reading a topic from its beginning. */
export async function readTopic(brokers: readonly string[], topic: string): Promise<TopicReader> {
  const records: KafkaRecord[] = [];
  /** The next offset to read, by partition. */
  const next = new Map<number, number>();
  const join = () =>
    startConsumer({
      brokers,
      clientId: 'topic-reader',
      groupId: `topic-reader-${randomUUID()}`,
      topic,
      concurrency: 1,
      onBatch: (batch) => {
        for (const record of batch.records) {
          records.push(record);
          next.set(record.partition, Number(record.offset) + 1);
          batch.resolve(record);
        }
        return Promise.resolve();
      },
    });
  // The group coordinator of a newly started Kafka does not accept groups for a moment.
  const consumer = await until('the topic can be read', join);
  return {
    records,
    ofKey: (key) => records.filter((record) => record.key?.toString() === key),
    async caughtUp() {
      const ends = await endOffsets(brokers, topic);
      await until('the topic is read to its end', () =>
        ends.every(([partition, end]) => (next.get(partition) ?? 0) >= end),
      );
    },
    close: () => consumer.stop(),
  };
}

/** The offsets after the last records of the partitions that have records. */
async function endOffsets(brokers: readonly string[], topic: string): Promise<(readonly [number, number])[]> {
  const admin = new Kafka({ brokers: [...brokers], clientId: 'test', logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    const partitions = await admin.fetchTopicOffsets(topic);
    return partitions
      .filter(({ low, high }) => low !== high)
      .map(({ partition, high }) => [partition, Number(high)] as const);
  } finally {
    await admin.disconnect();
  }
}

/** A record to produce unchanged, valid or not. */
export interface RawRecord {
  readonly key: string | Buffer | null;
  readonly value: string | Buffer | null;
  readonly headers?: Record<string, string | Buffer | (string | Buffer)[]>;
  readonly partition?: number;
  /** Milliseconds since the epoch. Default: the producer's time. */
  readonly timestamp?: string | Date;
}

/** Produces records directly, without an outbox: duplicates, or records that no outbox would write. */
export async function produce(brokers: readonly string[], topic: string, records: readonly RawRecord[]): Promise<void> {
  const producer = new Kafka({ brokers: [...brokers], clientId: 'test', logLevel: logLevel.NOTHING }).producer({
    allowAutoTopicCreation: false,
  });
  await producer.connect();
  try {
    const messages = records.map(({ timestamp, ...record }) => ({
      ...record,
      ...(timestamp !== undefined && { timestamp: String(Number(timestamp)) }),
    }));
    await producer.send({ topic, messages });
  } finally {
    await producer.disconnect();
  }
}

/** Configures a topic. Waits until the change takes effect, because Kafka responds as soon as it has stored it. */
export async function configureTopic(
  brokers: readonly string[],
  topic: string,
  configs: Readonly<Record<string, string>>,
): Promise<void> {
  const resource = { type: kafkajs.ConfigResourceTypes.TOPIC, name: topic };
  const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }));
  const admin = new Kafka({ brokers: [...brokers], clientId: 'test', logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries }] });
    await until(`${topic} is configured`, async () => {
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ ...resource, configNames: Object.keys(configs) }],
      });
      const known = resources[0]?.configEntries ?? [];
      return known.every(({ configName, configValue }) => configs[configName] === configValue);
    });
  } finally {
    await admin.disconnect();
  }
}
