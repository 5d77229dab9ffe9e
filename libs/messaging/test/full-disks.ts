import { execFile } from 'node:child_process';
import { rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { mountSmallDisk, type PostgresServer, type SmallDisk, startPostgres } from '@twinbox/tools';

export { whyNoSmallDisk } from '@twinbox/tools';

type Undo = (() => Promise<unknown>)[];

/** Starts a PostgreSQL whose write-ahead log is on a disk of its own. Adds to `undo` the steps that stop it. */
export async function startPostgresWithSmallWal(undo: Undo): Promise<{ disk: SmallDisk; postgres: PostgresServer }> {
  const disk = await mountSmallDisk(64);
  undo.push(() => disk.close());
  const postgres = await startPostgres({ settings: { fsync: 'off', max_wal_size: '32MB', min_wal_size: '32MB' } });
  undo.push(() => postgres.remove());
  await postgres.stop();
  const [inside, wal] = [join(postgres.dataDir, 'pg_wal'), join(disk.path, 'wal')];
  await promisify(execFile)('cp', ['--archive', inside, wal]);
  await rm(inside, { recursive: true });
  await symlink(wal, inside);
  await postgres.start();
  return { disk, postgres };
}
