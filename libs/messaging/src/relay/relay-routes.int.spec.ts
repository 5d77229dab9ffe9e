import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { Kafka, logLevel } from 'kafkajs';
import pg from 'pg';
import { createTopics } from '../kafka/topics.js';
import { type MessagingOptions } from '../messaging-options.js';
import { readTables } from '../metrics/metrics-store.js';
import { RelayStore } from './relay-store.js';
import { type BlockedType } from './routes.js';
import { type TopicContract } from '../message/topic.js';
import { KafkaLink } from '../../test/kafka-link.js';
import { counts, createSandbox, inversions, type RelayProcess, type Sandbox } from '../../test/sandbox.js';
import { readTopic, type TopicReader } from '../testing/topic.js';
import { until } from '../testing/until.js';

let sandbox: Sandbox;
/** The contract of a second aggregate type, whose topic does not exist. */
let other: TopicContract;
const readers: TopicReader[] = [];

beforeEach(async () => {
  sandbox = await createSandbox();
  Logger.overrideLogger(['fatal']);
  other = { ...sandbox.consumer.topic, name: `${sandbox.consumer.topic.name}-other`, aggregateType: 'other' };
});

afterEach(async () => {
  jest.restoreAllMocks();
  await Promise.all(readers.splice(0).map((reader) => reader.close()));
  await sandbox.close();
});

const clientOptions = () => ({ brokers: sandbox.options.brokers, clientId: 'test' });

/** Creates the second topic and reads it. */
async function openOther(): Promise<TopicReader> {
  await createTopics(clientOptions(), [other]);
  const reader = await readTopic(sandbox.options.brokers, other.name);
  readers.push(reader);
  return reader;
}

async function withAdmin<T>(work: (admin: ReturnType<Kafka['admin']>) => Promise<T>): Promise<T> {
  const admin = new Kafka({
    brokers: [...sandbox.options.brokers],
    clientId: 'test',
    logLevel: logLevel.NOTHING,
  }).admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

/** Writes messages `from` to `to` of a type, spread over `keys` keys, in one transaction. */
async function write(type: string, from: number, to = from, keys = 1): Promise<void> {
  await sandbox.database.sql(
    `insert into sandbox.outbox (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
     select gen_random_uuid(), $1::text, $1 || '-' || n % $4::int, 'Counted', 'urn:event:Counted:1', n, '{"n":' || n || '}'
       from generate_series($2::int, $3::int) as n order by n`,
    [type, from, to, keys],
  );
}

function start(
  publishes: TopicContract[] = [sandbox.consumer.topic],
  more: Partial<MessagingOptions> = {},
): RelayProcess {
  const relay = sandbox.newRelay(undefined, undefined, { publishes, ...more });
  relay.start();
  return relay;
}

const both = () => [sandbox.consumer.topic, other];

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

const published = (topic: TopicReader, key: string) => [...new Set(counts(topic, key))];

const blockedOf = (relay: RelayProcess) => (relay.health()['blocked'] ?? []) as BlockedType[];

const untilPublished = (topic: TopicReader, type: string, count: number) =>
  until(`${count} messages of ${type} are published`, () => {
    return (
      new Set(topic.records.filter(({ key }) => String(key).startsWith(type)).map(({ value }) => String(value))).size >=
      count
    );
  });

/** Returns the numbers of the dead letters. */
const deadNumbers = async () =>
  (
    await sandbox.database.sql<{ n: number }>(
      'select sequence::int as n from sandbox.outbox_parked where dead_at is not null order by position',
    )
  ).map(({ n }) => n);

interface LeaseRow {
  position: number;
  gaps: string;
  ahead: { at: number; position: number; waiting: Record<string, { from: number; messages: number }> } | null;
}

async function leaseRow(): Promise<LeaseRow> {
  const [row] = await sandbox.database.sql<LeaseRow>(
    'select position::int, gaps::text, ahead from sandbox.relay_lease',
  );
  return row!;
}

describe('a type that no topic is declared for', () => {
  it.each([
    ['between others', ['counter', 'unknown', 'counter']],
    ['before all others', ['unknown', 'counter', 'counter']],
    ['beside another one', ['unknown', 'counter', 'strange', 'counter']],
  ])('P2 waits %s without blocking them', async (_, types) => {
    const kinds = types.filter((type) => type !== 'counter');
    for (const [index, type] of types.entries()) await write(type, index * 10 + 1, index * 10 + 5);

    const relay = start();
    await untilPublished(sandbox.topic, 'counter', 10);
    await write('counter', 101, 105);
    await untilPublished(sandbox.topic, 'counter', 15);

    expect(blockedOf(relay).map(({ aggregateType, messages }) => ({ aggregateType, messages }))).toEqual(
      kinds.map((aggregateType) => ({ aggregateType, messages: 5 })),
    );
    expect(relay.health()).toMatchObject({
      healthy: false,
      role: 'leader',
      problem: expect.stringContaining(`no topic is declared for aggregate type ${kinds[0]}`),
    });
    expect(sandbox.topic.records).toHaveLength(15);
    const left = await sandbox.database.sql('select from sandbox.outbox_parked');
    expect(left).toEqual([]);
  });

  it('P2 P3 is published in order by the first leader that declares it, while new messages arrive', async () => {
    const topic = await openOther();
    await write('other', 1, 700, 3);
    await write('counter', 1, 10);
    const before = start();
    await untilPublished(sandbox.topic, 'counter', 10);
    await write('other', 701, 1400, 3);
    await write('counter', 11, 20);
    await untilPublished(sandbox.topic, 'counter', 20);
    await before.stop();

    const after = start(both());
    for (let n = 1401; n <= 1450; n++) await write('other', n, n, 3);
    await untilPublished(topic, 'other', 1450);
    await write('other', 1451, 1500, 3);
    await untilPublished(topic, 'other', 1500);

    expect(inversions(topic)).toEqual([]);
    expect(inversions(sandbox.topic)).toEqual([]);
    await sandbox.drained();
    await until('it is healthy', () => after.health().healthy && blockedOf(after).length === 0);
    expect((await leaseRow()).ahead).toBeNull();
  });

  it('P2 is not removed because of its age, unlike the published messages around it', async () => {
    await write('counter', 1, 5);
    await write('unknown', 1, 5);
    await write('counter', 6, 10);

    start(undefined, { outboxRetentionMs: 0 });

    await until('only what waits is left', async () => {
      const left = await sandbox.database.sql<{ aggregatetype: string }>('select aggregatetype from sandbox.outbox');
      return left.length === 5 && left.every(({ aggregatetype }) => aggregatetype === 'unknown');
    });
    expect(published(sandbox.topic, 'counter-0')).toEqual(numbers(1, 10));
  });

  it('P7 has none of its messages read while 10,000 of them wait', async () => {
    await write('unknown', 1, 10_000, 100);
    const relay = start();
    await until('all of them were skipped', () => blockedOf(relay)[0]?.messages === 10_000);
    await until('that is recorded', async () => (await leaseRow()).ahead !== null);
    const rows: { rows: number; bytes: number }[] = [];
    const query = Reflect.get(pg.Client.prototype, 'query') as (...args: unknown[]) => Promise<pg.QueryResult>;
    jest.spyOn(pg.Client.prototype, 'query').mockImplementation(async function (this: pg.Client, ...args: unknown[]) {
      const result = await query.apply(this, args);
      if (String(args[0]).includes('"sandbox".outbox'))
        rows.push({ rows: result.rows.length, bytes: JSON.stringify(result.rows).length });
      return result;
    } as never);

    for (let n = 1; n <= 5; n++) {
      await write('counter', n);
      await untilPublished(sandbox.topic, 'counter', n);
    }

    expect(rows.reduce((sum, { rows: count }) => sum + count, 0)).toBeLessThan(100);
    expect(rows.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(30_000);
  });

  it('P9 is counted as blocked, and the published messages around it do not count as unpublished', async () => {
    await write('unknown', 1, 7);
    await write('counter', 1, 20);
    const relay = start();
    await untilPublished(sandbox.topic, 'counter', 20);
    await until('it is recorded', async () => (await leaseRow()).ahead !== null);

    const reading = await readTables(
      sandbox.dataSource,
      'sandbox',
      { consumers: [], queues: [], holdKeys: true, dueSince: { parked: null, jobs: {} } },
      2000,
    );

    expect(reading).toMatchObject({ ready: { messages: 0 }, blocked: { messages: 7 }, held: { messages: 0 } });
    expect(reading.blocked.oldestSeconds).toBeGreaterThan(0);
    expect(relay.leads).toBe(true);
  });

  it('P2 P3 is left to a relay of the previous version, because the recorded position stays before it', async () => {
    await write('counter', 1, 5);
    await write('unknown', 1, 5);
    await write('counter', 6, 10);
    const relay = start();
    await untilPublished(sandbox.topic, 'counter', 10);
    await until('it is recorded', async () => (await leaseRow()).ahead !== null);
    await relay.stop();
    expect(await leaseRow()).toMatchObject({
      position: 5,
      ahead: { at: 5, position: 15, waiting: { unknown: { from: 6, messages: 5 } } },
    });

    // That relay has published messages again, and declares the type.
    await sandbox.database.sql('update sandbox.relay_lease set position = 12');
    await write('counter', 11, 12);
    start();
    await untilPublished(sandbox.topic, 'counter', 12);

    await until('it has forgotten what waited', async () => (await leaseRow()).position === 17);
    expect(inversions(sandbox.topic)).toEqual([]);
  });
});

describe('a topic that fails while others work', () => {
  it('P2 P3 blocks only its own messages, which are published in order once it works', async () => {
    await write('counter', 1, 50);
    await write('other', 1, 50, 3);
    await write('counter', 51, 100);

    const relay = start(both());
    await untilPublished(sandbox.topic, 'counter', 100);
    for (let n = 51; n <= 60; n++) await write('other', n, n, 3);
    await write('counter', 101, 110);
    await untilPublished(sandbox.topic, 'counter', 110);
    const report = await until('it is unhealthy', () => !relay.health().healthy && relay.health());
    const topic = await openOther();
    await write('other', 61, 70, 3);

    await untilPublished(topic, 'other', 70);
    expect(report).toMatchObject({
      role: 'leader',
      problem: expect.stringContaining(`topic ${other.name}`),
      blocked: [{ aggregateType: 'other', topic: other.name, messages: 60 }],
    });
    expect(inversions(topic)).toEqual([]);
    expect(published(sandbox.topic, 'counter-0')).toEqual(numbers(1, 110));
    expect(await sandbox.database.sql('select from sandbox.outbox_parked')).toEqual([]);
    await sandbox.drained();
    await until('it is healthy again', () => relay.health().healthy && blockedOf(relay).length === 0);
  });

  it('P2 blocks its messages while it is deleted, until it is recreated', async () => {
    await createTopics(clientOptions(), [other]);
    const relay = start(both());
    await write('other', 1, 5);
    await write('counter', 1, 5);
    await untilPublished(sandbox.topic, 'counter', 5);
    await until('the other was published', () => (relay.counts.get(other.name)?.published ?? 0) >= 5);

    await withAdmin((admin) => admin.deleteTopics({ topics: [other.name] }));
    for (let n = 6; n <= 15; n++) {
      await write('other', n);
      await write('counter', n);
    }
    await untilPublished(sandbox.topic, 'counter', 15);
    await until('it waits', () => blockedOf(relay).length === 1);
    const topic = await openOther();

    await untilPublished(topic, 'other', 1);
    await until('the last one is published', () => published(topic, 'other-0').includes(15));
    expect(inversions(topic)).toEqual([]);
  });

  it('P2 P3 keeps its messages in order when the leader changes, while they wait and during catch-up', async () => {
    await write('other', 1, 3000, 7);
    await write('counter', 1, 10);
    let relay = start(both());
    await untilPublished(sandbox.topic, 'counter', 10);
    await until('it is recorded', async () => (await leaseRow()).ahead !== null);
    const reads = jest.spyOn(RelayStore.prototype, 'read');
    // As if the process had been killed, its successor has only the recorded progress.
    await sandbox.database.sql(
      `update sandbox.relay_lease set holder = gen_random_uuid(), token = token + 1, expires_at = '-infinity'`,
    );
    await write('counter', 11, 20);
    await untilPublished(sandbox.topic, 'counter', 20);
    expect(reads.mock.calls.every(([cursor]) => cursor.position >= 3010)).toBe(true);

    const topic = await openOther();
    await until('it catches up', () => topic.records.length > 0);
    await sandbox.database.sql(
      `update sandbox.relay_lease set holder = gen_random_uuid(), token = token + 1, expires_at = '-infinity'`,
    );
    await relay.stop();
    relay = start(both());
    await write('other', 3001, 3100, 7);

    await untilPublished(topic, 'other', 3100);
    expect(inversions(topic)).toEqual([]);
    expect(inversions(sandbox.topic)).toEqual([]);
    await sandbox.drained();
  });

  it('P3 keeps parked messages of a key in order with those that waited for the topic', async () => {
    await write('other', 1, 3);
    await sandbox.database.sql(
      `insert into sandbox.outbox_parked
         (position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at)
       select 0, gen_random_uuid(), aggregatetype, aggregateid, type, dataschema, 0, '{"n":0}', created_at
         from sandbox.outbox order by position limit 1`,
    );
    const relay = start(both());
    await until('it waits', () => blockedOf(relay).length === 1);
    await write('other', 4, 6);
    await write('counter', 1, 5);
    await untilPublished(sandbox.topic, 'counter', 5);

    const topic = await openOther();

    await untilPublished(topic, 'other', 7);
    expect(published(topic, 'other-0')).toEqual(numbers(0, 6));
    await until(
      'nothing is parked',
      async () => (await sandbox.database.sql('select from sandbox.outbox_parked')).length === 0,
    );
  });

  it('P3 a released message that the new topic rejects holds back the messages released behind it', async () => {
    await sandbox.database.sql(
      `insert into sandbox.outbox_parked
         (position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at)
       select nextval('sandbox.outbox_position_seq'), gen_random_uuid(), 'other', 'other-0', 'Counted',
              'urn:event:Counted:1', n, json_build_object('n', n, 'pad', case n when 1 then noise end), now()
         from generate_series(1, 3) as n,
              (select string_agg(gen_random_uuid()::text, '') as noise from generate_series(1, 200)) as noises`,
    );
    const relay = start(both());
    await until('it waits', () => blockedOf(relay).length === 1);

    await withAdmin((admin) =>
      admin.createTopics({
        topics: [
          {
            topic: other.name,
            numPartitions: other.partitions,
            configEntries: [{ name: 'max.message.bytes', value: '2000' }],
          },
        ],
      }),
    );
    const topic = await readTopic(sandbox.options.brokers, other.name);
    readers.push(topic);
    await until('it is a dead letter', async () => (await deadNumbers()).includes(1));
    await write('other', 4);
    await write('other', 5, 5, 9);

    await until('another key is published', () => topic.records.some(({ key }) => String(key) === 'other-5'));
    expect(await deadNumbers()).toEqual([1]);
    expect(published(topic, 'other-0')).toEqual([]);
  });

  it.each([
    ['a missing permission', 29],
    ['missing replicas', 19],
  ])('P2 P3 blocks only its own messages and dead letters because of %s', async (_, code) => {
    const topic = await openOther();
    const link = await KafkaLink.open(sandbox.options.brokers[0]!);
    // A partition in Kafka's response to a producer, with its number and the error.
    const answer = (partition: number, error: number) =>
      Buffer.from([0, other.name.length, ...Buffer.from(other.name), 0, 0, 0, 1, 0, 0, 0, partition, 0, error]);
    for (let partition = 0; partition < other.partitions; partition++)
      link.replaceInAnswers(answer(partition, 0), answer(partition, code));
    await sandbox.database.sql(
      `insert into sandbox.outbox_parked
         (position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at)
       values (0, gen_random_uuid(), 'other', 'other-0', 'Counted', 'urn:event:Counted:1', 0, '{"n":0}', now())`,
    );
    await write('other', 1, 5);
    await write('counter', 1, 5);

    const relay = start(both(), { brokers: [link.broker] });
    await untilPublished(sandbox.topic, 'counter', 5);
    await until('it waits', () => blockedOf(relay).length === 1);
    await write('counter', 6, 10);
    await untilPublished(sandbox.topic, 'counter', 10);
    link.heal();

    await until('it is healthy again', () => blockedOf(relay).length === 0 && relay.health().healthy);
    await untilPublished(topic, 'other', 6);
    expect(inversions(topic)).toEqual([]);
    // They are removed once Kafka has acknowledged them.
    await until('none is parked', async () => {
      const parked = await sandbox.database.sql('select from sandbox.outbox_parked');
      return parked.length === 0;
    });
    await relay.stop();
    await link.close();
  });
});
