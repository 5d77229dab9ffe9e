import pg from 'pg';
import { messagingTables } from '#src/postgres/schema.js';
import { createDatabase, type TestDatabase, testServerUrl } from '#src/testing/database.js';

const TEMPLATE = 'sandbox_template';

/** The service's role, which has only the privileges that a service needs. */
const ROLE = 'sandbox_service';

/** Creates a database with the library's tables in the schema `sandbox`. Copied, because creating them takes twice as long. */
export async function createSandboxDatabase(serverUrl = testServerUrl()): Promise<TestDatabase> {
  // Not through a pooler, whose connections would keep the template from being copied.
  const direct = serverUrl === process.env['TEST_DATABASE_URL'] ? process.env['TEST_DIRECT_DATABASE_URL'] : undefined;
  await ensureTemplate(direct ?? serverUrl);
  return createDatabase(serverUrl, TEMPLATE);
}

/** Returns the URL with which a service connects: as its role, unless the tests run behind a pooler, which knows only the superuser. */
export function serviceUrl(database: TestDatabase): string {
  return database.url === database.directUrl ? roleUrl(database) : database.url;
}

/** Returns a URL that connects as the service's role, bypassing the pooler. */
export function roleUrl(database: TestDatabase): string {
  return database.urlFor(ROLE, ROLE);
}

/** The servers whose template exists, as far as this process knows. */
const prepared = new Set<string>();

/** Creates the template once per server, in whichever test comes first. */
async function ensureTemplate(serverUrl: string): Promise<void> {
  if (prepared.has(serverUrl)) return;
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query('select pg_advisory_lock(hashtext($1))', [TEMPLATE]);
    const { rowCount } = await client.query('select from pg_database where datname = $1', [TEMPLATE]);
    if (!rowCount) await createTemplate(client, serverUrl);
    prepared.add(serverUrl);
  } finally {
    await client.end();
  }
}

async function createTemplate(client: pg.Client, serverUrl: string): Promise<void> {
  const building = `${TEMPLATE}_building`;
  await client.query(`drop database if exists ${building}`);
  await client.query(`create database ${building}`);
  const inside = new pg.Client({ connectionString: new URL(`/${building}`, serverUrl).href });
  await inside.connect();
  await inside.query('create schema sandbox');
  const retention = { outboxMs: 0, inboxMs: 0 };
  for (const statement of messagingTables('sandbox', { retention })) await inside.query(statement);
  await inside.query(GRANTS);
  await inside.end();
  await client.query(`alter database ${building} rename to ${TEMPLATE}`);
}

/** What `messagingTables` says that the service's role needs, and what tests need for tables of their own. */
const GRANTS = `
  do $$ begin
    if not exists (select from pg_roles where rolname = '${ROLE}') then
      create role ${ROLE} login password '${ROLE}';
    end if;
  end $$;
  alter default privileges in schema sandbox grant all on tables to ${ROLE};
  alter default privileges in schema sandbox grant all on sequences to ${ROLE};
  grant usage on schema sandbox to ${ROLE};
  grant select, insert, update, delete on all tables in schema sandbox to ${ROLE};
  revoke update, delete on sandbox.outbox, sandbox.inbox, sandbox.messaging_audit from ${ROLE};
  revoke delete on sandbox.messaging_incidents from ${ROLE};
  grant select on all sequences in schema sandbox to ${ROLE};
  grant execute on all functions in schema sandbox to ${ROLE}`;
