import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { messagingTables, messagingTablesDown } from '@twinbox/messaging';
import {
  createDatabase,
  HOSTILE_SETTINGS,
  setForDatabase,
  type TestDatabase,
  testServerUrl,
  until,
} from '@twinbox/messaging/testing';
import { PASSWORDS } from '@twinbox/test-support';
import pg from 'pg';
import { DataSource, type DataSourceOptions, type QueryRunner } from 'typeorm';
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

describe('the way down of the messaging tables', () => {
  const withoutSpaces = (statement: string) => statement.replaceAll(/\s+/g, ' ').trim();

  const released: Readonly<Record<string, { readonly from: number; readonly to: number }>> = {
    MessagingLogAndParking1763800000000: { from: 2, to: 1 },
    MessagingIncidentsAndOrigins1764600000000: { from: 3, to: 2 },
  };

  it.each(
    SCHEMAS.flatMap(({ schema, migrations }) =>
      migrations.flatMap((Migration) => {
        const { name } = Migration;
        return released[name] ? [{ schema, Migration, name, ...released[name] }] : [];
      }),
    ),
  )('from $from to $to is that of $name in $schema', async ({ schema, Migration, from, to }) => {
    const theirs: string[] = [];
    const queryRunner = { query: async (statement: string) => theirs.push(statement) };

    await new Migration().down(queryRunner as unknown as QueryRunner);

    const ours = messagingTablesDown(schema, { from, to }).map((statement) =>
      statement.replaceAll(`"${schema}"`, schema),
    );
    expect(ours.map(withoutSpaces)).toEqual(theirs.map(withoutSpaces));
  });

  it('ends at the tables of each earlier version, and up again at the same tables', async () => {
    const shop = await createDatabase(testServerUrl());
    await shop.sql('create schema shop');
    const run = async (statements: readonly string[]) => {
      for (const statement of statements) await shop.sql(statement);
      return catalogue(shop, 'shop');
    };
    const inTurn = async (step: (to: number) => Promise<object[]>, versions: readonly number[]) => {
      const found: object[][] = [];
      for (const version of versions) found.push(await step(version));
      return found;
    };
    const stepUp = (to: number) => run(messagingTables('shop', { from: to - 1, to }));
    const stepDown = (to: number) => run(messagingTablesDown('shop', { from: to + 1, to }));

    const versions = [await catalogue(shop, 'shop'), ...(await inTurn(stepUp, [1, 2, 3, 4, 5, 6]))];

    expect(await run(messagingTables('shop', { from: 6 }))).toEqual(versions[6]);
    expect(await inTurn(stepDown, [5, 4, 3, 2, 1, 0])).toEqual(versions.slice(0, 6).toReversed());
    expect(await inTurn(stepUp, [1, 2, 3, 4, 5, 6])).toEqual(versions.slice(1));
    expect(await run(messagingTablesDown('shop', { from: 6, to: 0 }))).toEqual([]);
    await shop.drop();
  });

  it('keeps unpublished messages and dead letters, and is refused while messages wait', async () => {
    const shop = await createDatabase(testServerUrl());
    await shop.sql('create schema shop');
    for (const statement of messagingTables('shop', { to: 3 })) await shop.sql(statement);
    await shop.sql(`
      insert into shop.outbox (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
      select gen_random_uuid(), 'order', '1', 'type ' || n, '', n, '{}' from generate_series(1, 4) as n`);
    await shop.sql(`update shop.relay_lease set position = 3, gaps = '{[2,3)}'`);
    await shop.sql(`
      insert into shop.inbox_parked (consumer, topic, partition, "offset", recorded_at, headers, holds_key)
      values ('shop', 'order.events', 0, 7, now(), '{}', true)`);
    const goDown = async () => {
      for (const statement of messagingTablesDown('shop', { from: 2, to: 1 })) await shop.sql(statement);
    };
    for (const statement of messagingTablesDown('shop', { from: 3, to: 2 })) await shop.sql(statement);

    await expect(goDown()).rejects.toThrow('messages or jobs of schema "shop" wait: retry or discard them first');
    await shop.sql(`update shop.inbox_parked set dead_at = now(), error = 'no such order'`);
    await goDown();

    expect(await shop.sql('select type from shop.outbox order by position')).toEqual([
      { type: 'type 2' },
      { type: 'type 4' },
    ]);
    expect(await shop.sql('select "offset"::int, error from shop.inbox_dead_letters')).toEqual([
      { offset: 7, error: 'no such order' },
    ]);
    await shop.drop();
  });
});

it('P8 builds the indexes of large tables while messages are added, also after an interruption', async () => {
  const fresh = await createDatabase(testServerUrl());
  const migrate = () => migrateSchemas(fresh.directUrl, PASSWORDS, { lockTimeoutMs: 60_000 });
  await migrate();
  for (const statement of messagingTablesDown('orders', { from: 6, to: 5 })) await fresh.sql(statement);
  await fresh.sql(`delete from orders.migrations where name like 'MessagingIndexes%'`);
  const add = `insert into orders.outbox (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
               values (gen_random_uuid(), 'order', '1', 'T', '', 1, '{}')`;
  const [slow, quick] = await Promise.all([1, 2].map(() => connected(fresh)));
  await slow!.query('begin');
  await slow!.query(add);
  await quick!.query(`set lock_timeout = '5s'`);
  const waiting = () =>
    fresh.sql<{ pid: number }>(
      `select pid from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like '%index concurrently%outbox_aggregate%'`,
    );
  const indexes = () =>
    fresh.sql(`select indexrelid::regclass::text as name, indisvalid as valid from pg_index
                where indrelid = 'orders.outbox'::regclass and not indisprimary`);

  const interrupted = migrate();
  const [build] = await until('it waits for the slow transaction', async () => {
    const found = await waiting();
    return found.length > 0 && found;
  });
  await quick!.query(add);
  await fresh.sql('select pg_cancel_backend($1)', [build!.pid]);
  await expect(interrupted).rejects.toThrow('canceling statement');
  expect(await indexes()).toEqual([{ name: 'orders.outbox_aggregate', valid: false }]);
  const repeated = migrate();
  await until('it waits again', async () => (await waiting()).length > 0);
  await quick!.query(add);
  await slow!.query('commit');

  expect(await repeated).toEqual({ ...bySchema(() => []), orders: ['MessagingIndexes1764771000000'] });
  expect(await indexes()).toEqual([{ name: 'orders.outbox_aggregate', valid: true }]);
  await Promise.all([slow!.end(), quick!.end()]);
  await fresh.drop();
});

async function connected({ directUrl }: TestDatabase): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: directUrl });
  await client.connect();
  return client;
}

it.each(SCHEMAS)(
  'the administration of $schema goes down, and up again to the same schema',
  async ({ schema, migrations }) => {
    const fresh = await createDatabase(testServerUrl());
    await fresh.sql(`create schema ${schema}`);
    const options = { type: 'postgres', url: fresh.directUrl, schema, migrationsTransactionMode: 'each' } as const;
    const dataSource = await new DataSource({ ...options, migrations: [...migrations] }).initialize();
    const first = migrations.findIndex(({ name }) => name.startsWith('MessagingAdministration'));
    await dataSource.runMigrations();
    const before = await catalogue(fresh, schema);

    for (const _ of migrations.slice(first)) await dataSource.undoLastMigration();
    const below = await catalogue(fresh, schema);
    await dataSource.runMigrations();

    expect(below).toContainEqual(expect.objectContaining({ part: 'append_only', name: 'messaging_audit' }));
    expect(below).not.toContainEqual(expect.objectContaining({ name: 'messaging_pauses' }));
    expect(await catalogue(fresh, schema)).toEqual(before);
    await dataSource.destroy();
    await fresh.drop();
  },
);

/** The columns, constraints, indexes, sequences, functions and triggers of a schema. */
async function catalogue(database: TestDatabase, schema: string): Promise<object[]> {
  return database.sql(
    `select relname as name, attname as part,
            concat_ws(' ', format_type(atttypid, atttypmod), attnotnull, attidentity, pg_get_expr(adbin, adrelid)) as definition
       from pg_class
            join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
            left join pg_attrdef on adrelid = attrelid and adnum = attnum
      where relnamespace = $1::text::regnamespace and relkind in ('r', 'S')
      union all
     select conrelid::regclass::text, conname, pg_get_constraintdef(oid)
       from pg_constraint where connamespace = $1::text::regnamespace
      union all
     select tablename, indexname, indexdef from pg_indexes where schemaname = $1::text
      union all
     select oid::regprocedure::text, proacl::text, pg_get_functiondef(oid)
       from pg_proc where pronamespace = $1::text::regnamespace
      union all
     select relname, tgname, pg_get_triggerdef(pg_trigger.oid)
       from pg_trigger join pg_class on pg_class.oid = tgrelid
      where relnamespace = $1::text::regnamespace and not tgisinternal
      order by name, part, definition`,
    [schema],
  );
}

describe('npm run migrate in production', () => {
  const command = join(import.meta.dirname, 'dist/migrate.js');

  it('P10 refuses the passwords of the demo before it connects', async () => {
    const env = {
      ...process.env,
      NODE_ENV: 'production',
      DATABASE_URL: 'postgres://admin@127.0.0.1:1/twinbox',
      ORDERS_DB_PASSWORD: 'a-long-password',
      PAYMENTS_DB_PASSWORD: 'payments',
    };

    const { code, stderr } = (await promisify(execFile)(process.execPath, [command], { env }).catch(
      (error: unknown) => error as { readonly code: number; readonly stderr: string },
    )) as { readonly code?: number; readonly stderr: string };

    expect(code).toBe(1);
    expect(stderr).toContain(
      'PAYMENTS_DB_PASSWORD: with NODE_ENV=production the password must not be the name of the role',
    );
  });
});
