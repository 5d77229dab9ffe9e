import { stat } from 'node:fs/promises';
import { acceptsConnections } from './ports.js';
import { startPostgres } from './postgres.js';
import { queryOnce } from './postgres-query.js';
import { type PostgresServer, type PostgresStandby } from './postgres-server.js';
import { startSynchronousStandby } from './postgres-standby.js';
import { until } from './processes.js';

let primary: PostgresServer;
let standby: PostgresStandby;

beforeAll(async () => {
  primary = await startPostgres({ database: 'it' });
  await queryOnce(primary.url, 'create table kept as select n from generate_series(1, 1000) as n');
  standby = await startSynchronousStandby(primary);
});
afterAll(async () => {
  await standby.remove();
  await primary.remove();
});

const count = async ({ url }: PostgresServer) =>
  (await queryOnce<{ count: number }>(url, 'select count(*)::int as count from kept'))[0]?.count;

it('a synchronous standby has what was committed before and after it started, and refuses writes', async () => {
  await queryOnce(primary.url, 'insert into kept values (1001)');

  // The standby has it on its disk when the commit returns, and shows it a moment later.
  expect(await until(async () => (await count(standby)) === 1001, 10_000)).toBe(true);
  await expect(queryOnce(standby.url, 'insert into kept values (0)')).rejects.toMatchObject({ code: '25006' });
});

it('a commit waits while its synchronous standby is stopped', async () => {
  await standby.kill();
  const waiting = queryOnce(primary.url, 'insert into kept values (1002)');
  const waits = () =>
    queryOnce(primary.url, `select from pg_stat_activity where wait_event = 'SyncRep' and query like 'insert%'`);
  expect(await until(async () => (await waits()).length === 1, 10_000)).toBe(true);
  expect(await count(primary)).toBe(1001);
  const current = 'select pg_current_wal_insert_lsn()::text as lsn';
  const [inserted] = await queryOnce<{ lsn: string }>(primary.url, current);

  await standby.start();

  await standby.caughtUp();
  const lsns = `select flush_lsn >= $1::pg_lsn as has_all from pg_stat_replication where sync_state = 'sync'`;
  expect(await queryOnce(primary.url, lsns, [inserted?.lsn])).toEqual([{ has_all: true }]);
  await waiting;
  expect(await count(primary)).toBe(1002);
});

it('a promoted standby has everything that was acknowledged, and takes a standby of its own', async () => {
  await queryOnce(primary.url, 'insert into kept values (1003)');
  await primary.kill();

  await standby.promote();
  const next = await startSynchronousStandby(standby);

  await queryOnce(standby.url, 'insert into kept values (1004)');
  expect(await until(async () => (await count(next)) === 1004, 10_000)).toBe(true);
  await next.remove();
  await queryOnce(standby.url, 'insert into kept values (1005)');
  expect(await count(standby)).toBe(1005);
  expect(await acceptsConnections(next.port)).toBe(false);
  expect(await stat(next.dataDir).catch(() => undefined)).toBeUndefined();
});
