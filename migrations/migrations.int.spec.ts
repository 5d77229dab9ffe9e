import { readdir } from 'node:fs/promises';
import {
  createDatabase,
  HOSTILE_SETTINGS,
  setForDatabase,
  type TestDatabase,
  testServerUrl,
} from '@twinbox/messaging/testing';
import { PASSWORDS } from '@twinbox/test-support';
import pg from 'pg';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { migrateSchemas } from './migrate-schemas.js';
import { SCHEMAS } from './schemas.js';
import { bySchema, SERVICES } from './services.js';

/** What a service has in `adapters/postgres/entities.ts`. */
interface Entities {
  readonly entities: NonNullable<DataSourceOptions['entities']>;
}

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase(testServerUrl());
});

afterAll(async () => {
  await database.drop();
});

it('migrates an empty database, and does nothing the second time', async () => {
  const first = await migrateSchemas(database.url, PASSWORDS);
  const second = await migrateSchemas(database.url, PASSWORDS);

  const all = SCHEMAS.map(({ schema, migrations }) => [schema, migrations.map(({ name }) => name)]);
  expect(first).toEqual(Object.fromEntries(all));
  expect(second).toEqual(bySchema(() => []));
});

it.each(SCHEMAS)('leaves no difference between the tables of $schema and the entities of $service', async (row) => {
  const { schema, service } = row;
  const { entities } = (await import(`../apps/${service}/src/adapters/postgres/entities.js`)) as Entities;
  const dataSource = await new DataSource({ type: 'postgres', url: database.url, schema, entities }).initialize();

  const { upQueries } = await dataSource.driver.createSchemaBuilder().log();

  expect(upQueries.map(({ query }) => query)).toEqual([]);
  await dataSource.destroy();
});

it.each(SCHEMAS)('knows every migration of $schema', async ({ schema, migrations }) => {
  const files = (await readdir(new URL(schema, import.meta.url))).filter((file) => file.endsWith('.ts'));

  expect(files.map((file) => /^\d+/.exec(file)?.[0])).toEqual(migrations.map(({ name }) => /\d+$/.exec(name)?.[0]));
});

it.each(SERVICES.map(({ schema }) => schema))(
  'lets the relay of %s read the sequence of its outbox',
  async (schema) => {
    const client = new pg.Client({ connectionString: database.urlFor(schema, schema) });
    await client.connect();

    const { rows } = await client.query(`select last_value::int from ${schema}.outbox_position_seq`);

    expect(rows).toEqual([{ last_value: 1 }]);
    await client.end();
  },
);

it('migrates regardless of the settings of the database, and gives each service’s role the settings that it depends on', async () => {
  const hostile = await createDatabase(testServerUrl());
  await setForDatabase(hostile, HOSTILE_SETTINGS);

  await migrateSchemas(hostile.url, PASSWORDS);

  for (const { schema } of SERVICES) {
    const client = new pg.Client({ connectionString: hostile.urlFor(schema, schema) });
    await client.connect();
    const { rows } = await client.query('select name, setting from pg_settings');
    await client.end();
    expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).toMatchObject({
      DateStyle: 'ISO, MDY',
      TimeZone: 'UTC',
      search_path: schema,
      default_transaction_isolation: 'read committed',
      default_transaction_read_only: 'off',
      synchronous_commit: 'on',
      statement_timeout: '3000',
      lock_timeout: '1000',
      idle_in_transaction_session_timeout: '10000',
    });
  }
  await hostile.drop();
});

describe.each([
  ['orders', 'payments.payment_requests'],
  ['payments', 'orders.orders'],
])('P10 the role %s', (role, foreign) => {
  const denied = 'permission denied';

  it.each([
    `select from ${foreign}`,
    `create table ${role}.x ()`,
    'create table public.x ()',
    'create temporary table x ()',
    'create schema x',
    `truncate ${role}.outbox`,
    `select from ${role}.migrations`,
    'create role x',
  ])('may not %s', async (statement) => {
    const client = new pg.Client({ connectionString: database.urlFor(role, role) });
    await client.connect();

    const result = client.query(statement);

    await expect(result).rejects.toThrow(denied);
    await client.end();
  });
});
