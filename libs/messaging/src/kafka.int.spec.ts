import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { Partitioners } from 'kafkajs';
import { connectProducer, createTopics, refusal, unacknowledged } from './kafka.js';
import { partitionOf } from './partition.js';
import { testBrokers } from './testing/database.js';
import { readTopic } from './testing/topic.js';
import { until } from './testing/until.js';

const options = { brokers: testBrokers(), clientId: 'test' };

function aTopic() {
  return { name: `kafka-${randomUUID()}`, aggregateType: 'x', partitions: 2, retentionMs: 3_600_000, events: {} };
}

function aRecord(key: string) {
  return { key, value: '{}', timestamp: '0', headers: {} };
}

describe('a producer', () => {
  it('P3 sends nothing once it may no longer', async () => {
    const topic = aTopic();
    await createTopics(options, [topic]);
    const producer = await connectProducer(options);
    const reader = await readTopic(options.brokers, topic.name);

    const refused = producer.publish(new Map([[topic.name, [aRecord('refused')]]]), () => false);
    await expect(refused).rejects.toThrow('the lease was lost');
    await producer.publish(new Map([[topic.name, [aRecord('sent')]]]), () => true);

    await until('the allowed one is there', () => reader.records.length > 0);
    expect(reader.records.map(({ key }) => String(key))).toEqual(['sent']);
    await producer.close();
    await reader.close();
  });

  it('fails for a topic that does not exist, and makes none', async () => {
    const producer = await connectProducer(options);
    const name = aTopic().name;

    const sending = producer.publish(new Map([[name, [aRecord('a')]]]), () => true);

    await expect(sending).rejects.toThrow('topic-partition');
    await producer.close();
  });
});

describe('createTopics', () => {
  it('can be repeated', async () => {
    const topic = aTopic();

    await createTopics(options, [topic]);

    await expect(createTopics(options, [topic])).resolves.toBeUndefined();
  });

  it('refuses a topic that exists with other partitions', async () => {
    const topic = aTopic();
    await createTopics(options, [topic]);

    const again = createTopics(options, [{ ...topic, partitions: 3 }]);

    await expect(again).rejects.toThrow(`Topic ${topic.name} has 2 partitions, its contract says 3`);
  });

  it('says that Kafka cannot be reached', async () => {
    const nowhere = { ...options, brokers: ['127.0.0.1:1'] };

    await expect(createTopics(nowhere, [aTopic()])).rejects.toThrow(/ECONNREFUSED|connect/i);
  });
});

it('P2 a send counts for the topic-partitions that an answer names without an error', () => {
  const targets = new Set(['a/0', 'a/1', 'b/0']);
  const answers = [
    { topicName: 'a', partition: 0, errorCode: 0 },
    { topicName: 'b', partition: 0, errorCode: 7 },
  ];

  expect(unacknowledged(targets, answers)).toEqual(['a/1', 'b/0']);
});

it('P3 sends a key to the partition that every Kafka client chooses for it', () => {
  const choose = Partitioners.DefaultPartitioner();
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), fc.integer({ min: 1, max: 50 }), (key, partitions) => {
      const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => ({ partitionId, leader: 1 }));
      const theirs = choose({ topic: 't', partitionMetadata, message: { key, value: null } } as never);
      expect(partitionOf(key, partitions)).toBe(theirs);
    }),
  );
});

it('P5 blames a message for what Kafka refuses in it, and for nothing else', () => {
  const retried = (type: string) => new Error('gave up', { cause: Object.assign(new Error(type), { type }) });

  expect(refusal(retried('MESSAGE_TOO_LARGE'))).toBe('too large');
  expect(refusal(retried('INVALID_RECORD'))).toBe('invalid');
  for (const type of ['UNKNOWN_TOPIC_OR_PARTITION', 'TOPIC_AUTHORIZATION_FAILED', 'NOT_LEADER_FOR_PARTITION'])
    expect(refusal(retried(type))).toBeUndefined();
  expect(refusal(new Error('Connection timeout'))).toBeUndefined();
});
