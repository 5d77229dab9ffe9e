import { createDatabase, type TestDatabase, testServerUrl } from '@twinbox/messaging/testing';
import { migrateSchemas } from '@twinbox/migrations';
import { bySchema } from '@twinbox/migrations/services';
import pg from 'pg';

/** Roles belong to the server, so all test databases share them. */
export const PASSWORDS = bySchema((schema): string => schema);

const TEMPLATE = 'twinbox_template';

/** Creates a migrated database with a few products, by default on the test runner's server and in its default tablespace. */
export async function createServiceDatabase(serverUrl = testServerUrl(), tablespace?: string): Promise<TestDatabase> {
  await ensureTemplate(serverUrl);
  const place = tablespace === undefined ? '' : ` tablespace ${tablespace}`;
  const database = await createDatabase(serverUrl, `${TEMPLATE}${place}`);
  // A copy has everything in the template except the privileges on the template itself.
  await database.sql(`
    do $$ begin
      if not has_database_privilege('public', '${TEMPLATE}', 'temporary') then
        execute format('revoke temporary on database %I from public', current_database());
      end if;
    end $$`);
  return database;
}

/** Does the same with a locale, given as options of CREATE DATABASE: `locale_provider libc locale 'C'`. */
export async function createServiceDatabaseIn(locale: string): Promise<TestDatabase> {
  const database = await createDatabase(testServerUrl(), `template0 ${locale}`);
  await fill(database.url);
  return database;
}

/** Creates the template once per server, in whichever test comes first; other tests copy it. */
async function ensureTemplate(serverUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query(`select pg_advisory_lock(hashtext($1))`, [TEMPLATE]);
    const { rowCount } = await client.query('select from pg_database where datname = $1', [TEMPLATE]);
    if (rowCount) return;
    const building = `${TEMPLATE}_building`;
    await client.query(`drop database if exists ${building}`);
    await client.query(`create database ${building}`);
    await fill(new URL(`/${building}`, serverUrl).href);
    await client.query(`alter database ${building} rename to ${TEMPLATE}`);
  } finally {
    await client.end();
  }
}

async function fill(url: string): Promise<void> {
  await migrateSchemas(url, PASSWORDS);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(`
    insert into orders.products (id, name, price, currency, available, version, updated_at)
    values ('tea', 'Tea', 450, 'EUR', 1000000000, 1, now()),
           ('mug', 'Mug', 1800, 'EUR', 1000000000, 1, now()),
           ('book', 'Book', 2500, 'USD', 1000000000, 1, now())`);
  await client.end();
}
