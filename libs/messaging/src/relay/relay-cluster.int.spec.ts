import { type INestApplication } from '@nestjs/common';
import { CounterController, inboxHealth, startCounter } from '../../test/counter-process.js';
import { type KafkaCluster, KafkaLeaders, startKafkaCluster } from '../../test/kafka-cluster.js';
import { runsJava } from '../../test/java.js';
import { counts, createSandbox, inversions, type Sandbox } from '../../test/sandbox.js';
import { storedCopies } from '../kafka/topic-copies.js';
import { createTopics } from '../kafka/topics.js';
import { MessagingHealth } from '../operations/health.js';
import { Outbox } from '../outbox/outbox.js';
import { configureTopic, readTopic } from '../testing/topic.js';
import { until } from '../testing/until.js';

const KEYS = Array.from({ length: 12 }, (_, n) => `key-${n}`);
const RECOVERY_MS = 60_000;
const MOVED_MS = 30_000;
/** A new coordinator waits for the members of the old one until their sessions have ended. */
const SHORT_SESSION = { sessionMs: 3000 };

const describeWithCluster = runsJava ? describe : describe.skip;

describeWithCluster('a cluster of three brokers', () => {
  let cluster: KafkaCluster;
  let brokers: readonly string[];
  let sandbox: Sandbox;
  let leaders: KafkaLeaders;
  let app: INestApplication;
  let written = 0;

  beforeAll(async () => {
    cluster = await startKafkaCluster();
    brokers = cluster.brokers.split(',');
  });
  afterAll(() => cluster.remove());

  beforeEach(async () => {
    sandbox = await createSandbox({ brokers });
    leaders = new KafkaLeaders(brokers, [sandbox.consumer.topic.name]);
    await sandbox.database.sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
    CounterController.next = () => undefined;
    app = await startCounter(sandbox, SHORT_SESSION);
    written = 0;
    await write();
    await handled();
  });

  afterEach(async () => {
    await app.close();
    await sandbox.close();
  });

  /** Adds the next message of each key, in one transaction per key. */
  async function write(): Promise<void> {
    const n = ++written;
    await Promise.all(KEYS.map((key) => sandbox.add(app.get(Outbox), key, n)));
  }

  const effects = async () =>
    sandbox.database.sql<{ key: string; n: number }>('select key, n from sandbox.effects order by seq');

  /** Waits until everything written so far was handled. */
  const handled = async () =>
    until('everything is handled', async () => (await effects()).length >= written * KEYS.length, RECOVERY_MS);

  const relayHealth = () => app.get(MessagingHealth).check().components['relay'];

  /** Each message is on the topic and handled once, and those of each key are in order. */
  async function nothingIsLostOrInverted(): Promise<void> {
    await handled();
    await sandbox.published();
    // The sandbox's own reader does not survive the loss of its coordinator.
    const topic = await readTopic(brokers, sandbox.consumer.topic.name);
    await topic.caughtUp();
    await topic.close();
    const all = Array.from({ length: written }, (_, n) => n + 1);
    const found = await effects();
    for (const key of KEYS) {
      expect([...new Set(counts(topic, key))]).toEqual(all);
      expect(found.filter((effect) => effect.key === key).map(({ n }) => n)).toEqual(all);
    }
    expect(inversions(topic)).toEqual([]);
    await until('all is healthy', () => app.get(MessagingHealth).check().healthy, RECOVERY_MS);
    expect(inboxHealth(app)).toMatchObject({ consuming: true, parked: 0, deadLetters: 0 });
  }

  it('P2 P3 P4 relay and inbox follow partition leaders that move', async () => {
    for (let round = 0; round < 3; round++) {
      await write();
      expect(await leaders.move(() => 1, MOVED_MS)).toBeGreaterThan(0);
      await write();
    }

    await nothingIsLostOrInverted();
  });

  it('P2 P3 P4 they continue while the coordinator of the group, which also leads partitions, is down', async () => {
    const { groupId } = sandbox.consumer;
    const coordinator = await leaders.coordinatorOf(groupId);
    const broker = cluster.nodes[(coordinator ?? 0) - 1]!;

    await broker.kill();
    await write();
    await handled();
    const successor = await leaders.coordinatorOf(groupId);
    await write();
    await broker.start();
    await leaders.settle();
    await write();

    expect([1, 2, 3]).toContain(successor);
    expect(successor).not.toBe(coordinator);
    await nothingIsLostOrInverted();
  });

  it('P2 P3 P4 they wait while too few replicas are in sync, and continue when there are enough', async () => {
    const { name } = sandbox.consumer.topic;
    await configureTopic(brokers, name, { 'min.insync.replicas': '3' });
    const broker = cluster.nodes[0]!;

    await broker.kill();
    await write();
    await until('it is refused', () => /replicas/i.test(String(relayHealth()?.['problem'])), RECOVERY_MS);
    await write();
    await broker.start();
    await leaders.settle();

    await nothingIsLostOrInverted();
    expect(await sandbox.database.sql('select from sandbox.outbox_parked')).toEqual([]);
  });

  it('createTopics sets the copies of new topics, which are those of the brokers by default', async () => {
    const { topic } = sandbox.consumer;
    const options = { brokers, clientId: 'copies' };
    const [one, two] = [`${topic.name}-one`, `${topic.name}-two`];

    await createTopics(options, [{ ...topic, name: one }], { replicationFactor: 1, minInsyncReplicas: 1 });
    await createTopics(options, [{ ...topic, name: two }], { minInsyncReplicas: 3 });

    expect(await storedCopies(options, [topic.name, one, two])).toMatchObject({
      brokers: 3,
      copies: [
        { topic: topic.name, replicas: 3, minInsyncReplicas: 2 },
        { topic: one, replicas: 1, minInsyncReplicas: 1 },
        { topic: two, replicas: 3, minInsyncReplicas: 3 },
      ],
    });
    await expect(
      createTopics(options, [{ ...topic, name: `${topic.name}-four` }], { replicationFactor: 4 }),
    ).rejects.toThrow('A replication factor of 4 needs 4 running brokers, but Kafka has 3');
  });

  it('P9 the relay stays healthy but reports that an acknowledged message may exist only once', async () => {
    await configureTopic(brokers, sandbox.consumer.topic.name, { 'min.insync.replicas': '1' });
    await app.close();
    app = await startCounter(sandbox, SHORT_SESSION);

    // Nothing has been published yet.
    await until(
      'it reports the risk',
      () => /min\.insync\.replicas of/.test(String(relayHealth()?.['problem'])),
      RECOVERY_MS,
    );

    expect(relayHealth()).toMatchObject({
      healthy: true,
      problem: expect.stringContaining(`min.insync.replicas of ${sandbox.consumer.topic.name} is 1`),
    });
  });
});
