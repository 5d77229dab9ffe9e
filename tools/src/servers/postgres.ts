import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import pg from 'pg';
import { OperationalError } from '../errors.js';
import { freePort } from './ports.js';
import { configure, initialise, PASSWORD } from './postgres-data-directory.js';
import { elsewhere, locate, type Location } from './postgres-location.js';
import { type PostgresOptions, type PostgresServer } from './postgres-server.js';
import { childrenTitle, endServer, endStale, isReady } from './postmaster.js';
import { lastLines, logSince, openLog, pidsTitled, signalIfThere, until } from './processes.js';

/**
 * Starts a real PostgreSQL from the binaries that npm has installed, and returns when it accepts connections. A server that a killed
 * earlier run has left running on the same data is stopped first. PostgreSQL refuses to run as root, so root starts it as the user
 * `postgres`, created if missing; if that user cannot access the directories, binaries and data are placed below /var/tmp instead.
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const location = await locate(options.dataDir ?? (await mkdtemp(join(tmpdir(), 'twinbox-postgres-'))));
  const server = new LocalPostgres(location, options.port || (await freePort()), options);
  await server.initialise();
  await server.start();
  try {
    options.signal?.throwIfAborted();
    await server.createDatabase();
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

class LocalPostgres implements PostgresServer {
  readonly url: string;
  readonly dataDir: string;
  private readonly database: string;
  private readonly logFile: string;
  /** Set while the server accepts connections. */
  private child: ChildProcess | undefined;

  constructor(
    private readonly location: Location,
    readonly port: number,
    private readonly options: PostgresOptions,
  ) {
    this.dataDir = location.dataDir;
    this.database = options.database ?? 'postgres';
    this.logFile = options.logFile ?? `${this.dataDir}.log`;
    this.url = `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/${this.database}`;
  }

  /** Creates the data directory if it is missing. */
  async initialise(): Promise<void> {
    const { options, logFile } = this;
    await initialise(this.dataDir, this.location.binaries.initdb, this.spawnOptions(), { ...options, logFile });
  }

  /** Creates the database named in the URL if it is missing. */
  async createDatabase(): Promise<void> {
    const { database } = this;
    if (database === 'postgres') return;
    const client = new pg.Client(this.url.replace(/\/[^/]*$/, '/postgres'));
    await client.connect();
    try {
      const { rowCount } = await client.query('select from pg_database where datname = $1', [database]);
      if (!rowCount) await client.query(`create database ${client.escapeIdentifier(database)}`);
    } finally {
      await client.end();
    }
  }

  async start(): Promise<void> {
    if (this.child) return;
    const { dataDir, logFile, port } = this;
    await endStale(dataDir);
    await configure(dataDir, port, this.options.settings, this.location.user);
    const deadline = performance.now() + 20_000;
    for (;;) {
      const log = await openLog(logFile);
      const server = await this.spawn(log);
      if (server) {
        this.child = server.once('exit', () => (this.child = undefined));
        return;
      }
      const logged = await logSince(logFile, log.start);
      // Child processes of a killed server hold its shared memory for a moment.
      if (!logged.includes('is still in use') || performance.now() > deadline)
        throw new OperationalError(
          `PostgreSQL did not start on port ${port}. Its last log lines (all of them are in ${logFile}):\n${lastLines(logged)}`,
        );
    }
  }

  stop(): Promise<void> {
    return this.finish('SIGINT', 15_000);
  }

  kill(): Promise<void> {
    return this.finish('SIGKILL', 5_000);
  }

  pause(): Promise<void> {
    return this.signalAll('SIGSTOP');
  }

  resume(): Promise<void> {
    return this.signalAll('SIGCONT');
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async remove(): Promise<void> {
    await this.stop();
    await rm(this.dataDir, { recursive: true, force: true });
    if (!this.options.logFile) await rm(this.logFile, { force: true });
  }

  private spawnOptions() {
    // Only what the server needs: PGDATA, PGPORT or PGOPTIONS of the user's shell would change its settings.
    const env = { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' };
    return { ...this.location.user, cwd: dirname(this.dataDir), env };
  }

  /** Starts the server's process. Returns it once the server accepts connections, or undefined if it has ended before that. */
  private async spawn(log: Awaited<ReturnType<typeof openLog>>): Promise<ChildProcess | undefined> {
    const { dataDir } = this;
    // In its own session. Spawned directly, not through pg_ctl, so that its exit is noticed and no shell has to quote its paths.
    const server = spawn(this.location.binaries.postgres, ['-D', dataDir], {
      ...this.spawnOptions(),
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    let exited = false;
    server.once('exit', () => (exited = true)).once('error', () => (exited = true));
    await log.close();
    server.unref();
    await until(async () => exited || (await isReady(dataDir, server.pid)), 60_000, { everyMs: 10 });
    if (!exited && (await isReady(dataDir, server.pid))) return server;
    if (!exited && server.pid) await endServer(server.pid, dataDir, 'SIGQUIT', 10_000);
    return undefined;
  }

  private async signalAll(signal: 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    // The server itself first, so that it forks no more child processes.
    if (this.child?.pid) signalIfThere(this.child.pid, signal);
    if (this.child?.pid) for (const pid of await pidsTitled(childrenTitle(this.dataDir))) signalIfThere(pid, signal);
  }

  private async finish(signal: NodeJS.Signals, graceMs: number): Promise<void> {
    // Paused child processes would outlive a killed server.
    await this.signalAll('SIGCONT');
    const pid = this.child?.pid;
    this.child = undefined;
    if (pid) await endServer(pid, this.dataDir, signal, graceMs);
  }
}
