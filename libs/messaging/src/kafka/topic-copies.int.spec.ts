import { randomUUID } from 'node:crypto';
import { KafkaLink } from '../../test/kafka-link.js';
import { testBrokers } from '../testing/database.js';
import { storedCopies } from './topic-copies.js';
import { createTopics } from './topics.js';

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
  expect(await storedCopies(options, [topic])).toEqual({
    brokers: 1,
    copies: [{ topic, replicas: 1, minInsyncReplicas: 1 }],
  });

  // Kafka's response to DescribeConfigs has an error code, an empty text, the type of the resource and its name.
  const TOPIC_AUTHORIZATION_FAILED = 29;
  const answer = (error: number) => Buffer.from([0, error, 0, 0, 2, 0, topic.length, ...Buffer.from(topic)]);
  const link = await KafkaLink.open(options.brokers[0]!);
  link.replaceInAnswers(answer(0), answer(TOPIC_AUTHORIZATION_FAILED));
  const refused = await storedCopies({ ...options, brokers: [link.broker] }, [topic]);
  await link.close();

  expect(refused).toEqual({ brokers: 1, copies: [{ topic, replicas: 1, minInsyncReplicas: undefined }] });
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
