import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { type DynamicModule, Injectable, Logger, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm';
import { isStaleStatement } from '@twinbox/messaging/database-errors';
import { SessionClient, type SessionSettings, withoutRefusal } from '@twinbox/messaging/session-client';
import pg, { type PoolConfig } from 'pg';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { reasonOf } from './database-trouble.js';

/** Where the database is, and how long anything of it may take. */
export interface DatabaseOptions {
  readonly url: string;
  /** The service's own schema: entities without one are in it, and so is what raw SQL names without one. */
  readonly schema: string;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  readonly entities?: Extract<DataSourceOptions, { type: 'postgres' }>['entities'];
  /** Connections for requests. Default 10. */
  readonly poolSize?: number;
  /** Connections for messages, jobs and timers, in a pool of their own: see {@link MESSAGING_DATA_SOURCE}. Default 10. */
  readonly messagingPoolSize?: number;
  /** How long to wait for a connection, a free one of the pool included. Default 1,500. */
  readonly connectTimeoutMs?: number;
  /** The server ends a statement that takes longer, and the request may try again. Default 1,200. */
  readonly statementTimeoutMs?: number;
  /** The server ends a wait for a lock. Default 1,000. */
  readonly lockTimeoutMs?: number;
  /**
   * A connection that leaves a query unanswered for so long is cut: longer than `statementTimeoutMs`, which a living server keeps, unless
   * others were sent before it that took their time too. Default 1,500.
   */
  readonly queryTimeoutMs?: number;
  /**
   * The server ends a session that leaves its transaction open without a word: else the locks of a client that vanished
   * without a reset are held until TCP gives up, hours later. Default 10,000.
   */
  readonly idleInTransactionTimeoutMs?: number;
}

const MESSAGING = 'messaging';

/**
 * The token of the DataSource for what no request waits for: messages, jobs and timers. Its pool is its own, so that requests that
 * wait for a lock delay no message, and messages that do delay no request.
 */
export const MESSAGING_DATA_SOURCE = getDataSourceToken(MESSAGING);

/**
 * TypeORM's DataSource for requests, and a second one for {@link MESSAGING_DATA_SOURCE messaging}. It needs no database to start: connections are made when they are first
 * used, and again after every outage; until then requests get a 503 within 2 s.
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
    providers: [FirstContact],
  };
}

/** The same without Nest, for scripts and tests. Initialised; `destroy()` closes its connections. */
export async function createDataSource(options: DatabaseOptions): Promise<DataSource> {
  return await new LazyDataSource(typeOrmOptions(options), poolConfig(options)).initialize();
}

/** Settings of the sessions of a pool: how long statements and locks may take, and where names without a schema are looked up. */
function settingsOf(options: DatabaseOptions): SessionSettings {
  if (!/^[a-z_][a-z0-9_]*$/.test(options.schema)) throw new Error(`"${options.schema}" is not a plain schema name`);
  return {
    search_path: options.schema,
    statement_timeout: options.statementTimeoutMs ?? 1200,
    lock_timeout: options.lockTimeoutMs ?? 1000,
    idle_in_transaction_session_timeout: options.idleInTransactionTimeoutMs ?? 10_000,
  };
}

/** Says once at start whether the database answers: a service that waits for it should not wait in silence. */
@Injectable()
class FirstContact implements OnApplicationBootstrap {
  private readonly logger = new Logger('Database');

  constructor(private readonly dataSource: DataSource) {}

  onApplicationBootstrap(): void {
    withoutRefusal(() => this.dataSource.query('select 1')).then(
      () => this.logger.log('The database answers.'),
      (error: unknown) => this.logger.warn(`The database does not answer yet, requests get a 503: ${reasonOf(error)}`),
    );
  }
}

@Module({})
class DatabaseModule {}

/**
 * TypeORM connects in `initialize()` and fails without a database; all it learns there is known beforehand. So this one
 * builds the entities' metadata and hands the driver a pool, which connects when it is first used. No state between "not
 * connected yet" and "connected" is left to get wrong: a database that comes late is one that comes back.
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
      // All that TypeORM asks the version for came before PostgreSQL 14, the oldest with support.
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

/** `settings` is for the {@link SessionClient}. */
type SettledPoolConfig = PoolConfig & { readonly settings: SessionSettings };

// What pg's clients have beside their types.
interface Internals {
  connection: { stream: Socket };
}

/**
 * A client that cuts its connection when a query is left without an answer. pg alone only stops waiting: TypeORM would
 * then wait as long again for the ROLLBACK, and the pool would hand the dead connection to the next request.
 */
class BoundedClient extends SessionClient {
  // pg's `query` has ten overloads; TypeORM and everybody else who matters here use those that return a promise.
  override query(...args: unknown[]): never {
    const { stream } = (this as unknown as Internals).connection;
    // What is asked within a turn goes in one packet.
    stream.cork();
    setImmediate(() => stream.uncork());
    const { bytesRead } = stream;
    const named = prepared.named(args);
    const result: unknown = super.query.apply(this, named as never);
    if (!(result instanceof Promise)) return result as never;
    return result.catch((error: unknown) => {
      if (isStaleStatement(error)) prepared.isStale(named, error);
      if (error instanceof Error && error.message === 'Query read timeout') {
        this.cut();
        // Behind others that waited for their locks the server may just have had no time for this one yet.
        if (stream.bytesRead === bytesRead) this.emit('unanswered');
      }
      throw error;
    }) as never;
  }

  cut(): void {
    (this as unknown as Internals).connection.stream.destroy();
  }
}

const PREPARED = '/* prepared */';
/** A pooler that does not track prepared statements loses them all the time. */
const MOST_UNKNOWN_STATEMENTS = 10;

/**
 * The names of prepared statements, shared by all connections of the process. A statement whose text begins with the comment is
 * parsed and planned once a connection, and not each time: more than half of what PostgreSQL spends on a small one. For constant
 * texts that run for every order, and whose plan depends on no value.
 *
 * A change of a table may make the result of a statement another one than it was prepared for; PostgreSQL then refuses it until
 * it is prepared again. The first refusal gives all statements new names, so that each connection prepares them again; only
 * what was sent before that fails, and may be tried again. The old ones go with their connections.
 */
class PreparedStatements {
  private readonly logger = new Logger('Database');
  private readonly numbers = new Map<string, number>();
  private generation = 1;
  /** How often the server did not know a statement, or knew it already. */
  private unknown = 0;

  /** The arguments of a query with the name of its statement, if it is to have one. */
  named([text, values, ...rest]: unknown[]): unknown[] {
    if (typeof text !== 'string' || !text.startsWith(PREPARED) || this.unknown >= MOST_UNKNOWN_STATEMENTS)
      return [text, values, ...rest];
    const number = this.numbers.get(text) ?? this.numbers.size + 1;
    this.numbers.set(text, number);
    return [{ name: this.nameOf(number), text, values }, ...rest];
  }

  /** The server refused the query. Of those that were sent with one generation of names, the first moves on to the next. */
  isStale([query]: unknown[], error: unknown): void {
    const { name, text = '' } = (query ?? {}) as { name?: string; text?: string };
    if (name === undefined || name !== this.nameOf(this.numbers.get(text) ?? 0)) return;
    this.generation++;
    const reason = reasonOf(error);
    if ((error as { code?: unknown }).code !== '0A000' && ++this.unknown === MOST_UNKNOWN_STATEMENTS)
      this.logger.warn(`Statements are no longer prepared because the server keeps losing them: ${reason}.`);
    else this.logger.warn(`Statements are prepared again: ${reason}.`);
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
    // Where one connection died without a word the idle ones have too: each would cost another request its 503.
    client.on('unanswered', () => {
      for (const other of idle) (other as BoundedClient).cut();
    });
    // The pool listens while a connection is idle, TypeORM once it has it: a server that dies in between, in the packet of its
    // greeting, would end the process. The next query of that connection fails, and tells.
    client.on('error', () => undefined);
  });
  pool.on('acquire', (client) => void idle.delete(client));
  pool.on('release', (_, client) => void idle.add(client));
  pool.on('remove', (client) => void idle.delete(client));
  // Without a listener the loss of an idle connection would end the process.
  pool.on('error', (error) => logger.warn(`An idle connection was lost: ${error.message}.`));
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
    // Statements of one transaction that do not wait for each other's results are sent at once. One that fails ends the
    // transaction, so none after it has an effect.
    pipeline: true,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  };
}
