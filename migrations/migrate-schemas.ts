import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { roleSettings, SessionClient, withoutRefusal } from '@twinbox/messaging/session-client';
import { DataSource, type EntityManager, QueryFailedError } from 'typeorm';
import { ddl } from './ddl.js';
import { namingLockHolders } from './lock-holders.js';
import { closeDatabases, currentDatabase, excessOf, grant } from './privileges.js';
import { SCHEMAS } from './schemas.js';

/**
 * The defaults of a service's role in this database, for sessions behind a pooler that rejects or drops start-up parameters. They take
 * precedence over the general settings of the role or the database. The statement timeout is that of the relay, the longest in a
 * service. Connections without a pooler set their own timeouts.
 */
const ROLE_SETTINGS = { statement_timeout: 3000, lock_timeout: 1000, idle_in_transaction_session_timeout: 10_000 };

export interface MigrateOptions {
  /**
   * Databases of the server to which only roles with a privilege of their own may connect afterwards. Default: none, because a pooler
   * or a monitoring system may rely on the privilege that PostgreSQL grants to everyone.
   */
  readonly closedDatabases?: readonly string[];
  /**
   * Whether no service of the previous version runs any more, so that the privileges which only such services need are revoked. Default:
   * false. In a database that has never had such a service, nobody has them.
   */
  readonly contract?: boolean;
  /** How long a statement waits for a lock, while the services' statements wait behind it. Default: 5 s. */
  readonly lockTimeoutMs?: number;
  /** How long to wait for another migration of the database. Default: 5 minutes. */
  readonly turnTimeoutMs?: number;
  /** Called with each privilege that a service's role has beyond its task and that could not be revoked, and how to revoke it. */
  readonly onExcess?: (text: string) => void;
}

/**
 * Brings every service's schema up to date: its role, the schema, the pending migrations (each in a separate transaction) and the role's
 * privileges and settings. It may be repeated, and run from two places concurrently, in which case the second waits for the first.
 *
 * @param adminUrl connects as a database role that may create roles and schemas
 * @param passwords the passwords of the services' roles, by schema; each role has the name of its schema
 * @returns the names of the migrations that ran, by schema
 * @throws an error that names the holder of a lock for which a statement waited too long
 */
export async function migrateSchemas(
  adminUrl: string,
  passwords: Readonly<Record<string, string>>,
  options: MigrateOptions = {},
): Promise<Record<string, string[]>> {
  const { closedDatabases = [], contract = false, lockTimeoutMs = 5000, turnTimeoutMs = 300_000 } = options;
  const ran: Record<string, string[]> = {};
  const excess = new Set<string>();
  for (const [index, { schema, migrations }] of SCHEMAS.entries()) {
    const password = passwords[schema];
    if (!password) throw new Error(`the password of the role ${schema} is missing`);
    // Unique, so that the sessions that wait for locks can be told from those of another migration.
    const applicationName = `twinbox migrate ${randomUUID().slice(0, 8)}`;
    const dataSource = await connect(adminUrl, schema, migrations, applicationName, lockTimeoutMs);
    // Databases are closed last, when every service's role has a privilege of its own to connect.
    const closed = index === SCHEMAS.length - 1 ? closedDatabases : [];
    const everyMs = Math.min(lockTimeoutMs, turnTimeoutMs) / 10;
    try {
      ran[schema] = await dataSource.transaction((lock) =>
        namingLockHolders(dataSource, applicationName, everyMs, async () => {
          await lock.query(`select set_config('lock_timeout', $1, true)`, [String(turnTimeoutMs)]);
          await lock.query(`select pg_advisory_xact_lock(hashtext('twinbox migrate'))`);
          return migrateSchema(dataSource, schema, password, { closedDatabases: closed, contract });
        }),
      );
      for (const text of await excessOf(dataSource.manager, schema)) excess.add(text);
    } finally {
      await dataSource.destroy();
    }
  }
  for (const text of excess) options.onExcess?.(text);
  return ran;
}

async function migrateSchema(
  dataSource: DataSource,
  schema: string,
  password: string,
  { closedDatabases, contract }: Required<Pick<MigrateOptions, 'closedDatabases' | 'contract'>>,
): Promise<string[]> {
  await withRetry(dataSource, (tx) => prepare(tx, schema, password));
  const done = await dataSource.runMigrations();
  await dataSource.transaction((tx) => grant(tx, schema, { contract }));
  await withRetry(dataSource, (tx) => settle(tx, schema));
  await withRetry(dataSource, (tx) => closeDatabases(tx, closedDatabases));
  return done.map(({ name }) => name);
}

function connect(
  url: string,
  schema: string,
  migrations: (typeof SCHEMAS)[number]['migrations'],
  applicationName: string,
  lockTimeoutMs: number,
): Promise<DataSource> {
  return withoutRefusal(() =>
    new DataSource({
      type: 'postgres',
      url,
      schema,
      migrations: [...migrations],
      migrationsTableName: 'migrations',
      migrationsTransactionMode: 'each',
      applicationName,
      connectTimeoutMS: 5000,
      // One holds the lock for as long as the migrations run, and one looks for those who block the third.
      poolSize: 3,
      extra: { Client: SessionClient, settings: { lock_timeout: lockTimeoutMs } },
    }).initialize(),
  );
}

/** Retries conflicts with the migration of another database: roles belong to the whole server, so one of the two fails and must retry. */
async function withRetry(dataSource: DataSource, work: (tx: EntityManager) => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await dataSource.transaction(work);
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

/**
 * Replaces the role's settings by those that the service depends on, because every role may change its own, for itself and in any database.
 * Skips those that the server is too old for.
 */
async function settle(tx: EntityManager, schema: string): Promise<void> {
  const current = await currentDatabase(tx);
  await ddl(tx, 'alter role %I reset all', schema);
  await ddl(tx, 'alter role %I in database %I reset all', schema, current);
  const settings = roleSettings({ ...ROLE_SETTINGS, search_path: schema });
  const known: { name: string }[] = await tx.query('select name from pg_settings where lower(name) = any($1::text[])', [
    Object.keys(settings).map((name) => name.toLowerCase()),
  ]);
  for (const { name } of known) {
    const [, value] = Object.entries(settings).find(([each]) => each.toLowerCase() === name.toLowerCase()) ?? [];
    await ddl(tx, `alter role %I in database %I set ${name} to %L`, schema, current, String(value));
  }
}
