import { type TestDatabase } from '@twinbox/messaging/testing';
import { createServiceDatabase } from '@twinbox/test-support';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { readNow, readSince } from '../src/adapters/postgres/live/feed-sql.js';
import { type Query } from '../src/adapters/postgres/live/landmarks.js';
import { Snapshot } from '../src/application/live/resume-point.js';
import { INSERT_STEP } from './order-events.harness.js';

let database: TestDatabase;
const connections: pg.Client[] = [];
beforeAll(async () => {
  database = await createServiceDatabase();
});
afterEach(async () => {
  for (const connection of connections.splice(0)) await connection.end();
});
afterAll(() => database.drop());

const query: Query = (text, values) => database.sql(text, [...values]);

async function connect(): Promise<pg.Client> {
  const connection = new pg.Client({ connectionString: database.directUrl });
  await connection.connect();
  connections.push(connection);
  return connection;
}

const INSERT_WITH_XID = INSERT_STEP.replace('actor)', 'actor, xid)').replace(`'system')`, `'system', $4)`);

const versions = (steps: readonly { version: number }[]) => steps.map(({ version }) => version);

describe('a reading', () => {
  it('returns what was committed since the previous one, whatever its transaction ids', async () => {
    const [early, late] = await Promise.all([connect(), connect()]);
    const orderId = uuidv7();
    const before = await readNow(query);
    await early.query('begin');
    await early.query(INSERT_STEP, [orderId, 'ada', 1]);
    await late.query(INSERT_STEP, [orderId, 'ada', 2]);

    const first = await readSince(query, before, 100);
    const nothing = await readSince(query, first.seen, 100);
    await early.query('commit');
    const second = await readSince(query, nothing.seen, 100);
    const end = await readSince(query, second.seen, 100);

    expect([first, nothing, second, end].map(({ steps }) => versions(steps))).toEqual([[2], [], [1], []]);
  });

  it('P6 costs only what is new, even while a transaction stays open', async () => {
    const open = await connect();
    await open.query('begin');
    await open.query('select pg_current_xact_id()');
    await database.sql(
      `insert into orders.order_timeline (order_id, customer_id, type, status, version, at, actor)
       select gen_random_uuid(), 'others', 'Tested', 'PLACED', 1, now(), 'system' from generate_series(1, 20000)`,
    );
    await database.sql('vacuum analyze orders.order_timeline');
    const seen = await readNow(query);
    await database.sql(INSERT_STEP, [uuidv7(), 'ada', 1]);

    let plan = '';
    await readSince(
      async (text, values) => {
        const rows = await database.sql<{ 'QUERY PLAN': string }>(`explain (analyze, buffers) ${text}`, [...values]);
        plan ||= rows.map((row) => row['QUERY PLAN']).join('\n');
        return query(text, values);
      },
      seen,
      100,
    );
    await open.query('rollback');

    expect(plan).toMatch(/order_timeline_xid/);
    expect(plan).not.toMatch(/Seq Scan on order_timeline/);
    expect(Number(/Buffers: shared hit=(\d+)/.exec(plan)?.[1])).toBeLessThan(50);
  });

  it('that is not whole keeps the steps of an order in order', async () => {
    const [early, late] = await Promise.all([connect(), connect()]);
    const orderId = uuidv7();
    const before = await readNow(query);
    // The first transaction to get its id is the second to lock the order.
    await early.query('begin');
    await early.query('select pg_current_xact_id()');
    await late.query(INSERT_STEP, [orderId, 'ada', 1]);
    await early.query(INSERT_STEP, [orderId, 'ada', 2]);
    await early.query('commit');

    const first = await readSince(query, before, 1);
    const second = await readSince(query, first.seen, 1);
    const third = await readSince(query, second.seen, 1);

    expect(versions(first.steps)).toEqual([1, 2]);
    expect(first.isWhole).toBe(false);
    // Again, in its turn.
    expect(versions(second.steps)).toEqual([1]);
    expect(third).toMatchObject({ steps: [], isWhole: true });
  });

  it('of a large transaction takes several short statements and excludes what commits between them', async () => {
    const open = await connect();
    const before = await readNow(query);
    await open.query('begin');
    await open.query('select pg_current_xact_id()');
    await database.sql(
      `insert into orders.order_timeline (order_id, customer_id, type, status, version, at, actor)
       select gen_random_uuid(), (array['ada', 'bob'])[1 + version % 2], 'Tested', 'PLACED', version, now(), 'system'
         from generate_series(1, 1000) as version`,
    );

    const rowCounts: number[] = [];
    const first = await readSince(
      async (text, values) => {
        if (rowCounts.length === 1) {
          await open.query(INSERT_STEP, [uuidv7(), 'ada', 1001]);
          await open.query('commit');
        }
        const rows = await database.sql<never>(text, [...values]);
        rowCounts.push(rows.length);
        return rows;
      },
      before,
      100,
      'ada',
    );
    const second = await readSince(query, first.seen, 100, 'ada');

    // Of 500 steps, the second statement returns only keys.
    expect(rowCounts.slice(0, 4)).toEqual([200, 300, 200, 100]);
    expect(versions(first.steps)).toEqual(Array.from({ length: 500 }, (_, index) => 2 * index + 2));
    expect(versions(second.steps)).toEqual([1001]);
  });

  it('compares transaction ids as numbers and not as text', async () => {
    for (const xid of ['9', '10']) await database.sql(INSERT_WITH_XID, [uuidv7(), 'ada', 1, xid]);

    const { seen } = await readSince(query, new Snapshot(5, []), 100);

    expect(seen.sees(10)).toBe(true);
  });

  it('ignores steps of a restored dump whose transaction ids the server has not reached', async () => {
    await database.sql(INSERT_WITH_XID, [uuidv7(), 'ada', 1, '9000000000']);

    const before = await readNow(query);
    await database.sql(INSERT_STEP, [uuidv7(), 'ada', 7]);
    const { steps, isWhole } = await readSince(query, before, 100);

    expect(before.end).toBeLessThan(9_000_000_000);
    expect(versions(steps)).toEqual([7]);
    expect(isWhole).toBe(true);
  });
});
