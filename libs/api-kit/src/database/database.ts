import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { type DynamicModule, Injectable, Logger, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm';
import { isStaleStatement } from '@twinbox/messaging/database-errors';
import { SessionClient, type SessionSettings, withoutRefusal } from '@twinbox/messaging/session-client';
import pg, { type PoolConfig } from 'pg';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { reasonOf } from './database-trouble.js';

/** The address of the database, and its limits. Times are in milliseconds. */
export interface DatabaseOptions {
  readonly url: string;
  /** The service's own schema, in which entities and names in raw SQL are looked up unless they name a schema. */
  readonly schema: string;
  /** The name that is shown in pg_stat_activity. */
  readonly applicationName: string;
  readonly entities?: Extract<DataSourceOptions, { type: 'postgres' }>['entities'];
  /** The number of connections for requests. Default 10. */
  readonly poolSize?: number;
  /** The number of connections for messages, jobs and timers, in a separate pool; see {@link MESSAGING_DATA_SOURCE}. Default 10. */
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

const MESSAGING = 'messaging';

/**
 * The token of the DataSource for work that no request waits for: messages, jobs and timers. It has its own pool, so that requests waiting
 * for a lock do not delay messages, and vice versa.
 */
export const MESSAGING_DATA_SOURCE = getDataSourceToken(MESSAGING);

/**
 * Provides TypeORM's DataSource for requests, and a second one for {@link MESSAGING_DATA_SOURCE messaging}. The service starts without a
 * database: connections are opened on first use and again after an outage. Until then requests get a 503 within 2 s.
 */
export function databaseModule(options: DatabaseOptions): DynamicModule {
  return {
    module: DatabaseModule,
    imports: [
      TypeOrmModule.forRootAsync({
        useFactory: () => ({ ...typeOrmOptions(options), autoLoadEntities: true }),
        dataSourceFactory: async (typeOrm = typeOrmOptions(options)) =>
          await new LazyDataSource(typeOrm, poolConfig(options)).initialize(),
      }),
      TypeOrmModule.forRootAsync({
        name: MESSAGING,
        useFactory: () => ({ ...typeOrmOptions(options), autoLoadEntities: true }),
        dataSourceFactory: async (typeOrm = typeOrmOptions(options)) =>
          await new LazyDataSource(typeOrm, poolConfig(messagingOptions(options))).initialize(),
      }),
    ],
    providers: [DatabaseStartLog],
  };
}

/** Creates an initialized DataSource without Nest, for scripts and tests. `destroy()` closes its connections. */
export async function createDataSource(options: DatabaseOptions): Promise<DataSource> {
  return await new LazyDataSource(typeOrmOptions(options), poolConfig(options)).initialize();
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

/** Logs once at start whether the database is available, so that a service does not wait for it silently. */
@Injectable()
class DatabaseStartLog implements OnApplicationBootstrap {
  private readonly logger = new Logger('Database');

  constructor(private readonly dataSource: DataSource) {}

  onApplicationBootstrap(): void {
    withoutRefusal(() => this.dataSource.query('select 1')).then(
      () => this.logger.log('The database is available.'),
      (error: unknown) =>
        this.logger.warn(`The database is not available yet, so requests get a 503: ${reasonOf(error)}`),
    );
  }
}

@Module({})
class DatabaseModule {}

/**
 * A DataSource that can be initialized without a database. TypeORM connects in `initialize()` and fails without one, although everything
 * that it learns there is known in advance. So this class builds the metadata of the entities and gives the driver a pool, which connects
 * on first use. There is no state between "not connected yet" and "connected" to get wrong: a database that is available late is handled
 * like one that comes back after an outage.
 */
class LazyDataSource extends DataSource {
  constructor(
    options: DataSourceOptions,
    private readonly pool: SettledPoolConfig,
  ) {
    super(options);
  }

  override async initialize(): Promise<this> {
    const schema = (this.options as { schema: string }).schema;
    const pool = boundedPool(this.pool);
    Object.assign(this.driver, {
      master: pool,
      // TypeORM checks the version only for features older than PostgreSQL 14, the oldest supported version.
      version: '14.0',
      isGeneratedColumnsSupported: true,
      searchSchema: schema,
      schema,
    });
    await this.buildMetadatas();
    Object.assign(this, { isInitialized: true });
    return this;
  }
}

/** A pool configuration with the `settings` for the {@link SessionClient}. */
type SettledPoolConfig = PoolConfig & { readonly settings: SessionSettings };

// Members of pg's clients that are missing from their types.
interface Internals {
  connection: { stream: Socket };
}

/**
 * A client that closes its connection when a query gets no answer. pg itself only stops waiting. TypeORM would then wait just as long for
 * the ROLLBACK, and the pool would give the dead connection to the next request.
 */
class BoundedClient extends SessionClient {
  // pg's `query` has ten overloads. TypeORM and the other callers here use those that return a promise.
  override query(...args: unknown[]): never {
    const { stream } = (this as unknown as Internals).connection;
    // Queries of one event-loop turn are sent in one packet.
    stream.cork();
    setImmediate(() => stream.uncork());
    const { bytesRead } = stream;
    const named = prepared.named(args);
    const result: unknown = super.query.apply(this, named as never);
    if (!(result instanceof Promise)) return result as never;
    return result.catch((error: unknown) => {
      if (isStaleStatement(error)) prepared.isStale(named, error);
      if (error instanceof Error && error.message === 'Query read timeout') {
        this.disconnect();
        // If the server did send something, it may just not have got to this query yet, because earlier ones waited for locks.
        if (stream.bytesRead === bytesRead) this.emit('unanswered');
      }
      throw error;
    }) as never;
  }

  disconnect(): void {
    (this as unknown as Internals).connection.stream.destroy();
  }
}

const PREPARED = '/* prepared */';
/** How often statements may be lost before preparing stops. A pooler that does not track prepared statements loses them all the time. */
const MAX_LOST_STATEMENTS = 10;

/**
 * The names of prepared statements, shared by all connections of the process. A statement whose text begins with the comment is parsed and
 * planned once per connection instead of each time, which saves more than half of what PostgreSQL spends on a small one. This is meant for
 * constant texts that run often, and whose plan does not depend on their values.
 *
 * If a table changes, the result of a prepared statement may no longer match, and PostgreSQL rejects the statement until it is prepared
 * again. The first such error gives all statements new names, so that every connection prepares them again. Only statements that were sent
 * before that fail, and they may be retried. The old prepared statements disappear with their connections.
 */
class PreparedStatements {
  private readonly logger = new Logger('Database');
  private readonly numbers = new Map<string, number>();
  private generation = 1;
  /** How often the server did not have a statement that was prepared before, or already had one that was new. */
  private lost = 0;

  /** Returns the arguments of a query, with a name if the statement is to be prepared. */
  named([text, values, ...rest]: unknown[]): unknown[] {
    if (typeof text !== 'string' || !text.startsWith(PREPARED) || this.lost >= MAX_LOST_STATEMENTS)
      return [text, values, ...rest];
    const number = this.numbers.get(text) ?? this.numbers.size + 1;
    this.numbers.set(text, number);
    return [{ name: this.nameOf(number), text, values }, ...rest];
  }

  /** Handles a stale statement. The first error for a generation of names starts the next generation. */
  isStale([query]: unknown[], error: unknown): void {
    const { name, text = '' } = (query ?? {}) as { name?: string; text?: string };
    if (name === undefined || name !== this.nameOf(this.numbers.get(text) ?? 0)) return;
    this.generation++;
    const reason = reasonOf(error);
    if ((error as { code?: unknown }).code !== '0A000' && ++this.lost === MAX_LOST_STATEMENTS)
      this.logger.warn(`No longer preparing statements, because the server keeps losing them: ${reason}.`);
    else this.logger.warn(`Preparing all statements again: ${reason}.`);
  }

  private nameOf(number: number): string {
    return `prepared_${this.generation}_${number}`;
  }
}

const prepared = new PreparedStatements();

function boundedPool(config: SettledPoolConfig): pg.Pool {
  const logger = new Logger('Database');
  const pool = new pg.Pool({ ...config, Client: BoundedClient });
  const idle = new Set<unknown>();
  pool.on('connect', (client: EventEmitter) => {
    // If one connection died silently, the idle ones probably did too, and each would cost another request a 503.
    client.on('unanswered', () => {
      for (const other of idle) (other as BoundedClient).disconnect();
    });
    // The pool handles errors while a connection is idle, and TypeORM once it holds the connection. An error in between, when a server dies
    // in the same packet as its greeting, would end the process. The next query of that connection fails and reports the error.
    client.on('error', () => undefined);
  });
  pool.on('acquire', (client) => void idle.delete(client));
  pool.on('release', (_, client) => void idle.add(client));
  pool.on('remove', (client) => void idle.delete(client));
  // Without a listener, losing an idle connection would end the process.
  pool.on('error', (error) => logger.warn(`Lost an idle connection: ${error.message}.`));
  return pool;
}

function messagingOptions(options: DatabaseOptions): DatabaseOptions {
  return {
    ...options,
    applicationName: `${options.applicationName} messaging`,
    poolSize: options.messagingPoolSize ?? 10,
  };
}

function typeOrmOptions(options: DatabaseOptions): DataSourceOptions {
  return {
    type: 'postgres',
    url: options.url,
    schema: options.schema,
    entities: options.entities ?? [],
    logging: false,
  };
}

function poolConfig(options: DatabaseOptions): SettledPoolConfig {
  return {
    connectionString: options.url,
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
