import { Logger } from '@nestjs/common';
import kafkajs, { Kafka, logLevel } from 'kafkajs';
import { createTopics } from '../kafka/topics.js';
import { partitionOf } from '../kafka/partition.js';
import { type BlockedType } from './routes.js';
import { counts, createSandbox, inversions, type Sandbox } from '../../test/sandbox.js';
import { readTopic } from '../testing/topic.js';
import { until } from '../testing/until.js';

let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await createSandbox();
  Logger.overrideLogger(['fatal']);
});

afterEach(async () => {
  await sandbox.close();
});

const admin = () =>
  new Kafka({ brokers: [...sandbox.options.brokers], clientId: 'test', logLevel: logLevel.NOTHING }).admin();

async function addPartitions(topic: string, count: number): Promise<void> {
  const client = admin();
  await client.connect();
  await client.createPartitions({ topicPartitions: [{ topic, count }] });
  await client.disconnect();
}

const KEYS = Array.from({ length: 20 }, (_, n) => `key-${n}`);

it('P3 sends nothing to a topic whose number of partitions differs from its contract, and says what to do', async () => {
  const { topic: contract } = sandbox.consumer;
  const relay = sandbox.newRelay();
  const outbox = sandbox.outboxOf(relay);
  relay.start();
  for (const key of KEYS) await sandbox.add(outbox, key, 1);
  await sandbox.drained();

  await addPartitions(contract.name, 6);
  let n = 1;
  await until('it has noticed', async () => {
    n++;
    for (const key of KEYS) await sandbox.add(outbox, key, n);
    return String(relay.health()['problem']).includes('has 6 partitions, but its contract declares 4');
  });
  expect(relay.health()['problem']).toContain('Change the number of partitions');
  for (const { key, partition } of sandbox.topic.records) expect(partition).toBe(partitionOf(String(key), 4));
  expect(await sandbox.database.sql('select from sandbox.outbox_parked')).toEqual([]);
  await relay.stop();

  // The consumers have handled everything, and the version with the new contract is deployed.
  const renewed = sandbox.newRelay(undefined, undefined, { publishes: [{ ...contract, partitions: 6 }] });
  renewed.start();
  await sandbox.published();
  // The existing reader knows only the partitions that existed when it joined.
  const reader = await readTopic(sandbox.options.brokers, contract.name);
  for (const key of KEYS) await until('all are published', () => new Set(counts(reader, key)).size === n);
  await reader.close();
  await until('it is healthy', () => renewed.health().healthy);
});

it('P2 continues with the other topics meanwhile', async () => {
  const { topic: contract } = sandbox.consumer;
  const other = { ...contract, name: `${contract.name}-other`, aggregateType: 'other' };
  await createTopics({ ...sandbox.options, clientId: 'test' }, [other]);
  await addPartitions(other.name, 5);
  const relay = sandbox.newRelay(undefined, undefined, { publishes: [contract, other] });
  await sandbox.database.sql(
    `insert into sandbox.outbox (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
     select gen_random_uuid(), case n % 2 when 0 then 'other' else 'counter' end, 'a', 'Counted', 'urn:event:Counted:1', n,
            '{"n":' || n || '}'
       from generate_series(1, 20) as n order by n`,
  );

  relay.start();

  await until('the others are published', () => counts(sandbox.topic, 'a').length >= 10);
  await until('it says so', () => (relay.health()['blocked'] as BlockedType[] | undefined)?.length === 1);
  expect(relay.health()['problem']).toContain(`topic ${other.name} has 5 partitions, but its contract declares 4`);
  const reader = await readTopic(sandbox.options.brokers, other.name);
  await relay.stop();
  expect(reader.records).toEqual([]);
  expect(inversions(sandbox.topic)).toEqual([]);
  await reader.close();
});

it('createTopics leaves the choice of compression to the producers', async () => {
  const client = admin();
  await client.connect();

  const { resources } = await client.describeConfigs({
    includeSynonyms: false,
    resources: [
      { type: kafkajs.ConfigResourceTypes.TOPIC, name: sandbox.consumer.topic.name, configNames: ['compression.type'] },
    ],
  });

  expect(resources[0]?.configEntries).toMatchObject([
    { configName: 'compression.type', configValue: 'producer', isDefault: false },
  ]);
  await client.disconnect();
});
