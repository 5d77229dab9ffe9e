import pg from 'pg';
import { type LeaseAnswer, type LeaseStore } from './lease.js';
import { type OutboxRow } from './message.js';
import { quoteIdentifier } from './schema.js';

/** Told to the relays of the schema: rows were committed, or the lease is free. */
export type OutboxNotice = 'committed' | 'lease-released';

/** What a record adds to its payload: key, headers and framing, generously. */
const RECORD_OVERHEAD_BYTES = 1024;

/** How long a statement may take before the connection counts as dead: less than a lease, so that its loss is noticed in time. */
const STATEMENT_MS = 3000;

/**
 * The relay's SQL, on a connection of its own: a busy pool cannot delay publishing, and the notices arrive on the same
 * connection that every poll proves alive. Not reusable after an error.
 */
export class OutboxStore implements LeaseStore {
  private readonly schema: string;
  private readonly channel: string;
  private last: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly client: pg.Client,
    schema: string,
  ) {
    this.schema = quoteIdentifier(schema);
    this.channel = `${schema}_outbox`;
  }

  /** Connects and listens. `onLost` is called once when the connection breaks by itself. */
  static async connect(
    options: { readonly databaseUrl: string; readonly schema: string; readonly service: string },
    onNotice: (notice: OutboxNotice) => void,
    onLost: (error: Error) => void,
  ): Promise<OutboxStore> {
    const client = new pg.Client({
      connectionString: options.databaseUrl,
      application_name: `${options.service} relay`,
      connectionTimeoutMillis: 3000,
      query_timeout: STATEMENT_MS,
      // Ended by the server too: a session that waits for a lock would go on waiting after we have given it up.
      statement_timeout: STATEMENT_MS - 500,
      lock_timeout: STATEMENT_MS - 1000,
      keepAlive: true,
    });
    // Before connect: a connection that breaks early must not become an uncaught 'error' event.
    client.on('error', onLost);
    client.on('notification', ({ payload }) => onNotice(payload === 'lease-released' ? payload : 'committed'));
    const store = new OutboxStore(client, options.schema);
    try {
      await client.connect();
      await store.query(`listen ${quoteIdentifier(store.channel)}`);
    } catch (error) {
      await store.close();
      throw error;
    }
    return store;
  }

  async holdLease(holder: string, leaseMs: number): Promise<LeaseAnswer> {
    const { rows } = await this.query<{ token: string | null; pending: boolean }>(
      `with lease as (
         update ${this.schema}.relay_lease
            set holder = $1,
                token = token + (holder is distinct from $1)::int,
                expires_at = clock_timestamp() + $2 * interval '1 millisecond'
          where holder = $1 or expires_at < clock_timestamp()
         returning token)
       select (select token from lease) as token, exists (select from ${this.schema}.outbox) as pending`,
      [holder, leaseMs],
    );
    return { token: rows[0]?.token ?? undefined, pending: rows[0]?.pending ?? false };
  }

  async releaseLease(holder: string): Promise<void> {
    const { rowCount } = await this.query(
      `update ${this.schema}.relay_lease set expires_at = '-infinity' where holder = $1`,
      [holder],
    );
    if (rowCount) await this.notify('lease-released');
  }

  /**
   * The oldest unpublished messages, as many as `bytes` allow but at least one, in the order of their positions (served by
   * the primary key). A published row is gone,
   * so a row that commits late, with a position below others long published, is simply there at the next reading (P2).
   */
  async read(limit: number, bytes: number): Promise<OutboxRow[]> {
    const { rows } = await this.query<OutboxRow>(
      `select position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at
         from (select *, row_number() over w as nth, sum(octet_length(payload) + ${RECORD_OVERHEAD_BYTES}) over w as bytes
                 from (select * from ${this.schema}.outbox order by position limit $1) as oldest
               window w as (order by position)) as measured
        where nth = 1 or bytes <= $2
        order by position`,
      [limit, bytes],
    );
    return rows;
  }

  /** Records progress: what Kafka has acknowledged leaves the outbox, in one statement a batch. */
  async remove(rows: readonly OutboxRow[]): Promise<void> {
    await this.query(`delete from ${this.schema}.outbox where position = any($1::bigint[])`, [
      rows.map(({ position }) => position),
    ]);
  }

  /** Reaches the relays of every process. Sent outside any transaction: inside one it would serialise all commits. */
  async notify(notice: OutboxNotice): Promise<void> {
    await this.query('select pg_notify($1, $2)', [this.channel, notice]);
  }

  /** One statement after another: the lease is renewed while a batch is read or removed. */
  private query<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<pg.QueryResult<Row>> {
    const result = this.last.then(() => this.client.query<Row>(text, values));
    this.last = result.catch(() => undefined);
    return result;
  }

  /** Never throws, and never waits for a server that does not answer. */
  async close(): Promise<void> {
    const ended = this.client.end().catch(() => undefined);
    const timer = setTimeout(() => destroySocket(this.client), 500);
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 600).unref())]);
    clearTimeout(timer);
  }
}

/** pg has no public way to drop a connection whose server is silent; `end` would wait for it. */
function destroySocket(client: pg.Client): void {
  (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
}
