import { type INestApplication } from '@nestjs/common';
import { type Admin, Kafka, logLevel } from 'kafkajs';
import { DataSource } from 'typeorm';
import { MessagingMetrics } from '../metrics/metrics.js';
import { Incidents } from '../operations/incidents.js';
import { groupOffsets } from '../kafka/group-offsets.js';
import { type InboxOptions } from '../messaging-options.js';
import { moveOffsets } from './move-offsets.js';
import { counted, CounterController, inboxHealth, startCounter } from '../../test/counter-process.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';
import { configureTopic, produce, type RawRecord } from '../testing/topic.js';
import { until } from '../testing/until.js';

let sandbox: Sandbox;
let admin: Admin;
const apps: INestApplication[] = [];
/** Opened after each test, so that no handler is left waiting. */
let gate: PromiseWithResolvers<void>;

async function start(options: Partial<InboxOptions> = {}, other: Partial<Sandbox> = {}): Promise<INestApplication> {
  const app = await startCounter({ ...sandbox, ...other }, { sessionMs: 1000, ...options });
  apps.push(app);
  return app;
}

const stopAll = () => Promise.all(apps.splice(0).map((app) => app.close()));
const topicName = () => sandbox.consumer.topic.name;
const send = (...records: RawRecord[]) => produce(sandbox.options.brokers, topicName(), records);
const sql = (text: string) => sandbox.database.sql(text);
const effects = async () => (await sql('select n from sandbox.effects order by n')).map(({ n }) => n as number);
const upTo = (count: number, from = 0) => Array.from({ length: count }, (_, n) => n + from);
/** Sends `count` messages to partition 0, numbered from `from`. */
const sendMany = (count: number, from = 0) =>
  send(...upTo(count, from).map((n) => counted(n, { key: 'a', partition: 0 })));
const handled = (count: number) => until(`${count} are handled`, async () => (await effects()).length >= count);
async function deleteUpTo(offset: number): Promise<void> {
  // Makes the client load the topic's leaders.
  await admin.fetchTopicOffsets(topicName());
  await admin.deleteTopicRecords({ topic: topicName(), partitions: [{ partition: 0, offset: String(offset) }] });
}

async function inKafka(): Promise<{ committed: number; marked: boolean; low: number }> {
  const { groupId } = sandbox.consumer;
  const [{ committed, marked, low } = {}] = await groupOffsets(kafka(), {
    groupId,
    topic: topicName(),
  });
  return { committed: Number(committed ?? -1), marked: marked === true, low: Number(low) };
}
const kafka = () => ({ brokers: sandbox.options.brokers, clientId: 'test' });

async function inDatabase(): Promise<number | undefined> {
  const [row] = await sql('select next_offset::int as next from sandbox.inbox_offsets where partition = 0');
  return row?.['next'] as number | undefined;
}

const incidents = () =>
  sql(`select kind, subject, occurrences, (detail ->> 'messages')::int as messages from sandbox.messaging_incidents
        where acknowledged_at is null order by kind`);

/** Sets the database back as a restore, or a failover that loses transactions, would: to fewer effects and a lower offset. */
async function goBackTo(effectsKept: number, offset: number | 'none'): Promise<void> {
  await sql(`delete from sandbox.inbox where message_id in (
               select message_id from sandbox.inbox order by received_at offset ${effectsKept})`);
  await sql(`delete from sandbox.effects where n >= ${effectsKept}`);
  if (offset === 'none') await sql('delete from sandbox.inbox_offsets');
  else await sql(`update sandbox.inbox_offsets set next_offset = ${offset} where partition = 0`);
}

beforeEach(async () => {
  gate = Promise.withResolvers();
  sandbox = await createSandbox();
  await sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
  CounterController.next = () => undefined;
  admin = new Kafka({ ...kafka(), brokers: [...sandbox.options.brokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
});

afterEach(async () => {
  gate.resolve();
  await stopAll();
  await admin.disconnect();
  await sandbox.close();
});

/** Handles 50 messages and stops the consumer. */
async function handleFifty(): Promise<void> {
  await start();
  await sendMany(50);
  await handled(50);
  await stopAll();
}

describe('offsets in the database', () => {
  it('are written before they are committed to Kafka, and both agree after a stop', async () => {
    await handleFifty();

    expect(await inDatabase()).toBe(50);
    expect(await inKafka()).toMatchObject({ committed: 50, marked: true });
    expect(await incidents()).toEqual([]);
  });

  it.each([
    ['by a while', 20, 20],
    ['to before anything was settled', 0, 0],
    ['to before the consumer first joined', 0, 'none'],
  ] as const)(
    'P2 a database set back %s gets the messages again, although Kafka has them as committed',
    async (_, kept, offset) => {
      await handleFifty();
      await goBackTo(kept, offset);

      const app = await start();
      await handled(50);

      expect(await effects()).toEqual(upTo(50));
      expect(await incidents()).toMatchObject([{ kind: 'offsets-went-back', messages: 50 - kept, occurrences: 1 }]);
      expect(app.get(Incidents).health()).toMatchObject({ healthy: false });
      await stopAll();
      await start();
      await sendMany(1, 50);
      await handled(51);
      expect(await incidents()).toMatchObject([{ occurrences: 1 }]);
    },
  );

  it('P2 a database set back under a running consumer gets the messages again, whether more arrive or not', async () => {
    await start();
    await sendMany(50);
    await until('all are settled', async () => (await inDatabase()) === 50);

    await goBackTo(20, 20);
    await handled(50);
    await until('all are settled again', async () => (await inDatabase()) === 50);
    await goBackTo(30, 30);
    await sendMany(10, 50);
    await handled(60);

    expect(await effects()).toEqual(upTo(60));
    expect(await incidents()).toMatchObject([{ kind: 'offsets-went-back', occurrences: 2 }]);
  });

  it('a crash between the two writes is not an incident', async () => {
    await handleFifty();
    await admin.setOffsets({
      groupId: sandbox.consumer.groupId,
      topic: topicName(),
      partitions: [{ partition: 0, offset: '30' }],
    });

    const app = await start();
    await until('they are found to be duplicates', () => inboxHealth(app)['duplicates'] === 20);

    expect(await incidents()).toEqual([]);
    expect(await inDatabase()).toBe(50);
  });

  it('a consumer of the previous version, which stores no offsets, hands over without loss or incident', async () => {
    await handleFifty();
    const { groupId } = sandbox.consumer;
    const partitions = [{ partition: 0, offset: '50' }];
    await admin.setOffsets({ groupId, topic: topicName(), partitions });
    expect(await inKafka()).toMatchObject({ committed: 50, marked: false });
    await sql('delete from sandbox.inbox_offsets');

    const app = await start();
    await sendMany(1, 50);
    await handled(51);
    await until('it is written', async () => (await inDatabase()) === 51);

    expect(inboxHealth(app)).toMatchObject({ duplicates: 0, processed: 1 });
    expect(await incidents()).toEqual([]);
  });

  it('P2 no offset is committed to Kafka while the database cannot be written', async () => {
    await start();
    await sendMany(10);
    await until('all are settled', async () => (await inKafka()).committed === 10);
    await sql('alter table sandbox.inbox_offsets rename to elsewhere');

    await sendMany(10, 10);
    await handled(20);
    await stopAll();

    expect(await inKafka()).toMatchObject({ committed: 10 });
    await sql('alter table sandbox.elsewhere rename to inbox_offsets');
    const app = await start();
    await until('they are found to be duplicates', () => inboxHealth(app)['duplicates'] === 10);
  });

  it('P8 a consumer that joins while the database is unavailable reports it, waits, and starts on its own', async () => {
    await sql('alter table sandbox.inbox_offsets rename to elsewhere');
    await sendMany(3);
    const app = await start();
    await until('it is unhealthy', () => !inboxHealth(app).healthy);
    expect(await effects()).toEqual([]);

    await sql('alter table sandbox.elsewhere rename to inbox_offsets');

    await handled(3);
    await until('it is healthy', () => inboxHealth(app).healthy);
  });
});

describe('offsets that an operator moves', () => {
  const move = (...[to, actor = 'ops']: [Parameters<typeof moveOffsets>[1], string?]) => {
    const { options, dataSource, consumer } = sandbox;
    const group = { kafka: kafka(), dataSource, schema: options.schema, groupId: consumer.groupId, topic: topicName() };
    return moveOffsets(group, to, { actor, reason: 'test' });
  };

  it('P4 cause the messages to be read again, and handled again if their inbox rows were deleted', async () => {
    await handleFifty();
    await sql('delete from sandbox.inbox where message_id in (select message_id from sandbox.inbox limit 7)');

    await move('earliest');
    const app = await start();
    await handled(57);
    await until('the rest are found to be duplicates', () => inboxHealth(app)['duplicates'] === 43);

    expect(await incidents()).toEqual([]);
  });

  it('skip the messages in between when they are moved forward', async () => {
    await handleFifty();
    await sendMany(10, 50);

    await move(new Map([[0, 58n]]));
    await start();
    await handled(52);

    expect(await effects()).toEqual([...upTo(50), 58, 59]);
    expect(await incidents()).toEqual([]);
  });

  it('are left unchanged while the group has members, and nothing is written', async () => {
    await start();
    await sendMany(3);
    await until('all are settled', async () => (await inDatabase()) === 3);

    await expect(move('earliest')).rejects.toThrow('stop the consumers first');

    expect(await inDatabase()).toBe(3);
    expect(await sql('select from sandbox.messaging_audit')).toEqual([]);
  });

  it.each([
    ['an offset that the topic does not have', new Map([[0, 99n]]), 'has the offsets 0 to 0, not 99'],
    ['a partition that the topic does not have', new Map([[9, 0n]]), 'has no partition 9'],
    ['no partition', new Map<number, bigint>(), 'no partition is given'],
    ['an invalid time', new Date('x'), 'the time is invalid'],
  ])('are rejected for %s', async (_, to, message) => {
    await expect(move(to)).rejects.toThrow(message);
  });
});

it.each(['compact', 'compact,delete'])('P9 a topic whose cleanup.policy is %s is reported', async (policy) => {
  await configureTopic(sandbox.options.brokers, topicName(), { 'cleanup.policy': policy });

  const app = await start({ inboxRetentionMs: 0 });
  await sendMany(2);
  await handled(2);

  expect(inboxHealth(app)).toMatchObject({ healthy: false, problem: expect.stringContaining('compact') });
});

describe('a topic that is created again', () => {
  async function createAgain(): Promise<void> {
    await admin.deleteTopics({ topics: [topicName()] });
    await until('it is created', async () => {
      await admin.createTopics({ topics: [{ topic: topicName(), numPartitions: 4, replicationFactor: 1 }] });
      return true;
    });
  }

  it.each([
    ['is shorter', 10],
    ['has grown beyond the old offset', 80],
  ])('P2 is read from its beginning when it %s', async (_, length) => {
    await handleFifty();
    await createAgain();
    await until('it can be written', () => sendMany(length, 1000).then(() => true));

    await start();
    await handled(50 + length);

    expect(await effects()).toEqual([...upTo(50), ...upTo(length, 1000)]);
    expect(await incidents()).toEqual([]);
    await until('the offset is the new one', async () => (await inDatabase()) === length);
  });

  it('P2 under a running consumer is read from its beginning', async () => {
    await start();
    await sendMany(50);
    await until('all are settled', async () => (await inKafka()).committed === 50);

    await createAgain();
    await until('it can be written', () => sendMany(10, 1000).then(() => true));
    await handled(60);

    expect(await effects()).toEqual([...upTo(50), ...upTo(10, 1000)]);
    expect(await incidents()).toEqual([]);
  });
});

describe('messages that Kafka deleted before they were read', () => {
  const missed = (messages: number) => [
    {
      kind: 'messages-missed',
      subject: `${sandbox.consumer.groupId} of ${topicName()}/0`,
      messages,
      occurrences: 1,
    },
  ];

  it('P2 P9 while the consumer was down are counted and reported until an operator acknowledges the incident', async () => {
    await start();
    await sendMany(1);
    await until('it is settled', async () => (await inKafka()).committed === 1);
    await stopAll();
    await sendMany(10, 1);
    await deleteUpTo(6);

    const app = await start();
    await handled(6);

    expect(await effects()).toEqual([0, ...upTo(5, 6)]);
    expect(await incidents()).toEqual(missed(5));
    expect(inboxHealth(app)['missed']).toBe(5);
    expect(await app.get(MessagingMetrics).registry.metrics()).toMatch(
      /^messaging_inbox_missed_messages_total\{consumer="[^"]+"\} 5$/m,
    );
    const open = (await app.get(Incidents).list()).map(({ id }) => id);
    await app.get(Incidents).acknowledge(open, { actor: 'ops', reason: 'made up for' });
    await stopAll();
    const next = await start();
    await sendMany(1, 11);
    await handled(7);
    expect(next.get(Incidents).health()).toMatchObject({ healthy: true });
  });

  it('are counted once on a partition that stays empty, however often a consumer joins', async () => {
    await start();
    await sendMany(1);
    await until('it is settled', async () => (await inKafka()).committed === 1);
    await stopAll();
    await sendMany(10, 1);
    await deleteUpTo(11);

    for (const _ of [1, 2]) {
      await start();
      await until('it is reported', async () => (await incidents()).length > 0);
      await until('Kafka has the new offset', async () => (await inKafka()).committed === 11);
      await stopAll();
    }

    expect(await incidents()).toEqual(missed(10));
  });

  it.each([
    ['some', 30, 26],
    ['all', 40, 36],
  ])('are counted when %s are deleted while a slow handler blocks the consumer', async (_, low, count) => {
    CounterController.next = async (n) => void (n === 3 && (await gate.promise));
    await start();
    await sendMany(4);
    await until('it is blocked', async () => (await effects()).length === 3);
    await sendMany(36, 4);
    await deleteUpTo(low);

    gate.resolve();
    await until('it is reported', async () => (await incidents()).length > 0);
    await sendMany(1, 40);
    await handled(4 + 40 - low + 1);

    expect(await effects()).toEqual([...upTo(4), ...upTo(41 - low, low)]);
    expect(await incidents()).toEqual(missed(count));
  });

  it('are detected from the database when Kafka has let the group’s offsets expire', async () => {
    await handleFifty();
    await admin.deleteGroups([sandbox.consumer.groupId]);
    await sendMany(10, 50);
    await deleteUpTo(55);

    await start();
    await handled(55);

    expect(await incidents()).toEqual(missed(5));
  });

  it('are also counted as missed after the database was set back to before them', async () => {
    await handleFifty();
    await goBackTo(20, 20);
    await deleteUpTo(30);

    await start();
    await handled(40);

    expect(await effects()).toEqual([...upTo(20), ...upTo(20, 30)]);
    expect(await incidents()).toMatchObject([
      { kind: 'messages-missed', messages: 10 },
      { kind: 'offsets-went-back', messages: 20 },
    ]);
  });

  it('are not reported if they had been handled, or for a new group', async () => {
    await handleFifty();
    await deleteUpTo(50);
    await start();
    const groupId = `${sandbox.consumer.groupId}-new`;
    await start({ groupId });
    await sendMany(1, 50);
    await until('both have handled it', async () => (await effects()).filter((n) => n === 50).length === 2);

    expect(await incidents()).toEqual([]);
  });
});

it('P2 a database replaced by an older copy gets every message again that the copy lacks', async () => {
  const other = await new DataSource({ type: 'postgres', url: sandbox.database.url }).initialize();
  await start({}, { dataSource: other });
  await sendMany(5);
  await until('all are settled', async () => (await inKafka()).committed === 5);
  await sql('create schema copy');
  for (const table of ['effects', 'inbox', 'inbox_offsets'])
    await sql(`create table copy.${table} as table sandbox.${table}`);
  await sendMany(20, 5);
  await until('all are settled', async () => (await inKafka()).committed === 25);

  await sql(
    `begin; ${['effects', 'inbox', 'inbox_offsets']
      .map((table) => `delete from sandbox.${table}; insert into sandbox.${table} select * from copy.${table};`)
      .join('')} commit`,
  );

  await handled(25);
  expect(await effects()).toEqual(upTo(25));
  await stopAll();
  await other.destroy();
});
