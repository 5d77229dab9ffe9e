import { DataSource, type EntityManager } from 'typeorm';
import { allDone } from './all-done.js';
import { BatchedStatement } from './batched-statement.js';
import { createDatabase, type TestDatabase, testServerUrl } from '../testing/database.js';

let database: TestDatabase;
let db: DataSource;
let sent: string[];

beforeAll(async () => {
  database = await createDatabase(testServerUrl());
  db = await new DataSource({ type: 'postgres', url: database.url }).initialize();
  db.subscribers.push({ beforeQuery: ({ query }) => void sent.push(query) });
});

beforeEach(() => {
  sent = [];
});

afterAll(async () => {
  await db.destroy();
  await database.drop();
});

const DOUBLE = 'select 2 * n as n from unnest($1::int[]) with ordinality as given (n, nth) order by nth';

function doubled() {
  return new BatchedStatement<number, number>(async (tx: EntityManager, items) => {
    const rows: { n: number }[] = await tx.query(DOUBLE, [items]);
    return rows.map(({ n }) => (n === 26 ? new Error('unlucky') : n));
  });
}

const statements = () => sent.filter((query) => query === DOUBLE).length;

it('combines the calls on a transaction within one turn into one statement, and returns each its own result', async () => {
  const statement = doubled();

  const results = await db.transaction((tx) => Promise.all([3, 1, 2].map((n) => statement.run(tx, n))));

  expect(results).toEqual([6, 2, 4]);
  expect(statements()).toBe(1);
});

it('sends a separate statement for each transaction', async () => {
  const statement = doubled();

  const results = await Promise.all([1, 2].map((n) => db.transaction((tx) => statement.run(tx, n))));

  expect(results).toEqual([2, 4]);
  expect(statements()).toBe(2);
});

it('does not cache results', async () => {
  const statement = doubled();

  const results = await db.transaction(async (tx) => [await statement.run(tx, 1), await statement.run(tx, 1)]);

  expect(results).toEqual([2, 2]);
  expect(statements()).toBe(2);
});

it('throws the error of an item only to its caller', async () => {
  const statement = doubled();

  const results = await db.transaction((tx) => Promise.allSettled([1, 13].map((n) => statement.run(tx, n))));

  expect(results).toEqual([
    { status: 'fulfilled', value: 2 },
    { status: 'rejected', reason: new Error('unlucky') },
  ]);
});

it('throws the error of the statement to all callers', async () => {
  const statement = new BatchedStatement<number, number>((tx) => tx.query('select 1 / 0'));

  const failed = db.transaction(async (tx) => {
    const results = await Promise.allSettled([1, 2].map((n) => statement.run(tx, n)));
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await statement.run(tx, 3);
  });

  await expect(failed).rejects.toThrow('current transaction is aborted');
});

it('throws outside of a transaction', async () => {
  await expect(doubled().run(db.manager, 1)).rejects.toThrow('open transaction');
});

it('P1 is not sent after the rollback when a concurrent promise fails at once', async () => {
  await database.sql('create table early (n int)');
  const insert = new BatchedStatement<number, undefined>(async (tx, items) => {
    await tx.query('insert into early select unnest($1::int[])', [items]);
    return items.map(() => undefined);
  });

  const failed = db.transaction((tx) => allDone([Promise.reject(new Error('at once')), insert.run(tx, 1)]));

  await expect(failed).rejects.toThrow('at once');
  expect(await database.sql('select n from early')).toEqual([]);
});
