import { createTopics } from '../kafka/topics.js';
import { partitionOf } from '../kafka/partition.js';
import { type MessagingOptions } from '../messaging-options.js';
import { KafkaLink } from '../../test/kafka-link.js';
import { counts, createSandbox, inversions, type RelayProcess, type Sandbox } from '../../test/sandbox.js';
import { readTopic, type TopicReader } from '../testing/topic.js';
import { until } from '../testing/until.js';

let sandbox: Sandbox;
let link: KafkaLink;

beforeEach(async () => {
  sandbox = await createSandbox();
  link = await KafkaLink.open(sandbox.options.brokers[0]!);
});

afterEach(async () => {
  await sandbox.close();
  await link.close();
});

/** Creates a relay that reaches Kafka only through the link. */
const newRelay = (more?: Partial<MessagingOptions>): RelayProcess =>
  sandbox.newRelay(undefined, undefined, { brokers: [link.broker], ...more });

const parked = () => sandbox.database.sql('select from sandbox.outbox_parked');

const failures = (relay: RelayProcess) =>
  [...relay.counts.values()].reduce((sum, { sendFailures }) => sum + sendFailures, 0);

/** Encodes the text as in Kafka's responses, followed by the given bytes. */
const named = (text: string, ...rest: number[]) => Buffer.from([0, text.length, ...Buffer.from(text), ...rest]);

it('P2 does not lose a late message that joins a batch after Kafka got the first one and its answer was lost', async () => {
  const partition = (key: string) => partitionOf(key, sandbox.consumer.topic.partitions);
  // In the same partition as the others, where the broker takes 1,000 messages with the same sequence numbers for duplicates.
  const late = Array.from({ length: 100 }, (_, n) => `late-${n}`).find((key) => partition(key) === partition('a'))!;
  const relay = newRelay();
  const outbox = sandbox.outboxOf(relay);
  const slow = sandbox.dataSource.createQueryRunner();
  await slow.startTransaction();
  await sandbox.add(outbox, late, 1, slow.manager);
  const thousand = Array.from({ length: 1000 }, (_, n) => ({ type: 'Counted', data: { n } }));
  const aggregate = { aggregateType: 'counter', aggregateId: 'a', version: 1000 };
  await sandbox.dataSource.transaction((tx) => outbox.add(tx, aggregate, thousand));
  link.loseAnswers();
  relay.start();
  await until('Kafka has the first batch', () => sandbox.topic.ofKey('a').length >= 1000 && link.lost >= 2);

  await slow.commitTransaction();
  await slow.release();
  // The first read of a new term finds the late message first, and as many messages as before.
  const [lease] = await sandbox.database.sql<{ token: string }>(
    `update sandbox.relay_lease set holder = gen_random_uuid(), token = token + 1, expires_at = '-infinity' returning token`,
  );
  const { lost } = link;
  await until('its next term has sent something', async () => {
    const next = await sandbox.database.sql('select from sandbox.relay_lease where token > $1', [lease!.token]);
    return next.length === 1 && link.lost > lost + 1;
  });
  link.heal();

  await sandbox.drained();
  expect(counts(sandbox.topic, late)).not.toEqual([]);
  expect(new Set(counts(sandbox.topic, 'a')).size).toBe(1000);
  expect(inversions(sandbox.topic)).toEqual([]);
});

it('P2 sends records again that no answer lists, even if no answer had an error', async () => {
  const keys = Array.from({ length: 20 }, (_, n) => `key-${n}`);
  // kafkajs skips the records of a partition that is missing from Kafka's metadata, here because it is renamed to 9. The bytes are:
  // no error, the partition's number, its leader, and one replica, which is the only broker.
  const partition = (number: number) => Buffer.from([0, 0, 0, 0, 0, number, 0, 0, 0, 1, 0, 0, 0, 1]);
  link.replaceInAnswers(partition(2), partition(9));
  const relay = newRelay();
  const outbox = sandbox.outboxOf(relay);
  await sandbox.dataSource.transaction(async (tx) => {
    for (const key of keys) await sandbox.add(outbox, key, 1, tx);
  });
  relay.start();
  await until('it has found out', () => failures(relay) > 0);
  expect(relay.health()['problem']).toContain(`did not acknowledge ${sandbox.consumer.topic.name}/2`);

  link.heal();

  await until('all are published', () => keys.every((key) => sandbox.topic.ofKey(key).length > 0));
  await sandbox.drained();
});

describe('P2 waits for the end of an outage, which counts against no message:', () => {
  const TOPIC_AUTHORIZATION_FAILED = 29;
  const NOT_ENOUGH_REPLICAS = 19;

  /** Replaces Kafka's response to a producer for every partition. */
  const answerWith = (error: number) => () => {
    const answer = (partition: number, code: number) =>
      named(sandbox.consumer.topic.name, 0, 0, 0, 1, 0, 0, 0, partition, 0, code);
    for (let partition = 0; partition < sandbox.consumer.topic.partitions; partition++)
      link.replaceInAnswers(answer(partition, 0), answer(partition, error));
  };

  it.each([
    ['an unreachable broker', () => link.cut(), /connect|closed/i],
    ['a missing permission', answerWith(TOPIC_AUTHORIZATION_FAILED), /not authorized/i],
    ['missing replicas', answerWith(NOT_ENOUGH_REPLICAS), /replicas/i],
  ])('%s', async (_, fail, problem) => {
    const relay = newRelay();
    const outbox = sandbox.outboxOf(relay);
    fail();
    for (let n = 1; n <= 3; n++) for (const key of ['a', 'b']) await sandbox.add(outbox, key, n);

    relay.start();
    await until('it has tried again and again', () => failures(relay) >= 3);
    expect(relay.health()).toMatchObject({ role: 'leader', problem: expect.stringMatching(problem) });
    for (let n = 4; n <= 6; n++) for (const key of ['a', 'b']) await sandbox.add(outbox, key, n);
    link.heal();

    await sandbox.drained();
    for (const key of ['a', 'b'])
      await until('all are published', () => new Set(counts(sandbox.topic, key)).size === 6);
    expect(inversions(sandbox.topic)).toEqual([]);
    expect(await parked()).toEqual([]);
  });

  it('a missing topic', async () => {
    const contract = { ...sandbox.consumer.topic, name: `${sandbox.consumer.topic.name}-other` };
    const relay = newRelay({ publishes: [contract] });
    const outbox = sandbox.outboxOf(relay);
    for (let n = 1; n <= 5; n++) await sandbox.add(outbox, 'a', n);

    relay.start();
    await until('it has tried again and again', () => failures(relay) >= 3);
    expect(relay.health()).toMatchObject({ problem: expect.stringContaining('topic-partition') });
    await createTopics({ ...sandbox.options, clientId: 'test' }, [contract]);

    await sandbox.drained();
    const topic: TopicReader = await readTopic(sandbox.options.brokers, contract.name);
    await until('all are published', () => topic.ofKey('a').length === 5);
    expect(counts(topic, 'a')).toEqual([1, 2, 3, 4, 5]);
    expect(await parked()).toEqual([]);
    await topic.close();
  });
});

it('P9 is unhealthy with a reason while it leads and cannot send, and recovers; its standby stays healthy', async () => {
  const [leader, standby] = [newRelay(), newRelay()];
  leader.start();
  await until('it leads', () => leader.leads);
  standby.start();
  await until('the other stands by', () => standby.health()['role'] === 'standby');
  const outbox = sandbox.outboxOf(leader);
  await sandbox.add(outbox, 'a', 1);
  await until('it has a connection', () => counts(sandbox.topic, 'a').includes(1));

  link.silence();
  await sandbox.add(outbox, 'a', 2);
  // Before any request has failed because of Kafka's silence.
  const report = await until('it is unhealthy', () => !leader.health().healthy && leader.health(), 7000);
  link.cut();
  await until('it says why', () => /connect|closed/i.test(String(leader.health()['problem'])));

  expect(report).toMatchObject({ role: 'leader', withoutProgressForMs: expect.any(Number) });
  expect(leader.health()).toMatchObject({ role: 'leader', healthy: false });
  expect(standby.health()).toEqual({ healthy: true, role: 'standby' });
  link.heal();
  await until('it is healthy again', () => leader.health().healthy);
  await sandbox.drained();
  expect(leader.health()).toEqual({ healthy: true, role: 'leader' });
});
