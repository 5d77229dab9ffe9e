import pg from 'pg';
import { type TestDatabase } from '#src/testing/database.js';

/**
 * Returns how many rows of a table were read so far, by scans of the table and of its indexes. Ends all other sessions of the database,
 * because a session reports its counts when it ends, and otherwise at irregular intervals.
 */
export async function readsOf(database: TestDatabase, table: string): Promise<number> {
  await database.sql(
    `select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
  );
  const [row] = await database.sql<{ reads: number }>(
    `select (coalesce(t.seq_tup_read, 0)
             + (select coalesce(sum(i.idx_tup_read), 0) from pg_stat_user_indexes i where i.relid = t.relid))::float8 as reads
       from pg_stat_user_tables t where t.relid = $1::regclass`,
    [table],
  );
  return row?.reads ?? 0;
}

/** Opens a transaction because of which PostgreSQL has to keep the removed rows of a table, and their entries in indexes. */
export async function anOldTransaction(database: TestDatabase, table: string): Promise<pg.Client> {
  const client = new pg.Client(database.directUrl);
  await client.connect();
  await client.query(`begin isolation level repeatable read; select from ${table} limit 1`);
  return client;
}
