import type { DataSource, EntityManager } from 'typeorm';
import type { IdempotencyKey, KeyPlace } from './idempotency-key.js';

/** The answer to the first request with a key. */
export interface StoredAnswer {
  readonly requestHash: Buffer;
  /** The roles that a caller needs to get the answer; null when a process of the previous version stored it. */
  readonly roles: readonly string[] | null;
  readonly answer: unknown;
}

const CHUNK = 1000;

/**
 * The statements that make the table of idempotency keys in a schema, for the service's migrations. Its role needs select, insert,
 * update and delete. {@link idempotencyKeyRoles} has to follow.
 */
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

/** The statements that add what a stored answer is bound to. Processes of the previous version leave it empty. */
export function idempotencyKeyRoles(schema: string): readonly string[] {
  return [`alter table "${schema}".idempotency_keys add column roles text[]`];
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
   *
   * Processes of the previous version stored a key as it was sent, with its quotes and with the path's own spelling. What they have
   * stored is found, and what is sent in such a spelling is stored under it too, for them to find.
   */
  async take(tx: EntityManager, key: IdempotencyKey): Promise<StoredAnswer | undefined> {
    const { asSent, spellings } = key;
    const isNew = await this.claim(tx, key, key, spellings);
    if (isNew && (!asSent || (await this.claim(tx, key, asSent)))) return undefined;
    // A process of the previous version has stored its answer since we looked: that one counts.
    if (isNew) await this.release(tx, key);
    // A statement of its own: the one above looks at the table as it was before it waited. Of several rows only the newest is live.
    const [stored]: StoredAnswer[] = await tx.query(
      `select request_hash as "requestHash", roles, answer from ${this.table}
        where caller = $1 and method = $2 and path = any($3) and key = any($4)
        order by created_at desc limit 1`,
      [key.caller, key.method, spellings.paths, spellings.keys],
    );
    // Gone: it has expired in between.
    return stored ?? this.take(tx, key);
  }

  /** Keeps the answer, as JSON, and the roles that it is for, with the key that this transaction has taken. */
  async keep(tx: EntityManager, key: IdempotencyKey, answer: string, roles: readonly string[]): Promise<void> {
    for (const { path, key: name } of key.asSent ? [key, key.asSent] : [key])
      await tx.query(
        `/* prepared */ update ${this.table} set answer = $5, roles = $6 where caller = $1 and method = $2 and path = $3 and key = $4`,
        [key.caller, key.method, path, name, answer, roles],
      );
  }

  /** Inserts the row, or takes over one that has expired. False: it is taken, here or in another of its `spellings`. */
  private async claim(
    tx: EntityManager,
    { caller, method, requestHash, roles }: IdempotencyKey,
    { path, key }: KeyPlace,
    spellings: IdempotencyKey['spellings'] = { paths: [], keys: [] },
  ): Promise<boolean> {
    // idempotency_keys_pkey serves the spellings too.
    const taken: unknown[] = await tx.query(
      `/* prepared */ insert into ${this.table} as k (caller, method, path, key, request_hash, roles)
       select $1::text, $2::text, $3::text, $4::text, $5::bytea, $6::text[]
        where not exists (
          select from ${this.table} as spelled
           where spelled.caller = $1 and spelled.method = $2 and spelled.path = any($7::text[]) and spelled.key = any($8::text[])
             and (spelled.path, spelled.key) <> ($3, $4)
             and spelled.created_at >= clock_timestamp() - $9::float8 * interval '1 ms')
           on conflict (caller, method, path, key) do update
          set request_hash = excluded.request_hash, roles = excluded.roles, answer = null, created_at = excluded.created_at
        where k.created_at < clock_timestamp() - $9::float8 * interval '1 ms'
       returning 1`,
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
