import { DataSource } from 'typeorm';
import { AfterCommit } from '../postgres/after-commit.js';
import { PermanentError } from '../errors.js';
import { InboxRecords } from './inbox-records.js';
import { type InboxCounts } from '../operations/inbox-counts.js';
import { type MessagingOptions } from '../messaging-options.js';
import { type MessagingMetrics } from '../metrics/metrics.js';
import { messagingTables } from '../postgres/schema.js';
import { createDatabase, type TestDatabase, testServerUrl } from '../testing/database.js';

const message = { consumer: 'webhooks', source: 'provider', messageId: 'msg_1' };
let database: TestDatabase;
let db: DataSource;
let records: InboxRecords;
/** The counts that the metrics show, by consumer. */
let shown: Map<string, Readonly<InboxCounts>>;

beforeAll(async () => {
  database = await createDatabase(testServerUrl());
  await database.sql('create schema sandbox');
  for (const statement of messagingTables('sandbox')) await database.sql(statement);
  await database.sql('create table sandbox.effects (id serial)');
  db = await new DataSource({ type: 'postgres', url: database.url }).initialize();
});

beforeEach(async () => {
  await database.sql('truncate sandbox.inbox, sandbox.effects');
  const options = { schema: 'sandbox', consumes: [{ groupId: 'order-service' }] };
  shown = new Map();
  records = new InboxRecords(
    options as unknown as MessagingOptions,
    { default: db, handling: db },
    { watchInbox: (consumer, counts) => void shown.set(consumer, counts) } as MessagingMetrics,
    new AfterCommit(),
  );
});

afterEach(async () => {
  records.beforeApplicationShutdown();
  await records.onApplicationShutdown();
});

afterAll(async () => {
  await db.destroy();
  await database.drop();
});

async function receive(one = message, fail = false): Promise<boolean> {
  return db.transaction(async (tx) => {
    const isNew = await records.once(tx, one);
    if (isNew) await tx.query('insert into sandbox.effects default values');
    if (fail) throw new Error('changed my mind');
    return isNew;
  });
}

const effects = async () => (await database.sql('select from sandbox.effects')).length;

describe('a message that does not arrive through Kafka', () => {
  it('P4 has its effect once, however often it arrives', async () => {
    const answers = [await receive(), await receive(), await receive()];

    expect(answers).toEqual([true, false, false]);
    expect(await effects()).toBe(1);
  });

  it('P4 has its effect once when it arrives many times concurrently', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => receive()));

    expect(answers.filter(Boolean)).toHaveLength(1);
    expect(await effects()).toBe(1);
  });

  it('P4 is counted per consumer, as processed or as a duplicate', async () => {
    await receive();
    await expect(receive({ ...message, messageId: 'msg_2' }, true)).rejects.toThrow('changed my mind');
    await receive();
    await receive();
    await receive({ ...message, consumer: 'other' });

    expect(shown.get('webhooks')).toMatchObject({ processed: 1, duplicates: 2 });
    expect(shown.get('other')).toMatchObject({ processed: 1, duplicates: 0 });
  });

  it('P1 is not recorded when its effect is rolled back', async () => {
    await expect(receive(message, true)).rejects.toThrow('changed my mind');

    expect(await receive()).toBe(true);
    expect(await effects()).toBe(1);
  });

  it.each([
    ['id', { ...message, messageId: 'msg_2' }],
    ['source', { ...message, source: 'other' }],
    ['consumer', { ...message, consumer: 'other' }],
  ])('is a different message if its %s differs', async (_, other) => {
    expect([await receive(), await receive(other)]).toEqual([true, true]);
  });

  it('waits a second for a concurrent duplicate, and then fails', async () => {
    const slow = db.createQueryRunner();
    await slow.startTransaction();
    await records.once(slow.manager, message);

    await expect(receive()).rejects.toThrow('lock timeout');

    await slow.rollbackTransaction();
    await slow.release();
    expect(await receive()).toBe(true);
  });

  it('P1 is rejected outside of a transaction, and under the name of a consumer group', async () => {
    await expect(records.once(db.manager, message)).rejects.toThrow('open transaction');
    await expect(receive({ ...message, consumer: 'order-service' })).rejects.toThrow('is a Kafka consumer group');
  });

  it.each([
    ['a long id', { messageId: 'i'.repeat(256) }, 'messageId of a message for the inbox is longer'],
    ['no id', { messageId: '' }, 'messageId of a message for the inbox is empty'],
    ['a zero byte in its id', { messageId: 'a\0' }, 'zero byte'],
    ['half of a surrogate pair in its id', { messageId: 'a\uD800' }, 'surrogate pair'],
    ['a long source', { source: '/'.repeat(256) }, 'source of a message for the inbox is longer'],
    ['a long consumer', { consumer: 'c'.repeat(256) }, 'consumer of a message for the inbox is longer'],
    [
      'an id and source too large for an index entry',
      { messageId: '😀'.repeat(255), source: '😀'.repeat(255) },
      '1600 bytes',
    ],
  ])('P5 is rejected with %s, and leaves its transaction usable', async (_, fields, reason) => {
    const isNew = await db.transaction(async (tx) => {
      const refused = records.once(tx, { ...message, ...fields });
      await expect(refused).rejects.toThrow(PermanentError);
      await expect(refused).rejects.toThrow(reason);
      return records.once(tx, message);
    });

    expect(isNew).toBe(true);
  });

  it('P4 is recognised as a duplicate even with the longest valid names', async () => {
    const longest = { consumer: '😀'.repeat(255), messageId: '😀'.repeat(255), source: 'é'.repeat(255) };

    expect([await receive(longest), await receive(longest)]).toEqual([true, false]);
  });

  it('P7 is deleted after 30 days, unlike the messages of other consumers', async () => {
    await receive();
    await receive({ ...message, messageId: 'msg_2' });
    await receive({ ...message, messageId: 'msg_3' });
    await database.sql(
      `insert into sandbox.inbox (consumer, message_id, source) values ('order-service', 'm', '/payment-service')`,
    );
    await database.sql(`update sandbox.inbox set received_at = now() - interval '31 days' where message_id <> 'msg_3'`);

    await records.forget();

    expect(await database.sql('select message_id from sandbox.inbox order by 1')).toEqual([
      { message_id: 'm' },
      { message_id: 'msg_3' },
    ]);
  });
});
