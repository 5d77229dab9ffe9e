import pg from 'pg';
import { type TestDatabase } from './database.js';

/** Settings of a role or a database that break code which depends on the defaults. */
export const HOSTILE_SETTINGS: Readonly<Record<string, string>> = {
  DateStyle: 'SQL, DMY',
  TimeZone: 'Asia/Kolkata',
  IntervalStyle: 'sql_standard',
  standard_conforming_strings: 'off',
  bytea_output: 'escape',
  extra_float_digits: '-15',
  array_nulls: 'off',
  transform_null_equals: 'on',
  default_transaction_isolation: 'serializable',
  default_transaction_read_only: 'on',
  default_transaction_deferrable: 'on',
  synchronous_commit: 'off',
  row_security: 'off',
  plan_cache_mode: 'force_generic_plan',
  search_path: 'pg_catalog',
  statement_timeout: '1ms',
  transaction_timeout: '1ms',
  lock_timeout: '1ms',
  idle_in_transaction_session_timeout: '1ms',
  idle_session_timeout: '1s',
};

type Settings = Readonly<Record<string, string | number>>;

/** Runs `alter database … set`, and ends all connections to the database so that new ones take effect. */
export function setForDatabase(database: TestDatabase, settings: Settings): Promise<void> {
  return alter(database, (name) => `alter database ${name}`, settings);
}

/** Runs `alter role … in database … set`, and ends all connections to the database so that new ones take effect. */
export function setForRole(database: TestDatabase, role: string, settings: Settings): Promise<void> {
  return alter(database, (name) => `alter role ${role} in database ${name}`, settings);
}

async function alter(
  { directUrl }: TestDatabase,
  subject: (database: string) => string,
  settings: Settings,
): Promise<void> {
  const url = new URL(directUrl);
  const name = url.pathname.slice(1);
  // From another database, to which the settings do not apply.
  url.pathname = '/postgres';
  const admin = new pg.Client({ connectionString: url.href });
  await admin.connect();
  try {
    for (const [setting, value] of Object.entries(settings)) {
      const quoted = pg.escapeLiteral(String(value));
      await admin.query(`${subject(name)} set ${setting} to ${setting === 'search_path' ? String(value) : quoted}`);
    }
    await admin.query('select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1', [name]);
  } finally {
    await admin.end();
  }
}
