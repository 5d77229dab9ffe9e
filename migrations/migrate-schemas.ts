import 'reflect-metadata';
import { roleSettings, SessionClient, withoutRefusal } from '@twinbox/messaging/session-client';
import { DataSource, type EntityManager, QueryFailedError } from 'typeorm';
import { SCHEMAS } from './schemas.js';

/**
 * The defaults of a service's role in this database, for sessions behind a pooler that rejects or drops start-up parameters. They take
 * precedence over the general settings of the role or the database. The statement timeout is that of the relay, the longest in a
 * service. Connections without a pooler set their own timeouts.
 */
const ROLE_SETTINGS = { statement_timeout: 3000, lock_timeout: 1000, idle_in_transaction_session_timeout: 10_000 };

/**
 * Brings every service's schema up to date: its role, the schema, the pending migrations (each in a separate transaction) and the role's
 * privileges. It may be repeated, and run from two places concurrently, in which case the second waits for the first.
 *
 * @param adminUrl connects as a database role that may create roles and schemas
 * @param passwords the passwords of the services' roles, by schema; each role has the name of its schema
 * @returns the names of the migrations that ran, by schema
 */
export async function migrateSchemas(
  adminUrl: string,
  passwords: Readonly<Record<string, string>>,
): Promise<Record<string, string[]>> {
  const ran: Record<string, string[]> = {};
  for (const { schema, migrations } of SCHEMAS) {
    const password = passwords[schema];
    if (!password) throw new Error(`the password of the role ${schema} is missing`);
    const dataSource = await withoutRefusal(() =>
      new DataSource({
        type: 'postgres',
        url: adminUrl,
        schema,
        migrations: [...migrations],
        migrationsTableName: 'migrations',
        migrationsTransactionMode: 'each',
        applicationName: 'twinbox migrate',
        connectTimeoutMS: 5000,
        // One of the two holds the lock for as long as the migrations run.
        poolSize: 2,
        extra: { Client: SessionClient },
      }).initialize(),
    );
    try {
      await dataSource.transaction(async (lock) => {
        await lock.query(`select pg_advisory_xact_lock(hashtext('twinbox migrate'))`);
        await prepareWithRetry(dataSource, schema, password);
        const done = await dataSource.runMigrations();
        await dataSource.transaction((tx) => grant(tx, schema));
        await dataSource.transaction((tx) => settle(tx, schema));
        ran[schema] = done.map(({ name }) => name);
      });
    } finally {
      await dataSource.destroy();
    }
  }
  return ran;
}

/** Runs a DDL statement. DDL takes no parameters, so `format` quotes the values. */
async function ddl(tx: EntityManager, statement: string, ...values: string[]): Promise<void> {
  const placeholders = values.map((_, index) => `$${index + 2}::text`).join(', ');
  const rows: { sql: string }[] = await tx.query(`select format($1, ${placeholders}) as sql`, [statement, ...values]);
  await tx.query(rows[0]?.sql ?? '');
}

/** Retries conflicts with the migration of another database: roles belong to the whole server, so one of the two fails and must retry. */
async function prepareWithRetry(dataSource: DataSource, schema: string, password: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await dataSource.transaction((tx) => prepare(tx, schema, password));
    } catch (error) {
      // duplicate_object, unique_violation, and "tuple concurrently updated", which has no specific code.
      const code = error instanceof QueryFailedError ? (error.driverError as { code?: string }).code : undefined;
      if (attempt === 10 || !['42710', '23505', 'XX000'].includes(code ?? '')) throw error;
    }
  }
}

async function prepare(tx: EntityManager, schema: string, password: string): Promise<void> {
  const roles: unknown[] = await tx.query('select 1 from pg_roles where rolname = $1', [schema]);
  if (roles.length === 0) await ddl(tx, 'create role %I login password %L', schema, password);
  else await ddl(tx, 'alter role %I password %L', schema, password);
  await ddl(tx, 'create schema if not exists %I', schema);
}

/** Allows the role to read and write its service's rows, and nothing else: no other schema, no DDL, no temporary tables. */
async function grant(tx: EntityManager, schema: string): Promise<void> {
  const [{ database } = { database: '' }]: { database: string }[] = await tx.query(
    'select current_database() as database',
  );
  await ddl(tx, 'revoke temporary on database %I from public', database);
  await ddl(tx, 'grant usage on schema %I to %I', schema, schema);
  await ddl(tx, 'grant select, insert, update, delete on all tables in schema %I to %I', schema, schema);
  // The relay compares its position with the sequence of the outbox.
  await ddl(tx, 'grant select on all sequences in schema %I to %I', schema, schema);
  await ddl(tx, 'revoke all on %I.migrations from %I', schema, schema);
}

/** Sets the role's defaults for the settings that the service depends on. Skips those that the server is too old for. */
async function settle(tx: EntityManager, schema: string): Promise<void> {
  const settings = roleSettings({ ...ROLE_SETTINGS, search_path: schema });
  const known: { name: string; database: string }[] = await tx.query(
    'select name, current_database() as database from pg_settings where lower(name) = any($1::text[])',
    [Object.keys(settings).map((name) => name.toLowerCase())],
  );
  for (const { name, database } of known) {
    const [, value] = Object.entries(settings).find(([each]) => each.toLowerCase() === name.toLowerCase()) ?? [];
    await ddl(tx, `alter role %I in database %I set ${name} to %L`, schema, database, String(value));
  }
}
