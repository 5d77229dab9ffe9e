import type { DataSource, EntityManager } from 'typeorm';
import type { IdempotencyKey } from './idempotency-key.js';

/** The answer to the first request with a key. */
export interface StoredAnswer {
  readonly requestHash: Buffer;
  readonly answer: unknown;
}

const CHUNK = 1000;

/** The statements that make the table of idempotency keys in a schema, for the service's migrations. Its role needs select, insert, update and delete. */
export function idempotencyTable(schema: string): readonly string[] {
  const table = `"${schema}".idempotency_keys`;
  return [
    // json, not jsonb: a replay has the members in the order of the first answer.
    `create table ${table} (
      caller varchar(255) not null,
      method varchar(10) not null,
      path varchar(1000) not null,
      key varchar(255) not null,
      request_hash bytea not null,
      answer json,
      created_at timestamptz not null default clock_timestamp(),
      constraint idempotency_keys_pkey primary key (caller, method, path, key)
    )`,
    `create index idempotency_keys_created_at on ${table} (created_at)`,
  ];
}

/** The SQL of the idempotency keys; every statement is bounded by the pool's time limits. */
export class IdempotencyStore {
  private readonly table: string;

  constructor(
    schema: string,
    private readonly ttlMs: number,
  ) {
    this.table = `"${schema}".idempotency_keys`;
  }

  /**
   * Takes the key for this transaction, and gives nothing; or the answer of the request that has it. A request of another
   * process that is just under way is waited for, by its row in the unique index.
   */
  async take(
    tx: EntityManager,
    { caller, method, path, key, requestHash }: IdempotencyKey,
  ): Promise<StoredAnswer | undefined> {
    // idempotency_keys_pkey
    const taken: unknown[] = await tx.query(
      `insert into ${this.table} as k (caller, method, path, key, request_hash) values ($1, $2, $3, $4, $5)
           on conflict (caller, method, path, key) do update
          set request_hash = excluded.request_hash, answer = null, created_at = excluded.created_at
        where k.created_at < clock_timestamp() - $6::float8 * interval '1 ms'
       returning 1`,
      [caller, method, path, key, requestHash, this.ttlMs],
    );
    if (taken.length > 0) return undefined;
    // A statement of its own: the one above looks at the table as it was before it waited. The row is locked by it, and stays.
    const [stored]: StoredAnswer[] = await tx.query(
      `select request_hash as "requestHash", answer from ${this.table}
        where caller = $1 and method = $2 and path = $3 and key = $4`,
      [caller, method, path, key],
    );
    if (!stored) throw new Error('An idempotency key is gone while it is locked');
    return stored;
  }

  /** Keeps the answer, as JSON, with the key that this transaction has taken. */
  async keep(tx: EntityManager, { caller, method, path, key }: IdempotencyKey, answer: string): Promise<void> {
    await tx.query(
      `update ${this.table} set answer = $5 where caller = $1 and method = $2 and path = $3 and key = $4`,
      [caller, method, path, key, answer],
    );
  }

  /** Removes keys that have expired, a chunk at a time: true while there may be more. */
  async removeExpired(db: DataSource): Promise<boolean> {
    // idempotency_keys_created_at; what another replica is just removing, or a request renews, is left to it.
    const [, removed]: [unknown, number] = await db.query(
      `delete from ${this.table} where ctid = any(array(
         select ctid from ${this.table}
          where created_at < clock_timestamp() - $1::float8 * interval '1 ms'
          order by created_at limit ${CHUNK} for update skip locked))`,
      [this.ttlMs],
    );
    return removed === CHUNK;
  }
}
