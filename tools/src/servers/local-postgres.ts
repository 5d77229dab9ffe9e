import { type ChildProcess, spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import pg from 'pg';
import { OperationalError } from '../errors.js';
import { configure, initialise, PASSWORD } from './postgres-data-directory.js';
import { type Location } from './postgres-location.js';
import { type PostgresOptions, type PostgresServer } from './postgres-server.js';
import { childrenTitle, endServer, endStale, isReady } from './postmaster.js';
import { queryOnce } from './postgres-query.js';
import { lastLines, logSince, openLog, pidsTitled, signalIfThere, until } from './processes.js';

/** The settings are read again within this time after a SIGHUP. */
const RELOAD_MS = 10_000;

/** Returns a row for each setting in $1 whose value is not the one in $2. */
const OUTDATED = `
  select name from unnest($1::text[], $2::text[]) as wanted (name, value)
   where current_setting(name) is distinct from value`;

/** A server with the binaries that npm has installed. */
export class LocalPostgres implements PostgresServer {
  readonly url: string;
  readonly dataDir: string;
  readonly database: string;
  readonly logFile: string;
  private settings: Readonly<Record<string, string>>;
  /** Set while the server accepts connections. */
  private child: ChildProcess | undefined;

  constructor(
    protected readonly location: Location,
    readonly port: number,
    private readonly options: PostgresOptions,
  ) {
    this.settings = options.settings ?? {};
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
    await configure(dataDir, port, this.settings, this.location.user);
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

  async reconfigure(settings: Readonly<Record<string, string>>): Promise<void> {
    this.settings = { ...this.settings, ...settings };
    const { child } = this;
    if (!child?.pid) return;
    await configure(this.dataDir, this.port, this.settings, this.location.user);
    signalIfThere(child.pid, 'SIGHUP');
    // A new session has the settings of the server's main process.
    const outdated = () => queryOnce(this.url, OUTDATED, [Object.keys(settings), Object.values(settings)]);
    if (!(await until(async () => (await outdated()).length === 0, RELOAD_MS)))
      throw new OperationalError(
        `PostgreSQL has not taken over ${Object.keys(settings).join(', ')} after ${RELOAD_MS / 1000} s. See ${this.logFile}`,
      );
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
