import pg from 'pg';
import { reveal, type Secret } from '../secret.js';
import { sslFileProblem, sslModeProblem } from './ssl-mode.js';

export { reveal, type Secret } from '../secret.js';
export { sslFileProblem, sslModeProblem } from './ssl-mode.js';

/** Values of PostgreSQL settings, by name. Durations are in milliseconds. */
export type SessionSettings = Readonly<Record<string, string | number>>;

/**
 * Settings sent as start-up parameters under their own names. PgBouncer accepts these from every client and restores them on each
 * server connection that it uses (`man 5 pgbouncer`, ignore_startup_parameters). Node-postgres supports no other DateStyle.
 */
const REPORTED: SessionSettings = { DateStyle: 'ISO, MDY', TimeZone: 'UTC', standard_conforming_strings: 'on' };

/**
 * Every other setting that affects results, with PostgreSQL's own defaults. `synchronous_commit` is one of them because an
 * acknowledged order must survive a crash (P2). `session_replication_role` is missing because only a superuser can set it.
 */
const DEFAULTS: SessionSettings = {
  search_path: '"$user",public',
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  default_transaction_deferrable: 'off',
  synchronous_commit: 'on',
  statement_timeout: 0,
  lock_timeout: 0,
  idle_in_transaction_session_timeout: 0,
  idle_session_timeout: 0,
  row_security: 'on',
  array_nulls: 'on',
  transform_null_equals: 'off',
  exit_on_error: 'off',
  gin_fuzzy_search_limit: 0,
  plan_cache_mode: 'auto',
  IntervalStyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: 1,
};

/**
 * Settings that only a session can set. Every role may set this one for itself, and a library that does not exist ends each of its
 * sessions at the start. PostgreSQL reads an empty value as one empty name in ALTER ROLE, so it is not one of {@link roleSettings}.
 */
const SESSION_ONLY: SessionSettings = { local_preload_libraries: '' };

/** The setting that does not exist before PostgreSQL 17. Older servers reject a start-up message that contains it. */
const NEWEST: SessionSettings = { transaction_timeout: 0 };

/**
 * Returns the defaults that a service's role should have, for sessions whose start-up parameters a pooler rejects or drops. Older
 * servers lack some of them.
 */
export function roleSettings(settings: SessionSettings): SessionSettings {
  return { ...DEFAULTS, ...NEWEST, ...REPORTED, ...settings };
}

/** Poolers that have rejected the settings, as `host:port`. */
const refusals = new Set<string>();

/** Servers without {@link NEWEST}, as `host:port`. */
const olderServers = new Set<string>();

interface Internals {
  readonly connection: {
    readonly stream: { destroy(): void };
    on(event: 'errorMessage', listener: (message: { code?: string; message?: string }) => void): void;
    on(event: 'parameterStatus', listener: (status: { parameterName: string; parameterValue: string }) => void): void;
  };
  getStartupConf(): Record<string, string>;
}

/** The configuration of a {@link SessionClient}. */
export interface SessionClientConfig extends pg.ClientConfig {
  /** The URL of the database, instead of `connectionString`. A function is called for each client, so a password can be replaced. */
  readonly url?: Secret;
  /** Settings of the session that override PostgreSQL's defaults. */
  readonly settings?: SessionSettings;
  /** Also connects to a standby that has not been promoted, for reads that may be out of date. Default: false. */
  readonly acceptStandby?: boolean;
}

/**
 * A client whose sessions do not depend on the settings of a role or a database, because start-up parameters take precedence over
 * both. `settings` in its configuration override PostgreSQL's defaults. Use it for pools as well: `new pg.Pool({ Client:
 * SessionClient, settings })`, or in TypeORM `extra: { Client: SessionClient, settings }`.
 *
 * PgBouncer rejects a start-up parameter that it does not track, unless `ignore_startup_parameters` lists it. That connection
 * fails, and later connections of this process to the same address omit the settings (see {@link withoutRefusal}). The role's
 * settings apply then, so the role should have {@link roleSettings}. A server before PostgreSQL 17 rejects `transaction_timeout`,
 * and later connections to it send all other settings.
 *
 * Of the modes of `sslmode` it accepts only `disable` and `verify-full`: see {@link sslModeProblem}. A file that the URL names and that
 * cannot be read makes connecting fail, like a server that cannot be reached, because it may be back at the next attempt.
 *
 * It connects only to a primary. During a fail-over an address may lead to a standby that is not promoted yet, which would refuse every
 * change and answer reads with old data. Connecting fails then with the code 25006, as a change would, so that callers try again.
 */
export class SessionClient extends pg.Client {
  private readonly settings: SessionSettings;
  /** Why this client cannot connect. */
  private readonly problem: Error | undefined;
  /** Whether the server, or a pooler on its behalf, has said that it is a standby. */
  private maybeStandby = false;

  constructor(config: SessionClientConfig = {}) {
    const { problem, ...usable } = withUrl(config);
    super(usable);
    this.problem = problem;
    this.settings = { ...DEFAULTS, ...SESSION_ONLY, ...NEWEST, ...config.settings };
    const { connection } = this as unknown as Internals;
    if (!config.acceptStandby)
      connection.on('parameterStatus', ({ parameterName, parameterValue }) => {
        if (parameterName === 'in_hot_standby') this.maybeStandby = parameterValue === 'on';
      });
    connection.on('errorMessage', (error) => {
      if (isFromPooler(error)) refusals.add(this.address);
      if (isFromOlderServer(error)) olderServers.add(this.address);
    });
  }

  /** @throws with the code 25006 if the server is a standby */
  override connect(): Promise<this>;
  override connect(callback: (error: Error | null) => void): void;
  override connect(callback?: (error: Error | null) => void): Promise<this> | void {
    const { problem } = this;
    if (problem) return callback ? process.nextTick(callback, problem) : Promise.reject(problem);
    if (!callback) return super.connect().then(() => (this.maybeStandby ? this.refuseStandby() : this));
    // Not by the promise: a pool has to listen for errors in the same turn in which the client is connected.
    super.connect((error: Error | null) => {
      if (error || !this.maybeStandby) callback(error);
      else void this.answerUnlessStandby(callback);
    });
  }

  private async answerUnlessStandby(callback: (error: Error | null) => void): Promise<void> {
    let refusal: Error | null = null;
    try {
      await this.refuseStandby();
    } catch (error) {
      refusal = error as Error;
    }
    callback(refusal);
  }

  /** @throws StandbyError unless the server is a primary after all */
  private async refuseStandby(): Promise<this> {
    const ignore = () => undefined;
    this.on('error', ignore);
    try {
      // Ask the server, because a pooler repeats what was true when it first connected.
      const { rows } = await this.query<{ standby: boolean }>('select pg_is_in_recovery() as standby');
      if (rows[0]?.standby) throw new StandbyError(this.address);
      this.off('error', ignore);
      return this;
    } catch (error) {
      void endClient(this);
      throw error;
    }
  }

  /** Called by node-postgres to build the start-up message. */
  getStartupConf(): Record<string, string> {
    const ofClient = (pg.Client.prototype as unknown as Internals).getStartupConf.call(this);
    const { options = '', ...parameters } = ofClient;
    const all = { ...parameters, ...REPORTED } as Record<string, string>;
    if (refusals.has(this.address)) return options ? { ...all, options } : all;
    // Last, so that options in the URL cannot override what the service depends on.
    const isOlder = olderServers.has(this.address);
    const known = Object.entries(this.settings).filter(([name]) => !(isOlder && name in NEWEST));
    const ours = known.map(([name, value]) => `-c ${name}=${escaped(String(value))}`);
    return { ...all, options: [options, ...ours].join(' ').trim() };
  }

  private get address(): string {
    return `${this.host}:${this.port}`;
  }
}

/**
 * Returns node-postgres's configuration, or why it cannot be used at present. A pool creates its clients where nothing catches an error, so
 * one there would end the process.
 * @throws if a constant URL asks for TLS that only looks secure
 */
function withUrl({ url, ...config }: SessionClientConfig): pg.ClientConfig & { readonly problem?: Error } {
  const connectionString = url === undefined ? config.connectionString : reveal(url);
  if (connectionString === undefined) return config;
  const modeProblem = sslModeProblem(connectionString);
  if (modeProblem && typeof url !== 'function') throw new Error(`The URL of the database: ${modeProblem}`);
  const problem = modeProblem ?? sslFileProblem(connectionString);
  if (problem === undefined) return { ...config, connectionString };
  const { connectionString: _, ...others } = config;
  return { ...others, problem: new UnusableUrl(problem) };
}

/** The URL of the database cannot be used at present. Its code is that of a failed connection, so the database counts as unavailable. */
class UnusableUrl extends Error {
  override readonly name = 'UnusableUrl';
  readonly code = '08001';

  constructor(problem: string) {
    super(`the URL of the database cannot be used: ${problem}`);
  }
}

/** The server is a standby. Its code is that of a change in a read-only transaction, so it counts as an unavailable database. */
class StandbyError extends Error {
  override readonly name = 'StandbyError';
  readonly code = '25006';

  constructor(address: string) {
    super(`the server at ${address} is a standby and refuses changes. Connect to the primary, or promote the standby`);
  }
}

/** Ends a client. Never throws, and gives up after 600 ms on a server that does not answer. */
export async function endClient(client: pg.Client): Promise<void> {
  const ended = client.end().catch(() => undefined);
  // pg has no public API to drop a connection whose server is silent, for which `end` would wait.
  const timer = setTimeout(() => (client as unknown as Internals).connection.stream.destroy(), 500);
  await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 600).unref())]);
  clearTimeout(timer);
}

/**
 * Calls `connect`, and calls it again if a pooler or an older server rejected settings. The second attempt omits them.
 * @throws what `connect` throws
 */
export async function withoutRefusal<T>(connect: () => Promise<T>): Promise<T> {
  try {
    return await connect();
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return await connect();
  }
}

function isRefusal(error: unknown): boolean {
  return isFromPooler(error) || isFromOlderServer(error);
}

/** Matches `undefined_object`: `unrecognized configuration parameter "transaction_timeout"`, in the server's language. */
function isFromOlderServer(error: unknown): boolean {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  return code === '42704' && Object.keys(NEWEST).some((name) => String(message).includes(`"${name}"`));
}

/** Matches PgBouncer's `unsupported startup parameter: options`, and `unsupported startup parameter in options: …` from 1.20 on. */
function isFromPooler(error: unknown): boolean {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  return code === '08P01' && /unsupported startup parameter/.test(String(message));
}

/** Escapes a value, because PostgreSQL splits `options` at white space that is not preceded by a backslash. */
function escaped(value: string): string {
  return value.replace(/[\s\\]/g, (character) => `\\${character}`);
}
