import { reveal, type Secret, type SessionSettings } from '@twinbox/messaging/session-client';
import type { DataSourceOptions } from 'typeorm';
import type { SettledPoolConfig } from './pool.js';

/** The address of the database, and its limits. Times are in milliseconds. */
export interface DatabaseOptions {
  /** A function is called for each new connection, so that a password can be replaced. */
  readonly url: Secret;
  /** The service's own schema, in which entities and names in raw SQL are looked up unless they name a schema. */
  readonly schema: string;
  /** The name that is shown in pg_stat_activity. */
  readonly applicationName: string;
  readonly entities?: Extract<DataSourceOptions, { type: 'postgres' }>['entities'];
  /** The number of connections for requests. Default 10. */
  readonly poolSize?: number;
  /** The number of connections for messages, jobs and timers, in a separate pool; see `MESSAGING_DATA_SOURCE`. Default 10. */
  readonly messagingPoolSize?: number;
  /** How long to wait for a connection, whether a new one or a free one from the pool. Default 1,500. */
  readonly connectTimeoutMs?: number;
  /** How long a statement may take before the server cancels it. The request may try again. Default 1,200. */
  readonly statementTimeoutMs?: number;
  /** How long a statement may wait for a lock before the server cancels it. Default 1,000. */
  readonly lockTimeoutMs?: number;
  /**
   * How long a query may stay unanswered before its connection is closed. It must be longer than `statementTimeoutMs`, within which a live
   * server answers unless earlier statements on the connection took their time too. Default 1,500.
   */
  readonly queryTimeoutMs?: number;
  /**
   * How long a transaction may be idle before the server ends the session. Without this limit, the locks of a client that vanished without
   * a reset would be held until TCP gives up, hours later. Default 10,000.
   */
  readonly idleInTransactionTimeoutMs?: number;
}

/** Returns the options of the pool for messages, jobs and timers. */
export function messagingOptions(options: DatabaseOptions): DatabaseOptions {
  return {
    ...options,
    applicationName: `${options.applicationName} messaging`,
    poolSize: options.messagingPoolSize ?? 10,
  };
}

/** Returns the part of the options that TypeORM knows. */
export function typeOrmOptions(options: DatabaseOptions): DataSourceOptions {
  return {
    type: 'postgres',
    url: reveal(options.url),
    schema: options.schema,
    entities: options.entities ?? [],
    logging: false,
  };
}

/** Returns the part of the options that pg's pool knows. */
export function poolConfig(options: DatabaseOptions): SettledPoolConfig {
  return {
    url: options.url,
    application_name: options.applicationName,
    max: options.poolSize ?? 10,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 1500,
    query_timeout: options.queryTimeoutMs ?? 1500,
    settings: settingsOf(options),
    // Statements of a transaction that do not wait for each other's results are sent together. If one fails, it aborts the transaction, so
    // the ones after it have no effect.
    pipeline: true,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  };
}

/** Returns the session settings of a pool: the timeouts of statements and locks, and the schema of unqualified names. */
function settingsOf(options: DatabaseOptions): SessionSettings {
  if (!/^[a-z_][a-z0-9_]*$/.test(options.schema)) throw new Error(`"${options.schema}" is not a plain schema name`);
  return {
    search_path: options.schema,
    statement_timeout: options.statementTimeoutMs ?? 1200,
    lock_timeout: options.lockTimeoutMs ?? 1000,
    idle_in_transaction_session_timeout: options.idleInTransactionTimeoutMs ?? 10_000,
  };
}
