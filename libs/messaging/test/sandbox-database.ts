import pg from 'pg';
import { messagingTables } from '#src/postgres/schema.js';
import { createDatabase, type TestDatabase, testServerUrl } from '#src/testing/database.js';

const TEMPLATE = 'sandbox_template';

/** Creates a database with the library's tables in the schema `sandbox`. Copied, because creating them takes twice as long. */
export async function createSandboxDatabase(serverUrl = testServerUrl()): Promise<TestDatabase> {
  // Not through a pooler, whose connections would keep the template from being copied.
  const direct = serverUrl === process.env['TEST_DATABASE_URL'] ? process.env['TEST_DIRECT_DATABASE_URL'] : undefined;
  await ensureTemplate(direct ?? serverUrl);
  return createDatabase(serverUrl, TEMPLATE);
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
  for (const statement of messagingTables('sandbox')) await inside.query(statement);
  await inside.end();
  await client.query(`alter database ${building} rename to ${TEMPLATE}`);
}
