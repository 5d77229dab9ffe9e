import { roleSettings, withoutRefusal } from '@twinbox/messaging/session-client';
import {
  createDatabase,
  HOSTILE_SETTINGS,
  setForDatabase,
  setForRole,
  type TestDatabase,
  testServerUrl,
} from '@twinbox/messaging/testing';
import { createDataSource } from './lazy-data-source.js';

/** Whether connections go through a pooler, as with `npm run test:pgbouncer`. The role then has the settings from the migrations. */
const isPooled = process.env['TEST_DIRECT_DATABASE_URL'] !== process.env['TEST_DATABASE_URL'];

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase(testServerUrl());
  const ofRole = isPooled ? roleSettings({ search_path: 'public', statement_timeout: 3000 }) : HOSTILE_SETTINGS;
  await setForDatabase(database, HOSTILE_SETTINGS);
  await setForRole(database, new URL(database.directUrl).username, ofRole);
});
afterAll(() => database.drop());

it('P1 settings of a role or a database do not influence a pool, not even behind a pooler', async () => {
  const pool = await createDataSource({ url: database.url, schema: 'public', applicationName: 'test' });

  const [row] = await withoutRefusal(() =>
    pool.query<[Record<string, unknown>]>(`
      select timestamptz '2026-02-03T04:05:06.789Z' as at, current_setting('search_path') as path,
             current_setting('timezone') as zone, current_setting('transaction_isolation') as isolation,
             current_setting('statement_timeout') as statement`),
  );
  await pool.query('create table changed (at timestamptz)');
  const at = new Date('2026-02-03T04:05:06.789Z');
  await pool.transaction((tx) => tx.query('insert into changed values ($1)', [at]));

  expect(row).toEqual({
    at,
    path: 'public',
    zone: 'UTC',
    isolation: 'read committed',
    statement: isPooled ? '3s' : '1200ms',
  });
  expect(await pool.query('select at from changed')).toEqual([{ at }]);
  await pool.destroy();
});
