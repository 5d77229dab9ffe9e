import { randomUUID } from 'node:crypto';
import kafkajs, { Kafka, logLevel } from 'kafkajs';
import { startConsumer } from '../kafka.js';
import { type KafkaRecord } from '../message.js';
import { until } from './until.js';

/** Everything that is on a topic, from its beginning, as it arrives. */
export interface TopicReader {
  readonly records: readonly KafkaRecord[];
  /** The records of one key, in the order of the topic. */
  ofKey(key: string): readonly KafkaRecord[];
  close(): Promise<void>;
}

export async function readTopic(brokers: readonly string[], topic: string): Promise<TopicReader> {
  const records: KafkaRecord[] = [];
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
          batch.resolve(record);
        }
        return Promise.resolve();
      },
    });
  // The coordinator of a Kafka that has just started takes no groups for a moment.
  const consumer = await until('the topic can be read', join);
  return {
    records,
    ofKey: (key) => records.filter((record) => record.key?.toString() === key),
    close: () => consumer.stop(),
  };
}

/** A record to put on a topic as it is, good or bad. */
export interface RawRecord {
  readonly key: string | Buffer | null;
  readonly value: string | Buffer | null;
  readonly headers?: Record<string, string | Buffer | (string | Buffer)[]>;
  readonly partition?: number;
  /** Milliseconds since the epoch; the producer's time unless given. */
  readonly timestamp?: string | Date;
}

/** Puts records on a topic without any outbox: for duplicates, and for what no outbox would write. */
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

/** Configures a topic. Kafka answers once it has written that down, and follows it a little later: this waits until then. */
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
