import { randomUUID } from 'node:crypto';
import { inMetadata } from '../../test/kafka-answers.js';
import { KafkaLink } from '../../test/kafka-link.js';
import { testBrokers } from '../testing/database.js';
import { until } from '../testing/until.js';
import { storedCopies } from './topic-copies.js';
import { createTopics } from './topics.js';

const LEADER_NOT_AVAILABLE = 5;

const options = { brokers: testBrokers(), clientId: 'topic-copies' };
const aTopic = () => ({
  name: `copies-${randomUUID()}`,
  aggregateType: 'counter',
  partitions: 2,
  retentionMs: 60_000,
  events: {},
});

it('reads the replicas of a topic even if Kafka refuses to describe its configuration', async () => {
  const { name: topic, ...rest } = aTopic();
  await createTopics(options, [{ name: topic, ...rest }], { replicationFactor: 1, minInsyncReplicas: 1 });
  // A topic of another test may have no leader for a moment.
  const all = await until('everything can be read', async () => {
    const report = await storedCopies(options, [topic]);
    return report.complete && report;
  });
  expect(all).toEqual({ brokers: 1, complete: true, copies: [{ topic, replicas: 1, minInsyncReplicas: 1 }] });

  // Kafka's response to DescribeConfigs has an error code, an empty text, the type of the resource and its name.
  const TOPIC_AUTHORIZATION_FAILED = 29;
  const answer = (error: number) => Buffer.from([0, error, 0, 0, 2, 0, topic.length, ...Buffer.from(topic)]);
  const link = await KafkaLink.open(options.brokers[0]!);
  link.replaceInAnswers(answer(0), answer(TOPIC_AUTHORIZATION_FAILED));
  const refused = await storedCopies({ ...options, brokers: [link.broker] }, [topic]);
  await link.close();

  expect(refused).toMatchObject({
    brokers: 1,
    copies: [{ topic, replicas: 1, minInsyncReplicas: undefined }],
  });
});

it('P9 reads the other topics if one does not exist, or a foreign one has no leader', async () => {
  const [ours, foreign, missing] = [aTopic(), aTopic(), aTopic()];
  await createTopics(options, [ours, foreign], { replicationFactor: 1, minInsyncReplicas: 1 });
  const copies = [{ topic: ours.name, replicas: 1, minInsyncReplicas: 1 }];
  // A broker may learn a little later that it leads a new topic.
  await until('our topic can be read', async () => (await storedCopies(options, [ours.name])).copies.length === 1);

  const link = await KafkaLink.open(options.brokers[0]!);
  for (const partition of [0, 1])
    link.replaceInAnswers(
      inMetadata(foreign.name, partition, 0, 1),
      inMetadata(foreign.name, partition, LEADER_NOT_AVAILABLE, -1),
    );
  const beside = await storedCopies({ ...options, brokers: [link.broker] }, [ours.name]);
  await link.close();

  expect(beside).toEqual({ brokers: 1, complete: false, copies });
  expect(await storedCopies(options, [missing.name, ours.name])).toEqual({ brokers: 1, complete: false, copies });
});

it.each([
  [{ replicationFactor: 2 }, 'A replication factor of 2 needs 2 running brokers, but Kafka has 1'],
  [{ minInsyncReplicas: 2 }, 'min.insync.replicas of 2 exceeds the replication factor of 1'],
  [{ replicationFactor: 1, minInsyncReplicas: 2 }, 'min.insync.replicas of 2 exceeds the replication factor of 1'],
  [{ replicationFactor: 1.5 }, 'replicationFactor is 1.5, but must be a whole number from 1'],
  [{ minInsyncReplicas: 0 }, 'minInsyncReplicas is 0, but must be a whole number from 1'],
])('createTopics does not create a topic with %j', async (copies, message) => {
  const topic = aTopic();

  await expect(createTopics(options, [topic], copies)).rejects.toThrow(message);

  await expect(storedCopies(options, [topic.name])).rejects.toThrow('does not host this topic-partition');
});

it('createTopics ignores the copies of existing topics', async () => {
  const topic = aTopic();
  await createTopics(options, [topic]);

  await expect(createTopics(options, [topic], { replicationFactor: 3 })).resolves.toBeUndefined();
});
