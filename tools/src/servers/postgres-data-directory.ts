import { type SpawnOptions } from 'node:child_process';
import { chown, mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type User } from './postgres-location.js';
import { type PostgresOptions } from './postgres-server.js';
import { clusterName } from './postmaster.js';
import { run } from './processes.js';

/** Local servers listen on loopback only. A publicly known password protects nothing there, but lets users paste the URL. */
export const PASSWORD = 'postgres';

/** Creates the data directory, unless it exists. */
export async function initialise(
  dataDir: string,
  initdb: string,
  as: Pick<SpawnOptions, 'uid' | 'gid'>,
  options: PostgresOptions & { logFile: string },
): Promise<void> {
  if (await stat(join(dataDir, 'PG_VERSION')).catch(() => undefined)) return;
  // Runs initdb in another directory and renames it at the end, so that an interrupted initdb never looks like a database.
  const unfinished = `${dataDir}.initdb`;
  const passwordFile = `${dataDir}.password`;
  const { uid, gid } = as;
  await rm(unfinished, { recursive: true, force: true });
  try {
    await mkdir(unfinished, { mode: 0o700 });
    await writeFile(passwordFile, PASSWORD, { mode: 0o600 });
    if (uid !== undefined && gid !== undefined)
      for (const path of [unfinished, passwordFile]) await chown(path, uid, gid);
    // The builtin locale is the same on every machine; the user's locale may be missing, or sort differently.
    const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
    const login = ['--username=postgres', `--pwfile=${passwordFile}`, '--auth=scram-sha-256'];
    // Hashes the superuser's password too, which exists before the server has read its settings.
    const iterations = options.settings?.['scram_iterations'];
    const hashing = iterations === undefined ? [] : ['-c', `scram_iterations=${iterations}`];
    const sync = options.settings?.['fsync'] === 'off' ? ['--no-sync'] : [];
    await run(initdb, ['-D', unfinished, ...locale, ...login, ...hashing, ...sync, '--no-instructions'], {
      ...as,
      what: 'Creating a PostgreSQL data directory',
      logFile: options.logFile,
      signal: options.signal,
    });
    await writeFile(join(unfinished, 'postgresql.conf'), `include 'twinbox.conf'\n`, { flag: 'a' });
    // Replaces an empty directory of that name, for example one from mkdtemp; fails if the directory is not empty.
    await rename(unfinished, dataDir);
  } finally {
    await rm(passwordFile, { force: true });
    await rm(unfinished, { recursive: true, force: true });
  }
}

/** Writes the configuration. Done at every start, so that a changed port or setting takes effect. */
export async function configure(
  dataDir: string,
  port: number,
  settings: PostgresOptions['settings'],
  user: User | undefined,
): Promise<void> {
  const all: Record<string, string> = {
    port: String(port),
    listen_addresses: '127.0.0.1',
    // The path of a socket file may be longer than the platform allows; TCP always works.
    unix_socket_directories: '',
    // Appears in the process titles, by which the child processes of a killed server are found.
    cluster_name: clusterName(dataDir),
    // Test files run in parallel, each with the connection pools of several services.
    max_connections: '300',
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...settings,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`);
  const file = join(dataDir, 'twinbox.conf');
  await writeFile(file, lines.join(''));
  if (user) await chown(file, user.uid, user.gid);
}
