import { randomUUID } from 'node:crypto';
import { type INestApplication } from '@nestjs/common';
import { DeadLetters } from '../dead-letters/dead-letters.js';
import { PermanentError } from '../errors.js';
import { InboxRecords } from '../inbox/inbox-records.js';
import { Jobs } from '../jobs/jobs.js';
import { Outbox } from '../outbox/outbox.js';
import { until } from '../testing/until.js';
import { CounterController, startCounter } from '../../test/counter-process.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';
import { AggregateMessages } from './aggregate-messages.js';
import { ParkedMessageList } from './parked-message-list.js';

let sandbox: Sandbox;
let app: INestApplication;

beforeAll(async () => {
  sandbox = await createSandbox();
  await sandbox.database.sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
  // One process publishes the messages and consumes them. Of each key it fails on 2 for now, and on 3 for good.
  CounterController.next = (n) => {
    if (n === 2) throw new Error('not yet');
    if (n === 3) throw new PermanentError('never');
  };
  app = await startCounter(sandbox, { backOff: { firstMs: 600_000, maxMs: 600_000 } });
});

afterAll(async () => {
  await sandbox.close();
});

const parkedCount = async () => (await sandbox.database.sql('select from sandbox.inbox_parked')).length;

/** Adds the messages of one aggregate, and a job about it. Returns the ids of the messages. */
async function given(key: string, ...numbers: number[]): Promise<string[]> {
  return sandbox.dataSource.transaction(async (tx) => {
    await app.get(Jobs).add(tx, 'elsewhere', { key }, { aggregateId: key });
    const events = numbers.map((n) => ({ type: 'Counted', data: { n } }));
    return app.get(Outbox).add(tx, { aggregateType: 'counter', aggregateId: key, version: numbers.length }, events);
  });
}

describe('the messages of an aggregate', () => {
  it('P9 are those that it raised, with what became of them, those that are held in the inbox, and its jobs', async () => {
    const before = await parkedCount();
    const [first, second, third] = await given('a', 1, 2, 3);
    await given('other', 1);
    await until('the second and the third are parked', async () => (await parkedCount()) === before + 2);
    const find = async () => app.get(AggregateMessages).find('a');
    await until('they are published', async () => (await find()).raised.every(({ state }) => state === 'published'));

    const { raised, held, jobs } = await find();

    const consumed = [{ consumer: sandbox.consumer.groupId, at: expect.any(Date) as Date }];
    expect(raised).toMatchObject([
      { id: first, type: 'Counted', aggregateType: 'counter', sequence: '1', consumed, createdAt: expect.any(Date) },
      { id: second, sequence: '2', consumed, error: null },
      { id: third, sequence: '3', consumed },
    ]);
    expect(held).toMatchObject([
      { messageId: second, attempts: 1, error: 'not yet', diedAt: null, history: [{ error: 'not yet' }] },
      { messageId: third, attempts: 0, error: null, nextAttemptAt: null, history: [] },
    ]);
    expect(jobs).toMatchObject([{ queue: 'elsewhere', attempts: 0, running: false, diedAt: null, history: [] }]);
    expect(await app.get(AggregateMessages).find('nobody')).toEqual({ raised: [], held: [], discarded: [], jobs: [] });
    await expect(app.get(AggregateMessages).find('a\0')).rejects.toThrow('The aggregate id contains a zero byte');
  });

  it('P9 include those that an operator discarded, because these were recorded and not processed', async () => {
    const [message] = await given('d', 3);
    const find = async () => app.get(AggregateMessages).find('d');
    const [letter] = await until('it is a dead letter', async () => {
      const { held } = await find();
      return held[0]?.diedAt && held;
    });
    const before = await find();
    await app.get(DeadLetters).discard({ box: 'inbox', ids: [letter!.id] }, { actor: 'ann', reason: 'A test.' });

    const { raised, held, discarded } = await find();

    const { groupId: consumer } = sandbox.consumer;
    expect(before).toMatchObject({ held: [{ messageId: message, error: 'never' }], discarded: [] });
    expect(raised).toMatchObject([{ id: message, consumed: [{ consumer }] }]);
    expect(held).toEqual([]);
    expect(discarded).toEqual([{ consumer, messageId: message, type: 'Counted', at: expect.any(Date), actor: 'ann' }]);
  });

  it('P9 are unpublished beyond the recorded position, in a gap and while their type waits, and parked or dead in the outbox', async () => {
    const add = async (position: number) =>
      sandbox.database.sql(
        `insert into sandbox.outbox (position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
         overriding system value values ($1, gen_random_uuid(), 'elsewhere', 'p', 'Counted', 'urn:event:Counted:1', 1, '{}')`,
        [position],
      );
    const states = async () => (await app.get(AggregateMessages).find('p')).raised.map(({ state }) => state);
    const lease = async (position: number, gaps: string, ahead: object | null) =>
      sandbox.database.sql('update sandbox.relay_lease set position = $1, gaps = $2, ahead = $3', [
        position,
        gaps,
        ahead,
      ]);
    await app.close();
    for (const position of [1001, 1002, 1003, 1004]) await add(position);

    await lease(1003, '{[1002,1003)}', null);
    const withGap = await states();
    await lease(1001, '{}', { at: 1001, position: 1004, gaps: '{}', waiting: { elsewhere: { from: 1003 } } });
    const blocked = await states();
    await lease(1004, '{}', null);
    await sandbox.database.sql(
      `insert into sandbox.outbox_parked (position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at, error, dead_at)
       select position, id, 'counter', aggregateid, type, dataschema, sequence, payload, created_at,
              case when position = 1003 then 'too large' end, case when position = 1003 then now() end
         from sandbox.outbox where position >= 1003`,
    );
    const parked = (await app.get(AggregateMessages).find('p')).raised;

    expect(withGap).toEqual(['published', 'unpublished', 'published', 'unpublished']);
    expect(blocked).toEqual(['published', 'published', 'unpublished', 'unpublished']);
    expect(parked.map(({ state, error }) => [state, error])).toEqual([
      ['published', null],
      ['published', null],
      ['dead', 'too large'],
      ['parked', null],
    ]);
  });
});

describe('parked messages', () => {
  it('P5 are listed page by page with what they wait for, found by all given filters, and shown whole', async () => {
    const list = app.get(ParkedMessageList);
    await sandbox.database.sql('delete from sandbox.inbox_parked');
    await sandbox.database.sql(
      `insert into sandbox.inbox_parked (consumer, topic, partition, "offset", recorded_at, source, message_id, type, key,
         headers, value, holds_key, attempts, error, dead_at, next_attempt_at)
       select 'group', 'topic', 0, n, now(), '/test', 'message-' || n, case n when 5 then 'Odd' else 'Even' end,
              convert_to(case when n < 4 then 'k' else 'free' end, 'UTF8'), '{"ce_type":"x"}', 'value', true, 1, 'no',
              case n when 1 then now() end, case n when 4 then now() end
         from generate_series(1, 5) as n`,
    );

    const page = await list.list({ box: 'inbox' }, { limit: 2 });
    const rest = await list.list({ box: 'inbox' }, { cursor: page.nextCursor! });
    const [second] = page.items;
    const whole = await list.find('inbox', second!.id);

    const all = [...page.items, ...rest.items];
    const dead = String(Number(second!.id) - 1);
    const head = all[2]!.id;
    expect(all.map(({ messageId }) => messageId)).toEqual(['message-2', 'message-3', 'message-4', 'message-5']);
    expect(all.map(({ waitsFor }) => waitsFor)).toEqual([
      { id: dead, dead: true },
      { id: dead, dead: true },
      null,
      { id: head, dead: false },
    ]);
    expect(rest.nextCursor).toBeNull();
    expect(whole).toEqual({ ...second, headers: { ce_type: 'x' }, value: Buffer.from('value'), history: [] });
    expect(await list.find('inbox', dead)).toBeUndefined();
    const found = async (filter: object) => (await list.list({ box: 'inbox', ...filter })).items.length;
    expect(
      await Promise.all([{ type: 'Odd' }, { key: 'k' }, { topic: 'other' }, { consumer: 'group' }].map(found)),
    ).toEqual([1, 2, 0, 4]);
  });

  it('P5 of the outbox wait for the dead letter of their key', async () => {
    const list = app.get(ParkedMessageList);

    const { items } = await list.list({ box: 'outbox', topic: sandbox.consumer.topic.name, key: 'p' });

    expect(items).toMatchObject([
      { id: '1004', topic: sandbox.consumer.topic.name, waitsFor: { id: '1003', dead: true } },
    ]);
    expect(await list.find('outbox', '1004')).toMatchObject({ id: '1004', headers: null, value: Buffer.from('{}') });
    expect(await list.list({ box: 'outbox', topic: 'other' })).toEqual({ items: [], nextCursor: null });
  });

  it('are refused for a filter, cursor or id that is not valid', async () => {
    const list = app.get(ParkedMessageList);

    await expect(list.list({ box: 'mailbox' as 'inbox' })).rejects.toThrow('box must be outbox or inbox');
    await expect(list.list({ box: 'outbox', consumer: 'c' })).rejects.toThrow('have no consumer');
    await expect(list.list({ box: 'inbox', type: 'a\0' })).rejects.toThrow('zero byte');
    await expect(list.list({ box: 'inbox' }, { cursor: 'x' })).rejects.toThrow('"x" is not a valid cursor');
    await expect(list.find('inbox', '1 or true')).rejects.toThrow('is not a valid id');
  });
});

describe('the records of messages', () => {
  it('P4 tell when each consumer of the service recorded them', async () => {
    const records = app.get(InboxRecords);
    const ids = [randomUUID(), randomUUID(), randomUUID()];
    await sandbox.database.sql(
      `insert into sandbox.inbox (consumer, message_id, source, received_at)
       values ('webhooks', $1, '/provider', '2026-01-02'), ($3, $1, '/test', '2026-01-01'), ('webhooks', $2, '/provider', '2026-01-03')`,
      [ids[0], ids[1], sandbox.consumer.groupId],
    );

    const found = await records.find([...ids, ids[0]!]);

    expect(found).toEqual([
      {
        consumer: sandbox.consumer.groupId,
        source: '/test',
        messageId: ids[0],
        receivedAt: new Date('2026-01-01T00:00:00Z'),
      },
      { consumer: 'webhooks', source: '/provider', messageId: ids[0], receivedAt: new Date('2026-01-02T00:00:00Z') },
      { consumer: 'webhooks', source: '/provider', messageId: ids[1], receivedAt: new Date('2026-01-03T00:00:00Z') },
    ]);
    expect(await records.find([])).toEqual([]);
    await expect(records.find(Array.from({ length: 101 }, () => randomUUID()))).rejects.toThrow('At most 100');
    await expect(records.find(['a\0'])).rejects.toThrow('A message id contains a zero byte');
  });
});
