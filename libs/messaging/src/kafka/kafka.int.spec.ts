import { randomUUID } from 'node:crypto';
import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import fc from 'fast-check';
import { Kafka, Partitioners } from 'kafkajs';
import { failureScope, isTimestampRefusal, refusal } from './kafka-errors.js';
import { connectProducer, unacknowledged } from './producer.js';
import { createTopics } from './topics.js';
import { partitionOf } from './partition.js';
import { testBrokers } from '../testing/database.js';
import { aRow } from '../../test/published-record.js';
import { inMetadata } from '../../test/kafka-answers.js';
import { KafkaLink } from '../../test/kafka-link.js';
import { readTopic } from '../testing/topic.js';
import { until } from '../testing/until.js';

Logger.overrideLogger(['error', 'fatal']);

const options = { brokers: testBrokers(), clientId: 'test' };

function aTopic() {
  return { name: `kafka-${randomUUID()}`, aggregateType: 'x', partitions: 2, retentionMs: 3_600_000, events: {} };
}

describe('a producer', () => {
  it('P3 sends nothing once it is no longer allowed to', async () => {
    const topic = aTopic();
    await createTopics(options, [topic]);
    const producer = await connectProducer({ ...options, source: '/test' });
    const reader = await readTopic(options.brokers, topic.name);

    const refused = producer.publish(new Map([[topic.name, [aRow({ aggregateid: 'refused' })]]]), () => false);
    await expect(refused).rejects.toThrow('the lease was lost');
    await producer.publish(new Map([[topic.name, [aRow({ aggregateid: 'sent' })]]]), () => true);

    await until('the allowed one is there', () => reader.records.length > 0);
    expect(reader.records.map(({ key }) => String(key))).toEqual(['sent']);
    await producer.close();
    await reader.close();
  });

  it('fails for a topic that does not exist, and does not create it', async () => {
    const producer = await connectProducer({ ...options, source: '/test' });
    const name = aTopic().name;

    const sending = producer.publish(new Map([[name, [aRow({ aggregateid: 'a' })]]]), () => true);

    await expect(sending).rejects.toThrow('topic-partition');
    await producer.close();
  });
});

describe('createTopics', () => {
  afterEach(() => jest.restoreAllMocks());

  /** Counts how often its client asked Kafka to create topics or for their leaders. */
  function watchTries(): () => number {
    let tries = 0;
    const admin = Reflect.get(Kafka.prototype, 'admin');
    jest.spyOn(Kafka.prototype, 'admin').mockImplementation(function (this: Kafka, config) {
      const real = admin.call(this, config);
      const count = (step: 'createTopics' | 'fetchTopicMetadata') => ({
        [step]: (...args: unknown[]) => {
          tries++;
          return (real[step] as (...all: unknown[]) => unknown)(...args);
        },
      });
      return { ...real, ...count('createTopics'), ...count('fetchTopicMetadata') };
    });
    return () => tries;
  }

  it('can be repeated', async () => {
    const topic = aTopic();

    await createTopics(options, [topic]);

    await expect(createTopics(options, [topic])).resolves.toBeUndefined();
  });

  it('rejects an existing topic with another number of partitions', async () => {
    const topic = aTopic();
    await createTopics(options, [topic]);

    const again = createTopics(options, [{ ...topic, partitions: 3 }]);

    await expect(again).rejects.toThrow(`Topic ${topic.name} has 2 partitions, but its contract declares 3`);
  });

  it.each(['the topic itself', 'another topic'])('waits while %s has no leader yet', async (which) => {
    const [topic, other] = [aTopic(), aTopic()];
    await createTopics(options, [other]);
    const link = await KafkaLink.open(options.brokers[0]!);
    const leaderless = which === 'another topic' ? other : topic;
    for (const partition of [0, 1])
      link.replaceInAnswers(
        inMetadata(leaderless.name, partition, 0, 1),
        inMetadata(leaderless.name, partition, 5, -1),
      );
    const tries = watchTries();

    const created = createTopics({ ...options, brokers: [link.broker] }, [topic]);
    await Promise.race([created, until('it has tried again', () => tries() >= 3)]);
    link.heal();

    await expect(created).resolves.toBeUndefined();
    await link.close();
  });

  it('reports that Kafka cannot be reached', async () => {
    const nowhere = { ...options, brokers: ['127.0.0.1:1'] };

    await expect(createTopics(nowhere, [aTopic()])).rejects.toThrow(/ECONNREFUSED|connect/i);
  });
});

describe('a producer connects', () => {
  const closed = '127.0.0.1:1';

  afterEach(() => jest.restoreAllMocks());

  it('P2 if the first broker accepts connections but does not answer', async () => {
    const link = await KafkaLink.open(options.brokers[0]!);
    link.silence();
    // Always the first one, wherever the client starts.
    jest.spyOn(Math, 'random').mockReturnValue(0);

    const producer = await connectProducer({ ...options, source: '/test', brokers: [link.broker, ...options.brokers] });

    expect(link.taken).toBeGreaterThan(0);
    await producer.close();
    await link.close();
  });

  it('P2 if most brokers are down', async () => {
    const brokers = [closed, closed, closed, ...options.brokers];

    const producer = await until('it is connected', () => connectProducer({ ...options, source: '/test', brokers }));

    await producer.close();
  });
});

it('P9 the client’s errors are logged at their level, once a minute', async () => {
  const errors = jest.spyOn(Logger.prototype, 'error');
  // A host that no other test has caused an error for.
  const host = `host-${randomUUID().replaceAll(/\d/g, 'g')}.invalid`;
  const nowhere = { ...options, brokers: [`${host}:9092`] };

  for (const _ of [1, 2]) await expect(createTopics(nowhere, [aTopic()])).rejects.toThrow(host);

  const lines = errors.mock.calls.map(([line]) => String(line)).filter((line) => line.includes(host));
  expect(lines).toContainEqual(expect.stringContaining(`Connection error: getaddrinfo`));
  expect(new Set(lines).size).toBe(lines.length);
  jest.restoreAllMocks();
});

it('P2 a send counts only for the topic-partitions that an answer lists without an error', () => {
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

it('P5 blames a message only for a rejection of its contents', () => {
  const retried = (type: string) => new Error('gave up', { cause: Object.assign(new Error(type), { type }) });

  expect(refusal(retried('MESSAGE_TOO_LARGE'))).toBe('too large');
  expect(refusal(retried('INVALID_RECORD'))).toBe('invalid');
  for (const type of ['UNKNOWN_TOPIC_OR_PARTITION', 'TOPIC_AUTHORIZATION_FAILED', 'NOT_LEADER_FOR_PARTITION'])
    expect(refusal(retried(type))).toBeUndefined();
  expect(refusal(new Error('Connection timeout'))).toBeUndefined();
  // Kafka does not say whose clock is wrong.
  expect(refusal(retried('INVALID_TIMESTAMP'))).toBeUndefined();
  expect(isTimestampRefusal(retried('INVALID_TIMESTAMP'))).toBe(true);
});

it('P2 distinguishes the failure of one topic from an outage of Kafka', () => {
  const retried = (type: string) => new Error('gave up', { cause: Object.assign(new Error(type), { type }) });

  for (const type of ['UNKNOWN_TOPIC_OR_PARTITION', 'TOPIC_AUTHORIZATION_FAILED', 'NOT_ENOUGH_REPLICAS'])
    expect(failureScope(retried(type))).toBe('topic');
  expect(failureScope(retried('CLUSTER_AUTHORIZATION_FAILED'))).toBe('kafka');
  expect(failureScope(new Error('Connection timeout'))).toBeUndefined();
});
