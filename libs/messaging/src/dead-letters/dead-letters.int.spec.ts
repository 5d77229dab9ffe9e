import { randomUUID } from 'node:crypto';
import { type INestApplication, Logger } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { type EntityManager } from 'typeorm';
import { type DeadLetter, type InboxLetter } from './dead-letter.js';
import { DeadLetters } from './dead-letters.js';
import { type LetterChoice } from './letter-choice.js';
import { AfterCommit } from '../postgres/after-commit.js';
import { EditRefusedError } from './edit.js';
import { AuditTrail } from '../operations/audit-trail.js';
import { DueWork } from '../poll/due-work.js';
import { InvalidInputError, PermanentError } from '../errors.js';
import { InboxStore } from '../inbox/inbox-store.js';
import { type InboxOptions, MESSAGING_OPTIONS } from '../messaging-options.js';
import { counted, CounterController, startCounter } from '../../test/counter-process.js';
import { counts, createSandbox, inversions, type Sandbox } from '../../test/sandbox.js';
import { DataSources } from '../postgres/data-sources.js';
import { configureTopic, produce, type RawRecord } from '../testing/topic.js';
import { until } from '../testing/until.js';

let sandbox: Sandbox;
let module: TestingModule;
let letters: DeadLetters;
let trail: AuditTrail;
const apps: INestApplication[] = [];
const BY_ANN = { actor: 'ann@example.com', reason: 'seen in ticket 7' };

/** The DeadLetters instance of a service. */
async function deadLetters(options: Partial<InboxOptions> = {}): Promise<DeadLetters> {
  await module?.close();
  module = await Test.createTestingModule({
    providers: [
      { provide: MESSAGING_OPTIONS, useValue: { ...sandbox.options, consumes: [{ ...sandbox.consumer, ...options }] } },
      { provide: DataSources, useValue: { default: sandbox.dataSource, handling: sandbox.dataSource } },
      DueWork,
      AfterCommit,
      DeadLetters,
      AuditTrail,
    ],
  }).compile();
  trail = module.get(AuditTrail);
  return module.get(DeadLetters);
}

async function start(options: Partial<InboxOptions> = {}): Promise<INestApplication> {
  const app = await startCounter(sandbox, { backOff: { firstMs: 50, maxMs: 200 }, ...options });
  apps.push(app);
  return app;
}

const send = (...records: RawRecord[]) => produce(sandbox.options.brokers, sandbox.consumer.topic.name, records);

async function effects(key: string): Promise<number[]> {
  const rows = await sandbox.database.sql<{ n: number }>('select n from sandbox.effects where key = $1 order by seq', [
    key,
  ]);
  return rows.map(({ n }) => n);
}

const parked = () =>
  sandbox.database.sql<{ key: Buffer; dead_at: Date | null; attempts: number }>(
    'select * from sandbox.inbox_parked order by "offset"',
  );
const dead = async () => (await parked()).filter(({ dead_at }) => dead_at !== null);

/** Makes the handler fail permanently for these messages while it is switched on. */
function poison(...poisonous: number[]): { on: boolean } {
  const state = { on: true };
  CounterController.next = (n) => {
    if (state.on && poisonous.includes(n)) throw new PermanentError(`${n} is poison`);
  };
  return state;
}

/** Inserts letters that no consumer of the tests handles. One died every second, except that the last two died together. */
async function givenLetters(n: number): Promise<void> {
  await sandbox.database.sql(
    `insert into sandbox.inbox_parked (consumer, topic, partition, "offset", recorded_at, source, message_id, type, key,
       headers, value, holds_key, attempts, error, dead_at)
     select 'elsewhere', 'topic', 0, n, now(), '/test', 'message-' || n, case when n % 2 = 0 then 'Even' else 'Odd' end,
            convert_to('key-' || n % 3, 'UTF8'), '{}', 'x', true, 1, 'no', timestamptz '2026-01-01 00:00:00.000001Z'
            + least(n, $1 - 1) * interval '1 second'
       from generate_series(1, $1) as n`,
    [n],
  );
  await sandbox.database.sql(
    `insert into sandbox.outbox_parked (position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload,
       created_at, error, dead_at)
     select n, gen_random_uuid(), 'counter', 'key-' || n % 3, case when n % 2 = 0 then 'Even' else 'Odd' end,
            'urn:event:Even:1', n, '{}', now(), 'too large', timestamptz '2026-01-01 00:00:00.000001Z'
            + least(n, $1 - 1) * interval '1 second'
       from generate_series(1, $1) as n`,
    [n],
  );
}

beforeEach(async () => {
  sandbox = await createSandbox();
  // The tests make hundreds of letters on purpose, so errors are not logged.
  Logger.overrideLogger(['fatal']);
  await sandbox.database.sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
  CounterController.next = () => undefined;
  letters = await deadLetters();
});

afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
  await sandbox.close();
});

describe.each(['inbox', 'outbox'] as const)('the letters of the %s', (box) => {
  const idsOf = (items: readonly DeadLetter[]) => items.map((letter) => Number(letter.id));

  it('are listed page by page, each once, while others are added and removed', async () => {
    await givenLetters(5);

    const newest = await letters.list({ box }, { limit: 2 });
    const second = await letters.list({ box }, { limit: 2, cursor: newest.nextCursor! });
    await letters.discard({ box, ids: [second.items[1]!.id] }, BY_ANN);
    const third = await letters.list({ box }, { limit: 2, cursor: second.nextCursor! });
    const oldest = await letters.list({ box }, { order: 'oldest' });

    expect([newest, second, third].map(({ items }) => idsOf(items))).toEqual([[5, 4], [3, 2], [1]]);
    expect(third.nextCursor).toBeNull();
    expect(idsOf(oldest.items)).toEqual([1, 3, 4, 5]);
    expect(oldest.items[0]).toMatchObject({ box, type: 'Odd', key: 'key-1', diedAt: expect.any(Date) });
  });

  it('are found by all given filters', async () => {
    await givenLetters(6);
    const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second));
    const found = async (filter: object) => idsOf((await letters.list({ box, ...filter }, { order: 'oldest' })).items);

    expect(await found({ type: 'Even' })).toEqual([2, 4, 6]);
    expect(await found({ key: 'key-1' })).toEqual([1, 4]);
    expect(await found({ type: 'Odd', key: 'key-1' })).toEqual([1]);
    expect(await found({ diedAfter: at(2), diedBefore: at(4) })).toEqual([2, 3]);
    expect(await found({ ids: ['3', '1', '99'] })).toEqual([1, 3]);
    expect(await found({ ids: [] })).toEqual([]);
    const topic = box === 'inbox' ? 'topic' : sandbox.consumer.topic.name;
    expect(await found({ topic, type: 'Even' })).toEqual([2, 4, 6]);
    expect(await found({ topic: 'no.topic' })).toEqual([]);
    expect(await found({ cause: box === 'inbox' ? 'no' : 'too large', key: 'key-0' })).toEqual([3, 6]);
    expect(await found({ cause: 'something else' })).toEqual([]);
    expect(await found(box === 'inbox' ? { consumer: 'nobody' } : { aggregateType: 'nothing' })).toEqual([]);
    expect(await found(box === 'inbox' ? { consumer: 'elsewhere' } : { aggregateType: 'counter' })).toHaveLength(6);
  });

  it('are grouped by cause, whatever ids, numbers and quoted values their errors name, and retried by cause', async () => {
    await givenLetters(6);
    const n = box === 'inbox' ? 'id' : 'position';
    await sandbox.database.sql(
      `update sandbox.${box}_parked set error = case
         when type = 'Even' then 'order ' || gen_random_uuid() || ' is unknown to "' || ${n} || '"'
         else $$it doesn't answer '10.0.0.$$ || ${n} || $$:9092' after $$ || ${n} || 'ms' end`,
    );

    const { items, complete } = await letters.causes({ box, diedBefore: new Date(Date.UTC(2026, 0, 1, 0, 0, 5)) });
    const retried = await letters.retry({ box, cause: "it doesn't answer … after #" }, { actor: 'bob' });

    const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second));
    expect(complete).toBe(true);
    expect(items).toEqual([
      { cause: "it doesn't answer … after #", count: 2, oldest: at(1), newest: at(3), types: ['Odd'] },
      { cause: 'order # is unknown to …', count: 2, oldest: at(2), newest: at(4), types: ['Even'] },
    ]);
    expect(retried).toBe(3);
    expect(idsOf((await letters.list({ box }, { order: 'oldest' })).items)).toEqual([2, 4, 6]);
    await expect(letters.causes({ box, cause: 'a\0' })).rejects.toThrow('zero byte');
  });

  it('are changed only with a filter, an actor and a reason', async () => {
    await givenLetters(1);
    const refused: [LetterChoice, { actor: string; reason: string }, string][] = [
      [{ box }, BY_ANN, 'No filter given'],
      [{ box, type: undefined, ids: undefined }, BY_ANN, 'No filter given'],
      [{ box, all: false }, BY_ANN, 'No filter given'],
      [{ box, all: true, type: 'Odd' }, BY_ANN, 'Give either a filter or all: true, not both'],
      [{ box: 'letterbox' as 'inbox', all: true }, BY_ANN, 'box must be outbox or inbox, not letterbox'],
      [{ box, ids: ['1; drop table'] }, BY_ANN, 'is not a valid id'],
      [{ box, diedAfter: new Date('never') }, BY_ANN, 'is not a valid date'],
      [{ box, diedBefore: new Date(-8.64e15) }, BY_ANN, 'is not a valid date'],
      [{ box, key: 'a\0' }, BY_ANN, 'zero byte'],
      [{ box, all: true }, { ...BY_ANN, actor: ' ' }, 'actor must be'],
      [{ box, all: true }, { ...BY_ANN, actor: 'a'.repeat(256) }, 'actor must be'],
      [{ box, all: true }, { ...BY_ANN, reason: '' }, 'reason must be'],
      [{ box, all: true }, { actor: 'ann' } as typeof BY_ANN, 'reason must be'],
      [{ box, ...(box === 'inbox' ? { aggregateType: 'a' } : { consumer: 'a' }) }, BY_ANN, 'have no'],
    ];

    for (const [choice, action, message] of refused)
      await expect(letters.discard(choice, action)).rejects.toThrow(message);
    await expect(letters.retry({ box }, BY_ANN)).rejects.toThrow(InvalidInputError);
    for (const limit of [0, 501, 1.5])
      await expect(letters.list({ box }, { limit })).rejects.toThrow(InvalidInputError);
    for (const cursor of ['', '1', 'x-1', '1-1-1'])
      await expect(letters.list({ box }, { cursor })).rejects.toThrow('is not a valid cursor');
    await expect(trail.list({ messageId: 'a\0' })).rejects.toThrow('zero byte');

    expect((await letters.list({ box })).items).toHaveLength(1);
    expect((await trail.list()).items).toEqual([]);
  });

  it('have an audit trail of who did what, when and why', async () => {
    await givenLetters(3);

    const counted = [
      await letters.retry({ box, ids: ['1', '99'] }, { actor: 'bob' }),
      await letters.discard({ box, all: true }, BY_ANN),
      await letters.discard({ box, all: true }, BY_ANN),
    ];

    const [clock] = await sandbox.database.sql<{ now: Date }>('select now() as now');
    const { items, nextCursor } = await trail.list({}, { limit: 2 });
    const rest = await trail.list({}, { cursor: nextCursor! });
    expect(counted).toEqual([1, 2, 0]);
    expect([...items, ...rest.items]).toMatchObject([
      { action: 'discard', box, ...BY_ANN, letter: { box, id: '3', type: 'Odd', key: 'key-0' } },
      { action: 'discard', box, ...BY_ANN, letter: { box, id: '2', type: 'Even', key: 'key-2' } },
      { action: 'retry', box, actor: 'bob', reason: null, letter: { id: '1', error: expect.any(String) } },
    ]);
    expect(Math.abs(clock!.now.getTime() - items[0]!.at.getTime())).toBeLessThan(60_000);
    const messageId = items[1]!.letter['messageId'] as string;
    expect((await trail.list({ messageId })).items).toEqual([items[1]]);
  });

  it('are each changed once when they are retried and discarded concurrently', async () => {
    await givenLetters(450);

    const both = await Promise.all([
      letters.retry({ box, all: true }, { actor: 'bob' }),
      letters.discard({ box, all: true }, BY_ANN),
      ...Array.from({ length: 20 }, (_, n) => letters.retry({ box, ids: [`${440 - n}`] }, { actor: 'carol' })),
    ]);

    const entries = await sandbox.database.sql<{ id: string }>(
      `select letter ->> 'id' as id from sandbox.messaging_audit`,
    );
    expect(both.reduce((sum, n) => sum + n, 0)).toBe(450);
    expect(new Set(entries.map(({ id }) => id)).size).toBe(450);
    expect((await letters.list({ box })).items).toEqual([]);
  });
});

describe.each(['inbox', 'outbox'] as const)('one letter of the %s', (box) => {
  const inTransaction = <T>(work: (tx: EntityManager) => Promise<T>) => sandbox.dataSource.transaction(work);
  const stillDead = async () => (await letters.list({ box }, { order: 'oldest' })).items.map(({ id }) => id);
  const audited = async () => (await trail.list()).items.map(({ action, letter }) => [action, letter['id']]);

  it('is retried or discarded in the transaction of the caller, with its audit entry', async () => {
    await givenLetters(3);

    const retried = await inTransaction((tx) => letters.retryOne(tx, box, '1', { actor: 'bob' }));
    const discarded = await inTransaction((tx) => letters.discardOne(tx, box, '2', BY_ANN));
    const again = await inTransaction((tx) => letters.retryOne(tx, box, '2', { actor: 'bob' }));

    expect(retried).toMatchObject({ box, id: '1', type: 'Odd' });
    expect(discarded).toMatchObject({ box, id: '2', type: 'Even' });
    expect(again).toBeUndefined();
    expect(await stillDead()).toEqual(['3']);
    expect(await audited()).toEqual([
      ['discard', '2'],
      ['retry', '1'],
    ]);
  });

  it('is not changed when the transaction of the caller is rolled back, and then nobody is woken', async () => {
    await givenLetters(1);
    const woken: string[] = [];
    module.get(DueWork).on('parked', () => woken.push('parked'));

    const rolledBack = inTransaction(async (tx) => {
      await letters.retryOne(tx, box, '1', { actor: 'bob' });
      throw new Error('the idempotency key is taken');
    });

    await expect(rolledBack).rejects.toThrow('the idempotency key is taken');
    expect([await stillDead(), await audited(), woken]).toEqual([['1'], [], []]);
    await inTransaction((tx) => letters.retryOne(tx, box, '1', { actor: 'bob' }));
    await until('the worker is woken', () => woken.length === 1);
  });

  it('is not changed without an open transaction, a valid id, an actor and a reason', async () => {
    await givenLetters(1);
    const { manager } = sandbox.dataSource;

    await expect(letters.retryOne(manager, box, '1', BY_ANN)).rejects.toThrow('an open transaction');
    await expect(inTransaction((tx) => letters.retryOne(tx, box, 'x', BY_ANN))).rejects.toThrow('not a valid id');
    await expect(inTransaction((tx) => letters.retryOne(tx, box, '1', { actor: ' ' }))).rejects.toThrow('actor');
    await expect(inTransaction((tx) => letters.discardOne(tx, box, '1', { actor: 'ann', reason: '' }))).rejects.toThrow(
      'reason',
    );
    expect(await stillDead()).toEqual(['1']);
  });
});

describe('a dead letter of the inbox', () => {
  it('P5 is found with all its details, and the number of messages that wait behind it', async () => {
    poison(1);
    await start();
    const sent = counted(1, { headers: { ...counted(1).headers, traceparent: '00-trace' } });
    await send(sent, counted(2), counted(3));
    await until('all are parked', async () => (await parked()).length === 3);

    const { items } = await letters.list({ box: 'inbox', consumer: sandbox.consumer.groupId });
    const letter = await letters.find('inbox', items[0]!.id);

    expect(items).toHaveLength(1);
    expect(letter).toEqual({
      ...items[0],
      headers: sent.headers,
      rawKey: Buffer.from('a'),
      value: Buffer.from('{"n":1}'),
      recordedAt: expect.any(Date),
      parkedAt: expect.any(Date),
      history: [{ at: expect.any(Date), error: '1 is poison' }],
      waiting: 2,
    });
    expect(items[0]).toMatchObject({
      messageId: sent.headers!['ce_id'],
      source: '/test',
      type: 'Counted',
      key: 'a',
      topic: sandbox.consumer.topic.name,
      offset: '0',
      attempts: 1,
      error: '1 is poison',
    });
    expect(await letters.find('inbox', '999')).toBeUndefined();
    expect(await letters.find('inbox', String(Number(items[0]!.id) + 1))).toBeUndefined();
    await expect(letters.find('inbox', 'x')).rejects.toThrow(InvalidInputError);
  });

  it('P5 has a history of its last twenty failures, from the first one on and across a retry', async () => {
    let attempts = 0;
    CounterController.next = () => {
      throw new Error(`attempt ${++attempts} of ${'x'.repeat(2000)}\0`);
    };
    await start({ maxAttempts: 3, backOff: { firstMs: 1, maxMs: 1 } });
    await send(counted(1));
    const history = async () => {
      const [letter] = (await letters.list({ box: 'inbox' })).items;
      const whole = letter && (await letters.find('inbox', letter.id));
      return whole?.history.map(({ error }) => error.split(' of ')[0]);
    };
    await until('it is dead', async () => (await dead()).length === 1);
    const first = await history();
    for (const expected of [6, 9, 12, 15, 18, 21]) {
      await letters.retry({ box: 'inbox', all: true }, BY_ANN);
      await until('it is dead again', async () => attempts === expected && (await dead()).length === 1);
    }

    const last = await history();

    const numbered = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, n) => `attempt ${from + n}`);
    expect(first).toEqual(numbered(1, 3));
    expect(last).toEqual(numbered(2, 21));
    const [row] = await sandbox.database.sql('select history -> -1 as last from sandbox.inbox_parked');
    const { at, error } = row!['last'] as { at: string; error: string };
    expect(error).toHaveLength(1000);
    expect(Math.abs(Date.parse(at) - Date.now())).toBeLessThan(60_000);
  });

  it('P5 is handled first when it is retried, and those behind it follow in order', async () => {
    const state = poison(1);
    await start();
    await send(counted(1), counted(2), counted(3), counted(7, { key: 'b' }));
    await until('its key is parked', async () => (await parked()).length === 3);
    state.on = false;

    const { items } = await letters.list({ box: 'inbox' });
    const retried = await letters.retry({ box: 'inbox', ids: [items[0]!.id] }, BY_ANN);

    await until('the whole key is handled', async () => (await effects('a')).length === 3);
    expect(retried).toBe(1);
    expect(await effects('a')).toEqual([1, 2, 3]);
    expect(await parked()).toEqual([]);
  });

  it('P5 becomes a dead letter again when it fails again, and is retried once per call', async () => {
    poison(1, 2);
    await start();
    await send(counted(1), counted(2, { key: 'b' }));
    await until('both are dead', async () => (await dead()).length === 2);
    const before = await dead();

    const retried = await letters.retry({ box: 'inbox', all: true }, BY_ANN);

    await until('both are dead again', async () => {
      const after = await dead();
      return after.length === 2 && after.every(({ dead_at }, n) => dead_at! > before[n]!.dead_at!);
    });
    expect(retried).toBe(2);
  });

  it('P5 waits for the letter before it in its key, retried or not', async () => {
    const state = poison(1);
    await start();
    const broken = counted(2);
    await send(counted(1), { ...broken, value: '{"n":"two"}' }, counted(3));
    await until('all are parked', async () => (await parked()).length === 3);
    const { items } = await letters.list({ box: 'inbox' }, { order: 'oldest' });
    state.on = false;

    await letters.retry({ box: 'inbox', ids: [items[1]!.id] }, BY_ANN);
    const heldBack = await parked();
    await letters.retry({ box: 'inbox', ids: [items[0]!.id] }, BY_ANN);
    await until('the second was retried and is dead again', async () => {
      const [row, ...rest] = await parked();
      return rest.length === 1 && row!.dead_at !== null;
    });
    const before = await effects('a');
    await letters.discard({ box: 'inbox', type: 'Counted', key: 'a' }, BY_ANN);
    await until('the whole key is handled', async () => (await effects('a')).length === 2);

    expect(items.map((letter) => (letter as InboxLetter).offset)).toEqual(['0', '1']);
    expect(heldBack).toMatchObject([
      { dead_at: expect.any(Date) },
      { dead_at: null, next_attempt_at: null },
      { dead_at: null, next_attempt_at: null },
    ]);
    expect(before).toEqual([1]);
    expect(await effects('a')).toEqual([1, 3]);
  });

  it('P5 is retried in the order of its key among many others, even if dead letters hold no key', async () => {
    letters = await deadLetters({ afterDeadLetter: 'go-on' });
    const all = Array.from({ length: 300 }, (_, n) => n);
    const state = poison(...all);
    await start({ afterDeadLetter: 'go-on' });
    await send(...all.map((n) => counted(n, { key: `k${n % 3}` })));
    await until('all are dead', async () => (await dead()).length === 300, 60_000);
    state.on = false;

    const retried = await letters.retry({ box: 'inbox', type: 'Counted' }, BY_ANN);

    await until('all are handled', async () => (await parked()).length === 0, 60_000);
    expect(retried).toBe(300);
    for (const key of [0, 1, 2]) expect(await effects(`k${key}`)).toEqual(all.filter((n) => n % 3 === key));
  });

  it('P5 P4 releases its key at once when it is discarded, and is never handled', async () => {
    const state = poison(1);
    await start();
    const letter = counted(1, { id: randomUUID() });
    await send(letter, counted(2), counted(3));
    await until('its key is parked', async () => (await parked()).length === 3);
    state.on = false;

    const discarded = await letters.discard({ box: 'inbox', key: 'a' }, BY_ANN);

    await until('the key moves on', async () => (await effects('a')).length === 2, 5000);
    await send(letter, counted(4));
    await until('the next is handled', async () => (await effects('a')).length === 3);
    expect(discarded).toBe(1);
    expect(await effects('a')).toEqual([2, 3, 4]);
    expect(await parked()).toEqual([]);
  });

  it('P5 is retried on its own if it could not be read, and holds no key', async () => {
    await start();
    await send({ key: 'a', value: 'no json', headers: counted(1).headers! }, { key: null, value: null });
    await until('both are dead', async () => (await dead()).length === 2);
    await send(counted(2));
    await until('the key moves on', async () => (await effects('a')).length === 1);
    const before = await dead();

    const retried = await letters.retry({ box: 'inbox', consumer: sandbox.consumer.groupId }, BY_ANN);
    await until('both are dead again', async () => {
      const after = await dead();
      return after.length === 2 && after.every(({ dead_at }, n) => dead_at! > before[n]!.dead_at!);
    });
    const discarded = await letters.discard({ box: 'inbox', all: true }, BY_ANN);

    expect([retried, discarded]).toEqual([2, 2]);
    expect(await parked()).toEqual([]);
  });

  it('P5 is attempted again when it is retried after three processes died handling it', async () => {
    const mark = (deaths: number) =>
      sandbox.database.sql(
        `insert into sandbox.inbox_in_flight (id, consumer, topic, partition, first_offset, last_offset, deaths)
         values (gen_random_uuid(), $1, $2, 0, 0, 0, $3)`,
        [sandbox.consumer.groupId, sandbox.consumer.topic.name, deaths],
      );
    await send(counted(1, { partition: 0 }), counted(2, { partition: 0 }));
    await mark(3);
    const first = await start();
    await until('its key is parked', async () => (await parked()).length === 2);
    await apps.splice(apps.indexOf(first), 1)[0]!.close();
    // As left by a process that was killed after parking the letter.
    await mark(3);

    const retried = await letters.retry({ box: 'inbox', key: 'a' }, BY_ANN);
    await start();

    await until('both are handled', async () => (await effects('a')).length === 2);
    expect(retried).toBe(1);
    expect(await effects('a')).toEqual([1, 2]);
    expect(await sandbox.database.sql(`select from sandbox.inbox_in_flight where deaths > 0`)).toEqual([]);
  });

  it('P5 waits for transactions that change the parked messages of its key', async () => {
    poison(1);
    await start();
    await send(counted(1), counted(2));
    await until('its key is parked', async () => (await parked()).length === 2);
    const other = sandbox.dataSource.createQueryRunner();
    await other.startTransaction();
    const store = new InboxStore('sandbox', sandbox.consumer.groupId, true);
    await store.lockKey(other.manager, Buffer.from('a'));

    const discarding = letters.discard({ box: 'inbox', all: true }, BY_ANN);

    await until('it waits', async () => {
      const waiting = await sandbox.database.sql(
        `select from pg_locks where locktype = 'advisory' and not granted
            and database = (select oid from pg_database where datname = current_database())`,
      );
      return waiting.length === 1;
    });
    expect(await dead()).toHaveLength(1);
    await other.rollbackTransaction();
    await other.release();
    expect(await discarding).toBe(1);
    await until('the whole key is handled', async () => (await effects('a')).length === 1);
  });

  it('P3 P4 P5 is retried repeatedly while its key is being handled: no deadlock, nothing twice or out of order', async () => {
    let failing = true;
    let calls = 0;
    CounterController.next = () => {
      if (failing && ++calls % 3 === 0) throw new PermanentError('now and then');
    };
    await start({ concurrency: 3 });
    await start({ concurrency: 3 });
    const all = Array.from({ length: 240 }, (_, n) => n);
    const sending = (async () => {
      for (let n = 0; n < all.length; n += 20)
        await send(...all.slice(n, n + 20).map((m) => counted(m, { key: `k${m % 12}` })));
    })();

    await until(
      'many were retried',
      async () => {
        await Promise.all([
          letters.retry({ box: 'inbox', all: true }, BY_ANN),
          letters.retry({ box: 'inbox', type: 'Counted' }, BY_ANN),
        ]);
        const [row] = await sandbox.database.sql<{ n: number }>(
          'select count(*)::int as n from sandbox.messaging_audit',
        );
        return row!.n > 60;
      },
      60_000,
    );
    await sending;
    failing = false;
    await until(
      'all are handled',
      async () => {
        await letters.retry({ box: 'inbox', all: true }, BY_ANN);
        return (await sandbox.database.sql('select from sandbox.effects')).length >= all.length;
      },
      60_000,
    );

    for (let key = 0; key < 12; key++) expect(await effects(`k${key}`)).toEqual(all.filter((n) => n % 12 === key));
    const [stats] = await sandbox.database.sql<{ deadlocks: string }>(
      'select deadlocks from pg_stat_database where datname = current_database()',
    );
    expect(stats).toEqual({ deadlocks: '0' });
  });
});

describe('an edited letter of the inbox', () => {
  const edit = async (id: string, payload: string) =>
    sandbox.dataSource.transaction((tx) => letters.edit(tx, 'inbox', id, payload, BY_ANN));
  const detail = async () => (await trail.list()).items[0]!.detail;

  it('P5 is handled with the new payload, before those behind it, and the audit has the original and the difference', async () => {
    await start();
    const sent = counted(1, { value: '{"n":"one","tags":["a","b"]}' });
    await send(sent, counted(2));
    await until('its key is parked', async () => (await parked()).length === 2);
    const [letter] = (await letters.list({ box: 'inbox' })).items;

    const edited = await edit(letter!.id, '{"n":1,"tags":["a"]}');
    const again = await edit(letter!.id, '{"n":1}');

    await until('both are handled', async () => (await effects('a')).length === 2);
    expect(await effects('a')).toEqual([1, 2]);
    expect(edited).toEqual(letter);
    expect(again).toBeUndefined();
    expect((await trail.list()).items).toMatchObject([
      { action: 'edit', box: 'inbox', ...BY_ANN, letter: { id: letter!.id } },
    ]);
    expect(await detail()).toEqual({
      original: sent.value,
      edited: '{"n":1,"tags":["a"]}',
      difference: [
        { op: 'replace', path: '/n', value: 1 },
        { op: 'remove', path: '/tags/1' },
      ],
    });
    // The edited message is the same one, so it is a duplicate when Kafka delivers it again.
    await send(sent, counted(3));
    await until('the next one is handled', async () => (await effects('a')).length === 3);
    expect(await effects('a')).toEqual([1, 2, 3]);
  });

  it('P5 takes its place in its key if it could not be read, so those that are parked follow it', async () => {
    const state = poison(2);
    await start();
    await send(counted(1, { value: Buffer.from([0xff, 0]) }), counted(2), counted(3));
    await until('all are parked', async () => (await parked()).length === 3);
    const [unreadable, second] = (await letters.list({ box: 'inbox' }, { order: 'oldest' })).items;
    state.on = false;

    await letters.retry({ box: 'inbox', ids: [second!.id] }, BY_ANN);
    await until('the others are handled', async () => (await effects('a')).length === 2);
    state.on = true;
    await send(counted(2), counted(4));
    await until('others are parked', async () => (await parked()).length === 3);
    state.on = false;
    await edit(unreadable!.id, '{"n":1}');
    await letters.retry({ box: 'inbox', all: true }, BY_ANN);

    await until('all are handled', async () => (await parked()).length === 0);
    expect(await effects('a')).toEqual([2, 3, 1, 2, 4]);
    const entry = (await trail.list()).items.find(({ action }) => action === 'edit');
    expect(entry!.detail).toEqual({ original: { base64: '/wA=' }, edited: '{"n":1}', difference: null });
  });

  it('P5 is refused with a reason if the inbox could not read it, and stays as it was', async () => {
    await start();
    const structured = { 'content-type': 'application/cloudevents+json' };
    const event = { specversion: '1.0', id: randomUUID(), source: '/test', type: 'Counted', data: { n: 'x' } };
    const twice = counted(1, { key: 'b', value: 'no JSON' });
    await send(
      counted(1, { value: '{"n":"one"}' }),
      { key: 's', value: JSON.stringify(event), headers: structured },
      twice,
      { key: 'c', value: '{}', headers: {} },
    );
    await until('all are dead', async () => (await dead()).length === 4);
    await send({ ...twice, value: '{"n":7}' });
    await until('the copy is handled', async () => (await effects('b')).length === 1);
    const { items } = await letters.list({ box: 'inbox' });
    const idOf = (key: string) => items.find((letter) => letter.key === key)!.id;
    const refusals: [string, string, string][] = [
      ['a', '{"n":', 'The payload is not a JSON object'],
      ['a', '[1]', 'The payload is not a JSON object'],
      [
        'a',
        '{"n":"two"}',
        'The message would still be unreadable: the data violates its contract: n must be an integer number',
      ],
      ['a', `{"n":1,"x":"${'x'.repeat(2 ** 20)}"}`, 'bytes, more than'],
      ['a', `{"n":1,"x":${'['.repeat(600)}${']'.repeat(600)}}`, 'nested deeper than 500'],
      ['a', '{"n":1,"x":"\ud800"}', 'half of a surrogate pair'],
      [
        's',
        JSON.stringify({ ...event, id: randomUUID(), data: { n: 1 } }),
        `The id of the message must stay ${event.id}`,
      ],
      [
        's',
        JSON.stringify({ ...event, source: '/other', data: { n: 1 } }),
        'The source of the message must stay /test',
      ],
      ['b', '{"n":8}', 'has already received a copy of message'],
      ['c', '{"n":1}', 'The message would still be unreadable: header missing: ce_id'],
    ];
    const before = await parked();

    for (const [key, payload, message] of refusals) {
      const refusal = edit(idOf(key), payload);
      await expect(refusal).rejects.toThrow(EditRefusedError);
      await expect(refusal).rejects.toThrow(message);
    }

    await expect(edit('999', '{"n":1}')).resolves.toBeUndefined();
    expect(await parked()).toEqual(before);
    expect((await trail.list()).items).toEqual([]);
    await edit(idOf('s'), JSON.stringify({ ...event, data: { n: 5 } }));
    await until('the structured event is handled', async () => (await effects('s'))[0] === 5);
  });
});

describe('a dead letter of the outbox', () => {
  const MAX_BYTES = 20_000;

  const limitTopic = (bytes: number) =>
    configureTopic(sandbox.options.brokers, sandbox.consumer.topic.name, { 'max.message.bytes': String(bytes) });

  /** Adds the messages 1 to 4 of each key. Kafka rejects the second. */
  async function givenRefusals(keys: readonly string[]): Promise<void> {
    await limitTopic(MAX_BYTES);
    const relay = sandbox.newRelay();
    const outbox = sandbox.outboxOf(relay);
    await sandbox.dataSource.transaction(async (tx) => {
      for (const aggregateId of keys)
        for (let n = 1; n <= 4; n++) {
          const data = n === 2 ? { n, filler: 'x'.repeat(MAX_BYTES) } : { n };
          await outbox.add(tx, { aggregateType: 'counter', aggregateId, version: n }, [{ type: 'Counted', data }]);
        }
    });
    relay.start();
    await until('the rest is parked', async () => {
      const rows = await sandbox.database.sql('select from sandbox.outbox_parked');
      return rows.length === keys.length * 3;
    });
    await sandbox.drained();
  }

  const published = (key: string) => [...new Set(counts(sandbox.topic, key))];

  it('P5 is published when its cause is fixed and it is retried, and those behind it follow', async () => {
    await givenRefusals(['a', 'b']);
    const { items } = await letters.list({ box: 'outbox' }, { order: 'oldest' });
    const whole = await letters.find('outbox', items[0]!.id);
    const before = published('a');
    await limitTopic(1_000_000);

    const retried = await letters.retry({ box: 'outbox', aggregateType: 'counter' }, BY_ANN);

    await until('both keys are published', () => published('a').length + published('b').length === 8);
    expect(items).toMatchObject([
      { key: 'a', sequence: '2', aggregateType: 'counter', error: expect.stringMatching(/large/) },
      { key: 'b', sequence: '2' },
    ]);
    expect(whole).toMatchObject({ ...items[0], waiting: 2, payload: expect.stringContaining('xxx') });
    expect(before).toEqual([1]);
    expect(retried).toBe(2);
    expect(published('a')).toEqual([1, 2, 3, 4]);
    expect(inversions(sandbox.topic)).toEqual([]);
    await until('nothing is parked', async () => {
      return (await sandbox.database.sql('select from sandbox.outbox_parked')).length === 0;
    });
  });

  it('P5 releases those behind it when it is discarded, and is never published, not even by a successor', async () => {
    await givenRefusals(['a']);
    await limitTopic(1_000_000);

    const discarded = await letters.discard({ box: 'outbox', key: 'a' }, BY_ANN);
    await until('the whole key is published', () => published('a').includes(4));
    // A relay that was killed before it recorded any progress.
    await sandbox.database.sql(
      `update sandbox.relay_lease set holder = gen_random_uuid(), expires_at = '-infinity', position = 0, gaps = '{}'`,
    );
    sandbox.newRelay().start();

    await until(
      'its successor has sent everything again',
      () => counts(sandbox.topic, 'a').filter((n) => n === 4).length > 1,
    );
    expect(discarded).toBe(1);
    expect(published('a')).toEqual([1, 3, 4]);
    expect(await letters.find('outbox', '2')).toBeUndefined();
  });

  it('P5 P3 is published with the new payload when it is edited, and by a successor too, or refused', async () => {
    await givenRefusals(['a']);
    const [letter] = (await letters.list({ box: 'outbox' })).items;
    const edit = async (payload: string) =>
      sandbox.dataSource.transaction((tx) => letters.edit(tx, 'outbox', letter!.id, payload, BY_ANN));

    await expect(edit('{"n":"two"}')).rejects.toThrow('The data violates its contract: n must be an integer number');
    await expect(edit('no JSON')).rejects.toThrow(EditRefusedError);
    const unchanged = (await letters.list({ box: 'outbox' })).items;
    await edit('{"n":2}');
    await until('the whole key is published', () => published('a').includes(4));
    // A relay that was killed before it recorded any progress.
    await sandbox.database.sql(
      `update sandbox.relay_lease set holder = gen_random_uuid(), expires_at = '-infinity', position = 0, gaps = '{}'`,
    );
    sandbox.newRelay().start();

    await until(
      'its successor has sent everything again',
      () => counts(sandbox.topic, 'a').filter((n) => n === 4).length > 1,
    );
    expect(unchanged).toEqual([letter]);
    expect(published('a')).toEqual([1, 2, 3, 4]);
    const entries = (await trail.list()).items;
    expect(entries).toMatchObject([{ action: 'edit', box: 'outbox', detail: { characters: expect.any(Number) } }]);
    expect(await trail.find(entries[0]!.id)).toMatchObject({
      detail: { edited: '{"n":2}', difference: [{ op: 'remove', path: '/filler' }] },
    });
    expect(await letters.find('outbox', letter!.id)).toBeUndefined();
  });
});
