import { chown, copyFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import pg from 'pg';
import { type User } from './postgres-location.js';
import { type PostgresServer } from './postgres-server.js';

/** Directories whose contents a copy must not have, or does not need (PostgreSQL's manual, "Making a Base Backup Using the Low Level API"). */
const EMPTY = new Set([
  'pg_wal',
  'pg_replslot',
  'pg_dynshmem',
  'pg_notify',
  'pg_serial',
  'pg_snapshots',
  'pg_stat_tmp',
  'pg_subtrans',
]);
const LEFT_OUT =
  /^(postmaster\.(pid|opts)|pg_internal\.init.*|pgsql_tmp.*|.*\.signal|backup_label.*|tablespace_map.*)$/;

/**
 * Copies the data directory of a running server, because npm's PostgreSQL has no pg_basebackup. The copy has no WAL, so it can only
 * start as a standby that streams it.
 */
export async function copyBase(primary: PostgresServer, dataDir: string, user: User | undefined): Promise<void> {
  const client = new pg.Client(primary.url);
  client.on('error', () => undefined);
  await client.connect();
  try {
    // Both functions in one session: the backup ends with it.
    await client.query(`select pg_backup_start('standby', fast => true)`);
    await copyTree(primary.dataDir, dataDir, user);
    const { rows } = await client.query<{ labelfile: string }>(
      'select labelfile from pg_backup_stop(wait_for_archive => false)',
    );
    await writeOwned(join(dataDir, 'backup_label'), rows[0]?.labelfile ?? '', user);
  } catch (error) {
    await rm(dataDir, { recursive: true, force: true });
    throw error;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Creates a file of the data directory. */
export async function writeOwned(file: string, content: string, user: User | undefined): Promise<void> {
  await writeFile(file, content, { mode: 0o600 });
  if (user) await chown(file, user.uid, user.gid);
}

async function copyTree(from: string, to: string, user: User | undefined): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 });
  if (user) await chown(to, user.uid, user.gid);
  if (EMPTY.has(basename(from))) return;
  const entries = (await readdir(from, { withFileTypes: true })).filter(({ name }) => !LEFT_OUT.test(name));
  for (const { name } of entries.filter((entry) => entry.isDirectory()))
    await copyTree(join(from, name), join(to, name), user);
  const files = entries.filter((entry) => entry.isFile());
  await Promise.all(files.map(({ name }) => copyOwned(join(from, name), join(to, name), user)));
}

/** Copies a file unless the server has removed it in the meantime. The WAL of the backup repeats whatever changes during the copy. */
async function copyOwned(source: string, target: string, user: User | undefined): Promise<void> {
  try {
    await copyFile(source, target);
    if (user) await chown(target, user.uid, user.gid);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
