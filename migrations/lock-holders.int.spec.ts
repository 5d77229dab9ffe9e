import { createDatabase, type TestDatabase, testServerUrl } from '@twinbox/messaging/testing';
import { PASSWORDS } from '@twinbox/test-support';
import pg from 'pg';
import { migrateSchemas } from './migrate-schemas.js';

let database: TestDatabase;
let holder: pg.Client;

beforeEach(async () => {
  database = await createDatabase(testServerUrl());
  await migrateSchemas(database.directUrl, PASSWORDS);
  holder = new pg.Client({ connectionString: database.directUrl, application_name: 'a long report' });
  await holder.connect();
  await holder.query('begin');
});

afterEach(async () => {
  await holder.end();
  await database.drop();
});

const pid = async (): Promise<number> => {
  const { rows } = await holder.query<{ pid: number }>('select pg_backend_pid() as pid');
  return rows[0]?.pid ?? 0;
};

it('names who holds the lock of a table for which a migration waited too long, and migrates once it is free', async () => {
  await database.sql(`delete from orders.migrations where name like 'SearchWords%'`);
  await database.sql('alter table orders.products drop column words, drop column words_of');
  await holder.query('lock table orders.products in access share mode');

  const result = migrateSchemas(database.directUrl, PASSWORDS, { lockTimeoutMs: 1000 });

  await expect(result).rejects.toThrow(
    new RegExp(
      `^waited too long for a lock held by process ${await pid()} \\(role \\w+, application "a long report", ` +
        'idle in transaction, transaction since \\S+Z\\)\\. The migration has not taken effect\\.',
    ),
  );
  await holder.query('rollback');
  expect(await migrateSchemas(database.directUrl, PASSWORDS)).toMatchObject({
    orders: ['SearchWordsInTheRow1764710000000'],
  });
});

it('names who keeps it from its turn', async () => {
  await holder.query(`select pg_advisory_xact_lock(hashtext('twinbox migrate'))`);

  const result = migrateSchemas(database.directUrl, PASSWORDS, { turnTimeoutMs: 1000 });

  await expect(result).rejects.toThrow(`a lock held by process ${await pid()} (`);
});

it('leaves other errors as they are', async () => {
  const result = migrateSchemas(database.directUrl, PASSWORDS, { closedDatabases: ['none'] });

  await expect(result).rejects.toThrow('database "none" does not exist');
});
