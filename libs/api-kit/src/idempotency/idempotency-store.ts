import { prepared } from '@twinbox/messaging/transactions';
import type { DataSource, EntityManager } from 'typeorm';
import type { IdempotencyKey } from './idempotency-key.js';
import type { PathAndKey } from './path-and-key.js';

/** The stored response to the first request with a key. */
export interface StoredAnswer {
  readonly requestHash: Buffer;
  /** The roles that a caller needs to get the response. Null if a process of the previous version stored it. */
  readonly roles: readonly string[] | null;
  readonly answer: unknown;
}

const CHUNK = 1000;
const COUNTED = 10_000;

/** The keys that the table has. */
interface KeyCounts {
  readonly keys: number;
  /** 0 if there are none. */
  readonly oldestSeconds: number;
}

/**
 * Returns the statements that create the table of idempotency keys in a schema, for a migration of the service. The service's role needs
 * select, insert, update and delete on it. Those of {@link idempotencyKeyRoles} must run after them.
 */
export function idempotencyTable(schema: string): readonly string[] {
  const table = `"${schema}".idempotency_keys`;
  return [
    // json rather than jsonb, because a replay must have the members in the order of the first response.
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

/** Returns the statements that add the roles that a stored response requires. Processes of the previous version leave them empty. */
export function idempotencyKeyRoles(schema: string): readonly string[] {
  return [`alter table "${schema}".idempotency_keys add column roles text[]`];
}

/** The SQL for idempotency keys. The timeouts of the pool limit every statement. */
export class IdempotencyStore {
  private readonly table: string;

  constructor(
    schema: string,
    private readonly ttlMs: number,
  ) {
    this.table = `"${schema}".idempotency_keys`;
  }

  /**
   * Claims the key for this transaction and returns undefined, or returns the stored response of the request that has claimed it before. If
   * another process is just handling a request with the key, this waits on its row in the unique index.
   *
   * Processes of the previous version stored a key as it was sent, with its quotes and the path's original spelling. Their rows are found,
   * and a key that is sent in such a spelling is stored under that spelling too, so that those processes find it.
   */
  async take(tx: EntityManager, key: IdempotencyKey): Promise<StoredAnswer | undefined> {
    const { asSent, spellings } = key;
    const isNew = await this.claim(tx, key, key, spellings);
    if (isNew && (!asSent || (await this.claim(tx, key, asSent)))) return undefined;
    // A process of the previous version has stored its response since the first claim, so that one counts.
    if (isNew) await this.release(tx, key);
    // A separate statement, because the snapshot of the claim is from before it waited. Of several rows only the newest has not expired.
    const [stored]: StoredAnswer[] = await tx.query(
      `select request_hash as "requestHash", roles, answer from ${this.table}
        where caller = $1 and method = $2 and path = any($3) and key = any($4)
        order by created_at desc limit 1`,
      [key.caller, key.method, spellings.paths, spellings.keys],
    );
    // Without a row, the key has expired in the meantime.
    return stored ?? this.take(tx, key);
  }

  /** Stores the response as JSON, and the roles that it requires, with the key that this transaction has claimed. */
  async keep(tx: EntityManager, key: IdempotencyKey, answer: string, roles: readonly string[]): Promise<void> {
    for (const { path, key: name } of key.asSent ? [key, key.asSent] : [key])
      await tx.query(
        prepared(
          `update ${this.table} set answer = $5, roles = $6 where caller = $1 and method = $2 and path = $3 and key = $4`,
        ),
        [key.caller, key.method, path, name, answer, roles],
      );
  }

  /** Inserts the row or takes over an expired one. Returns false if the key is already claimed, here or in another of its `spellings`. */
  private async claim(
    tx: EntityManager,
    { caller, method, requestHash, roles }: IdempotencyKey,
    { path, key }: PathAndKey,
    spellings: IdempotencyKey['spellings'] = { paths: [], keys: [] },
  ): Promise<boolean> {
    // idempotency_keys_pkey serves the spellings too.
    const taken: unknown[] = await tx.query(
      prepared(`insert into ${this.table} as k (caller, method, path, key, request_hash, roles)
       select $1::text, $2::text, $3::text, $4::text, $5::bytea, $6::text[]
        where not exists (
          select from ${this.table} as spelled
           where spelled.caller = $1 and spelled.method = $2 and spelled.path = any($7::text[]) and spelled.key = any($8::text[])
             and (spelled.path, spelled.key) <> ($3, $4)
             and spelled.created_at >= clock_timestamp() - $9::float8 * interval '1 ms')
           on conflict (caller, method, path, key) do update
          set request_hash = excluded.request_hash, roles = excluded.roles, answer = null, created_at = excluded.created_at
        where k.created_at < clock_timestamp() - $9::float8 * interval '1 ms'
       returning 1`),
      [caller, method, path, key, requestHash, roles, spellings.paths, spellings.keys, this.ttlMs],
    );
    return taken.length > 0;
  }

  private async release(tx: EntityManager, { caller, method, path, key }: IdempotencyKey): Promise<void> {
    await tx.query(`delete from ${this.table} where caller = $1 and method = $2 and path = $3 and key = $4`, [
      caller,
      method,
      path,
      key,
    ]);
  }

  /** Counts the keys up to {@link COUNTED}, beyond which the number is estimated from the statistics of PostgreSQL. */
  async count(db: EntityManager): Promise<KeyCounts> {
    // Both parts use idempotency_keys_created_at.
    const [row]: KeyCounts[] = await db.query(
      `select case when counted.keys < ${COUNTED} then counted.keys
                   else greatest(counted.keys, (select reltuples from pg_class where oid = '${this.table}'::regclass)) end::float8 as keys,
              coalesce(extract(epoch from clock_timestamp() - (
                select created_at from ${this.table} order by created_at limit 1)), 0)::float8 as "oldestSeconds"
         from (select count(*) as keys from (select from ${this.table} order by created_at limit ${COUNTED}) as first) as counted`,
    );
    return row ?? { keys: 0, oldestSeconds: 0 };
  }

  /** Removes one chunk of expired keys. Returns whether there may be more. */
  async removeExpired(db: DataSource): Promise<boolean> {
    // Uses idempotency_keys_created_at. Skips rows that another replica is removing or a request is renewing.
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
