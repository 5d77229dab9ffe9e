import { execFile } from 'node:child_process';
import { rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  dockerRuns,
  type KafkaServer,
  mountSmallDisk,
  type PostgresServer,
  type SmallDisk,
  startKafka,
  startPostgres,
  whyNoSmallDisk,
} from '@twinbox/tools';

type Undo = (() => Promise<unknown>)[];

/** Returns why this machine cannot give a server a disk of its own, or undefined if it can. */
export async function whyNoDiskFor(server: 'PostgreSQL' | 'Kafka'): Promise<string | undefined> {
  if (server === 'Kafka' && (await dockerRuns())) return 'Kafka runs in a container, which has its own disk';
  return whyNoSmallDisk();
}

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

/** Starts a Kafka with all its data on a disk of its own. Adds to `undo` the steps that stop it. */
export async function startKafkaOnSmallDisk(undo: Undo): Promise<{ disk: SmallDisk; kafka: KafkaServer }> {
  const disk = await mountSmallDisk(64);
  undo.push(() => disk.close());
  const kafka = await startKafka({ dataDir: join(disk.path, 'kafka'), shortLived: true });
  undo.push(() => kafka.remove());
  return { disk, kafka };
}
