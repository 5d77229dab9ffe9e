import { randomUUID } from 'node:crypto';
import { jest } from '@jest/globals';
import { type INestApplication } from '@nestjs/common';
import pg from 'pg';
import { JobStore } from '../jobs/job-store.js';
import { PollStore } from '../poll/poll-store.js';
import { ParkedStore } from '../inbox/parked-store.js';
import { counted, CounterController, startCounter } from '../../test/counter-process.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';
import { until } from '../testing/until.js';

const ROWS = 60_000;
const SOON = { firstMs: 50, maxMs: 200 };

let sandbox: Sandbox;
let store: PollStore | undefined;
const apps: INestApplication[] = [];
const old: pg.Client[] = [];
const handled: number[] = [];

const sql = <Row extends object = Record<string, unknown>>(text: string, values?: unknown[]) =>
  sandbox.database.sql<Row>(text, values);

async function start(): Promise<void> {
  apps.push(await startCounter(sandbox, { backOff: SOON }));
}

/** Opens a transaction that keeps every row in the index that is deleted from now on. */
async function oldTransaction(): Promise<void> {
  const client = new pg.Client({ connectionString: sandbox.database.directUrl });
  old.push(client);
  await client.connect();
  await client.query('begin isolation level repeatable read');
  await client.query('select 1');
}

/** Parks messages, by default each with its own key. `next` is SQL for the time of the next attempt. */
async function givenParked(count: number, next: string, key = `'k' || n`): Promise<void> {
  await sql(
    `insert into sandbox.inbox_parked (consumer, topic, partition, "offset", recorded_at, source, message_id, type, key,
       headers, value, holds_key, next_attempt_at)
     select $1, $2, 0, n, now(), '/test', gen_random_uuid(), 'Counted', convert_to(${key}, 'UTF8'),
            '{"ce_specversion":"1.0","ce_id":"x","ce_type":"Counted","ce_source":"/test"}', convert_to('{"n":' || n || '}', 'UTF8'),
            true, ${next}
       from generate_series(1, $3::int) as n`,
    [sandbox.consumer.groupId, sandbox.consumer.topic.name, count],
  );
}

async function givenJobs(count: number, runAt = `now() - interval '1 minute'`): Promise<void> {
  await sql(
    `insert into sandbox.jobs (id, queue, data, run_at)
     select gen_random_uuid(), 'calls', '{}', ${runAt} from generate_series(1, $1::int)`,
    [count],
  );
}

/** Repeats the last statement of `work` that contains `part`, and returns the number of blocks that it reads. */
async function blocksOf(part: string, work: () => Promise<unknown>): Promise<number> {
  const spy = jest.spyOn(pg.Client.prototype, 'query');
  await work();
  const calls = spy.mock.calls as unknown as [string | { text: string; values?: unknown[] }, unknown][];
  const sent = calls.map(([query, values]) =>
    typeof query === 'string' ? { text: query, values: Array.isArray(values) ? (values as unknown[]) : [] } : query,
  );
  spy.mockRestore();
  const { text, values = [] } = sent.findLast((query) => query.text.includes(part))!;
  const [row] = await sql<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>(
    `explain (analyze, buffers, format json) ${text}`,
    values,
  );
  const { Plan } = row!['QUERY PLAN'][0];
  return Plan['Shared Hit Blocks']! + Plan['Shared Read Blocks']!;
}

async function connect(): Promise<PollStore> {
  const { databaseUrl, schema, service } = sandbox.options;
  store = await PollStore.connect(
    { databaseUrl, schema, service, queues: ['calls'] },
    () => undefined,
    () => undefined,
  );
  return store;
}

const parkedStore = () => new ParkedStore('sandbox', sandbox.consumer.groupId, true);

/** Scans the whole table slice by slice. */
async function wakeStrays(of: ParkedStore): Promise<number> {
  let woken = 0;
  for (let block: number | undefined = 0; block !== undefined;) {
    const strays: { woken: number; next: number | undefined } = await of.wakeStrays(sandbox.dataSource, block, 60_000);
    woken += strays.woken;
    block = strays.next;
  }
  return woken;
}

beforeEach(async () => {
  sandbox = await createSandbox();
  await sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
  handled.length = 0;
  CounterController.next = (n) => void handled.push(n);
});

afterEach(async () => {
  jest.restoreAllMocks();
  await store?.close();
  store = undefined;
  await Promise.all(apps.splice(0).map((app) => app.close()));
  await Promise.all(old.splice(0).map((client) => client.end()));
  await sandbox.close();
});

describe('beside an old transaction, after very many rows were processed', () => {
  beforeEach(async () => {
    await givenParked(ROWS, `now() - interval '1 minute'`);
    await givenJobs(ROWS);
    await oldTransaction();
    await sql('delete from sandbox.inbox_parked');
    await sql('delete from sandbox.jobs');
  });

  it('P6 P7 the poll reads few blocks', async () => {
    const polls = await connect();
    const first = await blocksOf('relay_lease', () => polls.holdLease(undefined, 4000));
    const later = await blocksOf('relay_lease', () => polls.holdLease(undefined, 4000));

    expect(first).toBeLessThan(200);
    expect(later).toBeLessThan(200);
  });

  it('P6 P7 a search for due messages or due jobs reads few blocks', async () => {
    const parked = parkedStore();
    const jobs = new JobStore('sandbox');

    const heads = await blocksOf('inbox_parked', () => parked.dueHeads(sandbox.dataSource, [], 100));
    const claims = await blocksOf('sandbox".jobs', () =>
      jobs.claim(sandbox.dataSource, randomUUID(), 30_000, new Map([['calls', 4]])),
    );

    expect(heads).toBeLessThan(200);
    expect(claims).toBeLessThan(200);
  });

  it('P2 the next poll finds rows that become due, and they are processed', async () => {
    const polls = await connect();
    const parked = parkedStore();
    const jobs = new JobStore('sandbox');
    const room = new Map([['calls', 4]]);
    const before = await polls.holdLease(undefined, 4000);
    const none = [
      await parked.dueHeads(sandbox.dataSource, [], 100),
      await jobs.claim(sandbox.dataSource, randomUUID(), 30_000, room),
    ];
    await givenParked(1, `now() - interval '1 second'`);
    await givenJobs(1, `now() - interval '1 second'`);

    const { due } = await polls.holdLease(undefined, 4000);

    expect(before.due).toMatchObject({ parked: false, jobs: false });
    expect(none).toEqual([[], []]);
    expect(due).toMatchObject({ parked: true, jobs: true });
    expect(await parked.dueHeads(sandbox.dataSource, [], 100)).toHaveLength(1);
    expect(await jobs.claim(sandbox.dataSource, randomUUID(), 30_000, room)).toHaveLength(1);
  });

  it('P2 rows committed long after their due time are found too', async () => {
    const polls = await connect();
    const parked = parkedStore();
    const jobs = new JobStore('sandbox');
    await polls.holdLease(undefined, 4000);
    await parked.dueHeads(sandbox.dataSource, [], 100);
    await givenParked(3, `now() - interval '1 hour'`);
    await givenJobs(3, `now() - interval '1 hour'`);

    const messages = await wakeStrays(parked);
    let calls = 0;
    for (let block: number | undefined = 0; block !== undefined;) {
      const strays: { woken: number; next: number | undefined } = await jobs.wakeStrays(sandbox.dataSource, block, [
        'calls',
      ]);
      calls += strays.woken;
      block = strays.next;
    }

    expect([messages, calls]).toEqual([3, 3]);
    expect((await polls.holdLease(undefined, 4000)).due).toMatchObject({ parked: true, jobs: true });
    expect(await parked.dueHeads(sandbox.dataSource, [], 100)).toHaveLength(3);
    expect(await jobs.claim(sandbox.dataSource, randomUUID(), 30_000, new Map([['calls', 4]]))).toHaveLength(3);
  });

  it('P7 processing a key does not read its removed messages', async () => {
    await sql('truncate sandbox.inbox_parked');
    await givenParked(ROWS, `case when n = 1 then now() end`, `'a'`);
    await oldTransaction();
    const parked = parkedStore();
    await sql('delete from sandbox.inbox_parked where "offset" < $1', [ROWS - 1]);
    const [last] = await sql<{ id: string }>('select max(id) - 2 as id from sandbox.inbox_parked');

    const blocks = await blocksOf('set next_attempt_at', () =>
      sandbox.dataSource.transaction((tx) => parked.releaseNext(tx, Buffer.from('a'), last!.id)),
    );

    expect(blocks).toBeLessThan(100);
  });
});

describe('in a large backlog', () => {
  beforeEach(async () => {
    await givenParked(ROWS, `now() - n * interval '1 second'`);
    await givenJobs(ROWS, `now() - random() * interval '1 hour'`);
  });

  it.each(['without', 'with'])(
    'P7 the poll and a search for due jobs read few blocks, %s statistics',
    async (which) => {
      if (which === 'with') await sql('analyze sandbox.inbox_parked, sandbox.jobs');
      const polls = await connect();
      const jobs = new JobStore('sandbox', { parked: null, jobs: { calls: '-infinity' } });

      const poll = await blocksOf('relay_lease', () => polls.holdLease(undefined, 4000));
      const claims = await blocksOf('sandbox".jobs', () =>
        jobs.claim(sandbox.dataSource, randomUUID(), 30_000, new Map([['calls', 4]])),
      );

      expect(poll).toBeLessThan(200);
      expect(claims).toBeLessThan(300);
    },
  );

  it('P7 a search for due messages reads few blocks', async () => {
    await sql('analyze sandbox.inbox_parked');
    const parked = parkedStore();
    const [oldest] = await sql<{ at: string }>('select min(next_attempt_at)::text as at from sandbox.inbox_parked');
    (parked as unknown as { dueSince: string }).dueSince = oldest!.at;

    const heads = await blocksOf('inbox_parked', () => parked.dueHeads(sandbox.dataSource, [], 100));

    expect(heads).toBeLessThan(3000);
  });
});

describe('a parked message that no search for due messages finds', () => {
  it('P7 is searched for in slices that each read few blocks', async () => {
    await givenParked(ROWS, 'null', `'a'`);
    await givenParked(ROWS, 'null', `'k' || n`);
    const parked = parkedStore();

    const blocks = await blocksOf('ctid >=', () => parked.wakeStrays(sandbox.dataSource, 0, 60_000));
    await wakeStrays(parked);

    expect(blocks).toBeLessThan(1000);
    // Each message of the second kind is the head of its key. Of the first kind there is one head.
    const due = await sql(
      `select (convert_from(key, 'UTF8') = 'a') as first, count(*)::int from sandbox.inbox_parked
        where next_attempt_at is not null group by 1 order by 1`,
    );
    expect(due).toEqual([
      { first: false, count: ROWS },
      { first: true, count: 1 },
    ]);
  });

  it('P5 resumes when the dead letter before it was removed with a plain DELETE', async () => {
    await givenParked(2, 'null', `'a'`);

    await start();

    await until('both are handled', async () => (await sql('select from sandbox.inbox_parked')).length === 0);
    expect(handled).toEqual([1, 2]);
  });

  it.each([
    ['two hours ahead, because the clock was set back', `now() + interval '2 hours'`],
    ['long past', `now() - interval '2 hours'`],
  ])('P2 P3 resumes, with the messages waiting behind it, when its due time is %s', async (_, next) => {
    await givenParked(3, `case when n = 1 then ${next} end`, `'a'`);

    await start();

    await until('all are handled', async () => (await sql('select from sandbox.inbox_parked')).length === 0);
    expect(handled).toEqual([1, 2, 3]);
  });

  it('P5 keeps its due time if that is within the longest back-off', async () => {
    await givenParked(1, `now() + interval '50 seconds'`);
    const before = await sql('select next_attempt_at from sandbox.inbox_parked');

    const woken = await wakeStrays(parkedStore());

    expect(woken).toBe(0);
    expect(await sql('select next_attempt_at from sandbox.inbox_parked')).toEqual(before);
  });

  it('P2 resumes when it was retried without a key', async () => {
    await sql(
      `insert into sandbox.inbox_parked (consumer, topic, partition, "offset", recorded_at, source, message_id, type, headers,
         value, holds_key, error, dead_at)
       values ($1, $2, 0, 0, now(), '/test', 'x', 'Counted', $3, '{"n":7}', true, 'no', now())`,
      [sandbox.consumer.groupId, sandbox.consumer.topic.name, counted(7).headers],
    );

    await sandbox.deadLetters.retry({ box: 'inbox', all: true }, { actor: 'ann' });

    expect(await sql('select next_attempt_at is not null as due from sandbox.inbox_parked')).toEqual([{ due: true }]);
  });
});
