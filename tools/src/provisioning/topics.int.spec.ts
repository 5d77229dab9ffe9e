import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { testBrokers } from '@twinbox/messaging/testing';

const names = { ORDER_EVENTS_TOPIC: `orders-${randomUUID()}`, PAYMENT_EVENTS_TOPIC: `payments-${randomUUID()}` };

const command = fileURLToPath(new URL('../../dist/provisioning/topics.js', import.meta.url));

/** Runs the command as an operator does. */
const topics = (variables: NodeJS.ProcessEnv) =>
  promisify(execFile)(process.execPath, [command], {
    env: { ...process.env, KAFKA_BROKERS: testBrokers().join(','), ...names, ...variables },
  });

it('creates the topics with the configured names and numbers of partitions, and rejects other numbers later', async () => {
  const { stdout } = await topics({ ORDER_EVENTS_PARTITIONS: '3' });

  expect(stdout).toBe(`${names.ORDER_EVENTS_TOPIC}: 3 partitions\n${names.PAYMENT_EVENTS_TOPIC}: 6 partitions\n`);
  await expect(topics({ ORDER_EVENTS_PARTITIONS: '4' })).rejects.toMatchObject({
    stderr: expect.stringContaining(`${names.ORDER_EVENTS_TOPIC} has 3 partitions`),
  });
});

it.each(['0', '-1', '2.5', 'six'])('rejects %j as a number of partitions', async (ORDER_EVENTS_PARTITIONS) => {
  await expect(topics({ ORDER_EVENTS_PARTITIONS })).rejects.toMatchObject({
    stderr: expect.stringContaining('ORDER_EVENTS_PARTITIONS must be a whole number from 1 to 9999'),
  });
});

it.each([
  [{ KAFKA_TOPIC_REPLICATION_FACTOR: '0' }, 'KAFKA_TOPIC_REPLICATION_FACTOR must be a whole number from 1 to 99'],
  [{ KAFKA_TOPIC_MIN_INSYNC_REPLICAS: 'two' }, 'KAFKA_TOPIC_MIN_INSYNC_REPLICAS must be a whole number from 1 to 99'],
  [{ KAFKA_TOPIC_REPLICATION_FACTOR: '99' }, 'A replication factor of 99 needs 99 running brokers, but Kafka has 1'],
  [{ KAFKA_TOPIC_MIN_INSYNC_REPLICAS: '2' }, 'min.insync.replicas of 2 exceeds the replication factor of 1'],
])('rejects %j', async (copies, message) => {
  // Copies are checked only if a topic is missing.
  const missing = { ORDER_EVENTS_TOPIC: `missing-${randomUUID()}` };

  await expect(topics({ ...missing, ...copies })).rejects.toMatchObject({ stderr: expect.stringContaining(message) });
});

it('rejects the same name for both topics', async () => {
  await expect(topics({ ORDER_EVENTS_TOPIC: names.PAYMENT_EVENTS_TOPIC })).rejects.toMatchObject({
    stderr: `topics: ORDER_EVENTS_TOPIC and PAYMENT_EVENTS_TOPIC are both "${names.PAYMENT_EVENTS_TOPIC}", but must differ\n`,
  });
});
