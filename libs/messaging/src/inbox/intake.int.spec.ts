import { Logger } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { CrashMarks } from './crash-marks.js';
import { Intake } from './intake.js';
import { inboxSettings } from './inbox-settings.js';
import { InboxStore } from './inbox-store.js';
import { type InboxWork } from './inbox-work.js';
import { noCounts } from '../operations/inbox-counts.js';
import { type KafkaRecord, type Message } from '../message/message.js';
import { readMessage } from '../message/read-message.js';
import { Setbacks } from '../postgres/setbacks.js';
import { Slots } from './slots.js';
import { counted } from '../../test/counter-process.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';
import { until } from '../testing/until.js';

let sandbox: Sandbox;
let work: InboxWork;
let handle: InboxWork['handle'];

beforeEach(async () => {
  sandbox = await createSandbox();
  handle = () => Promise.resolve();
  const { groupId, topic } = sandbox.consumer;
  work = {
    groupId,
    settings: inboxSettings({ ...sandbox.consumer, groupCommit: true }),
    dataSource: sandbox.dataSource,
    store: new InboxStore('sandbox', groupId, true),
    crashMarks: new CrashMarks('sandbox', groupId),
    slots: new Slots(4),
    counts: noCounts(),
    setbacks: new Setbacks(
      () => work.counts.processed,
      () => undefined,
    ),
    inFlight: new Set(),
    logger: new Logger(),
    stopping: new AbortController().signal,
    isPaused: () => false,
    read: (record) => readMessage(record, topic),
    handles: (type) => type === 'Counted',
    handle: (tx, message) => handle(tx, message),
  };
});

afterEach(async () => {
  await sandbox.close();
});

interface Place {
  readonly partition: number;
  readonly offset: number;
  readonly key?: string;
  readonly id?: string;
  readonly type?: string;
}

function recordOf(n: number, place: Place): KafkaRecord {
  const { key, value, headers } = counted(n, { key: place.key ?? 'a', ...(place.id && { id: place.id }) });
  const bytes = (text: unknown) => Buffer.from(String(text));
  return {
    topic: sandbox.consumer.topic.name,
    partition: place.partition,
    offset: String(place.offset),
    timestamp: new Date(),
    key: bytes(key),
    value: bytes(value),
    headers: { ...headers, ...(place.type && { ce_type: place.type }) },
  };
}

/** Delivers batches at the same time, as one fetch response does. */
async function take(...batches: KafkaRecord[][]): Promise<void> {
  const inbox = new Intake(work, () => undefined);
  const deliver = (records: KafkaRecord[]) =>
    inbox.process({ records, hasMore: false, isCurrent: () => true, resolve: () => undefined });
  // The marks of other processes are looked up once per partition; this gets the look-ups out of the way.
  await Promise.all([0, 1, 2].map((partition) => deliver([recordOf(0, { partition, offset: 0, type: 'Ignored' })])));
  await Promise.all(batches.map(deliver));
}

const nOf = (message: Message) => (message.data as { n: number }).n;
const transactionOf = async (tx: EntityManager) =>
  (await tx.query('select pg_current_xact_id()::text as id'))[0].id as string;

it('P7 keeps no mark in memory of records that it gave up before they were in flight', async () => {
  // A dead process had the second record in flight, so it forms a run of its own after the first.
  await sandbox.database.sql(
    `insert into sandbox.inbox_in_flight (id, consumer, topic, partition, first_offset, last_offset)
     values (gen_random_uuid(), $1, $2, 0, 1, 1)`,
    [sandbox.consumer.groupId, sandbox.consumer.topic.name],
  );
  let current = true;
  await new Intake(work, () => undefined).process({
    records: [0, 1].map((offset) => recordOf(offset, { partition: 0, offset })),
    hasMore: false,
    isCurrent: () => current,
    // From then on, the partition belongs to another process.
    resolve: () => (current = false),
  });
  const removed: unknown[] = [];
  sandbox.dataSource.subscribers.push({ afterQuery: ({ parameters }) => void removed.push(parameters) });

  await work.crashMarks.removeOwn(sandbox.dataSource);

  expect(work.counts.processed).toBe(1);
  expect(removed).toEqual([]);
});

it('P5 keeps sending heartbeats while it parses a batch of large messages', async () => {
  let turns = 0;
  const turnsAtReading: number[] = [];
  work = {
    ...work,
    read: (record) => {
      turnsAtReading.push(turns);
      for (const end = performance.now() + 40; performance.now() < end;);
      return readMessage(record, sandbox.consumer.topic);
    },
  };
  const timer = setInterval(() => turns++, 1);

  await take(Array.from({ length: 20 }, (_, n) => recordOf(n, { partition: 0, offset: n + 1 })));
  clearInterval(timer);

  expect(new Set(turnsAtReading.slice(3)).size).toBeGreaterThan(5);
  expect(work.counts.processed).toBe(20);
});

/** Runs `take` while another process holds the message in an open transaction, which ends once `take` waits for it. */
async function takeBeside(
  work: (tx: EntityManager) => Promise<unknown>,
  end: 'commit' | 'rollback',
  take: () => Promise<void>,
): Promise<void> {
  const other = sandbox.dataSource.createQueryRunner();
  await other.startTransaction();
  await work(other.manager);
  const taken = take();
  await until(
    'the group waits for the other process',
    async () =>
      (
        await sandbox.database.sql(
          "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        )
      ).length,
  );
  await (end === 'commit' ? other.commitTransaction() : other.rollbackTransaction());
  await taken;
  await other.release();
}

describe('a group while another process holds one of its messages', () => {
  // Messages are recorded in order of their ids, so the later one of the key is recorded before the wait or after it.
  const [LOW, HIGH] = ['00000000-0000-7000-8000-000000000001', 'ffffffff-ffff-7fff-bfff-ffffffffffff'] as const;
  const orders = [
    { ids: [LOW, HIGH], order: 'first' },
    { ids: [HIGH, LOW], order: 'last' },
  ] as const;
  let handled: string[];
  let first: KafkaRecord;
  let rest: KafkaRecord[];

  function given(ids: readonly [string, string]): void {
    handled = [];
    handle = (_, message) => Promise.resolve(void handled.push(`${message.key}${nOf(message)}`));
    first = recordOf(1, { partition: 0, offset: 0, id: ids[0] });
    rest = [
      recordOf(1, { partition: 0, offset: 1, key: 'b' }),
      recordOf(2, { partition: 0, offset: 2, id: ids[1] }),
      recordOf(3, { partition: 0, offset: 3 }),
    ];
  }
  const knownOf = (id: string) => ({ id, source: '/test', type: 'Counted' });

  it.each(orders)('P3 handles no message that would overtake one parked meanwhile ($order)', async ({ ids }) => {
    given(ids);
    const parking = { holdsKey: true, attempts: 1, setbacks: 0, error: 'no', delayMs: 60_000, known: knownOf(ids[0]) };

    await takeBeside(
      (tx) => work.store.park(tx, first, parking),
      'commit',
      () => take([first, ...rest]),
    );

    expect(handled).toEqual(['b1']);
    const parked = await sandbox.database.sql<{ offset: string }>(
      'select "offset" from sandbox.inbox_parked order by id',
    );
    expect(parked.map(({ offset }) => offset)).toEqual(['0', '2', '3']);
    expect(work.counts).toMatchObject({ processed: 1, duplicates: 1, parked: 2 });
    expect(await sandbox.database.sql('select from sandbox.inbox')).toHaveLength(4);
  });

  it.each(orders)('P4 handles the others once when that one was handled meanwhile ($order)', async ({ ids }) => {
    given(ids);
    const insert = 'insert into sandbox.inbox (consumer, message_id, source) values ($1, $2, $3)';

    await takeBeside(
      (tx) => tx.query(insert, [sandbox.consumer.groupId, ids[0], '/test']),
      'commit',
      () => take([first, ...rest]),
    );

    expect(handled).toEqual(['b1', 'a2', 'a3']);
    expect(work.counts).toMatchObject({ processed: 3, duplicates: 1, parked: 0 });
  });

  it.each(orders)('P2 P3 handles all messages in order when the other process rolls back ($order)', async ({ ids }) => {
    given(ids);
    const parking = { holdsKey: true, attempts: 1, setbacks: 0, error: 'no', delayMs: 60_000, known: knownOf(ids[0]) };

    await takeBeside(
      (tx) => work.store.park(tx, first, parking),
      'rollback',
      () => take([first, ...rest]),
    );

    expect(handled.filter((name) => name.startsWith('a'))).toEqual(['a1', 'a2', 'a3']);
    expect(work.counts).toMatchObject({ processed: 4, duplicates: 0, parked: 0 });
  });
});

describe('group commit', () => {
  it('P4 handles messages that several partitions deliver at the same time in one transaction', async () => {
    const transactions = new Set<string>();
    const marked: unknown[] = [];
    handle = async (tx) => void transactions.add(await transactionOf(tx));
    sandbox.dataSource.subscribers.push({
      afterQuery: ({ query }) => void (query.includes('inbox_in_flight (id') && marked.push(query)),
    });

    await take(
      [0, 1].map((offset) => recordOf(offset, { partition: 0, offset, key: 'a' })),
      [2, 3].map((offset) => recordOf(offset, { partition: 1, offset, key: 'b' })),
      [recordOf(4, { partition: 2, offset: 9, key: 'c' })],
    );

    expect(work.counts).toMatchObject({ processed: 5, duplicates: 0 });
    expect(transactions.size).toBe(1);
    expect(marked).toHaveLength(1);
    const marks = await sandbox.database.sql(
      'select partition, first_offset::int as first, last_offset::int as last from sandbox.inbox_in_flight order by 1',
    );
    expect(marks).toEqual([
      { partition: 0, first: 0, last: 1 },
      { partition: 1, first: 2, last: 3 },
      { partition: 2, first: 9, last: 9 },
    ]);
  });

  it('P3 handles different keys concurrently, and the messages of a key one after another', async () => {
    const log: string[] = [];
    const second = Promise.withResolvers<void>();
    handle = async (_, message) => {
      log.push(`${message.key}${nOf(message)} begins`);
      if (message.key === 'a') await second.promise;
      else second.resolve();
      log.push(`${message.key}${nOf(message)} ends`);
    };

    await take([
      recordOf(1, { partition: 0, offset: 0, key: 'a' }),
      recordOf(2, { partition: 0, offset: 1, key: 'a' }),
      recordOf(3, { partition: 0, offset: 2, key: 'b' }),
    ]);

    expect(log).toEqual(['a1 begins', 'b3 begins', 'b3 ends', 'a1 ends', 'a2 begins', 'a2 ends']);
  });

  it('handles messages one after another if the connection cannot pipeline statements', async () => {
    const plain = await new DataSource({ type: 'postgres', url: sandbox.database.url }).initialize();
    work = { ...work, dataSource: plain };
    let running = 0;
    let most = 0;
    handle = async (tx) => {
      most = Math.max(most, ++running);
      await tx.query('select 1');
      running--;
    };

    await take([
      recordOf(1, { partition: 0, offset: 0, key: 'a' }),
      recordOf(2, { partition: 0, offset: 1, key: 'b' }),
    ]);
    await plain.destroy();

    expect(work.counts.processed).toBe(2);
    expect(most).toBe(1);
  });

  it('P4 lets no handler of a failed group write outside of the transaction', async () => {
    await sandbox.database.sql('create table sandbox.effects (n int)');
    let tries = 0;
    handle = async (tx, message) => {
      if (nOf(message) === 1 && tries++ === 0) throw new Error('at once');
      await tx.query('select pg_sleep(0.05)');
      await tx.query('insert into sandbox.effects values ($1)', [nOf(message)]);
    };

    await take([
      recordOf(1, { partition: 0, offset: 0, key: 'a' }),
      recordOf(2, { partition: 0, offset: 1, key: 'b' }),
    ]);

    // Each effect exists once, from the second transaction of its message.
    expect(await sandbox.database.sql('select n from sandbox.effects order by n')).toEqual([{ n: 1 }, { n: 2 }]);
  });

  it('P4 handles a message once that two partitions deliver at the same time', async () => {
    const handled: number[] = [];
    handle = (_, message) => Promise.resolve(void handled.push(nOf(message)));
    const id = crypto.randomUUID();

    await take(
      [recordOf(1, { partition: 0, offset: 0, key: 'a', id })],
      [recordOf(1, { partition: 1, offset: 0, key: 'a', id }), recordOf(2, { partition: 1, offset: 1, key: 'b' })],
    );

    expect(handled.toSorted((one, other) => one - other)).toEqual([1, 2]);
    expect(work.counts).toMatchObject({ processed: 2, duplicates: 1 });
  });
});
