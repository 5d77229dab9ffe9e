import { type DataSource, type EntityManager } from 'typeorm';
import { quoteIdentifier } from '../postgres/schema.js';

/** An operator's action. Entries of earlier versions have no `operation` and no `detail`, and all are `done`. */
export interface AuditEntry {
  readonly id: string;
  readonly at: Date;
  readonly actor: string;
  readonly action: string;
  readonly box: string;
  /** The affected letter, job or incident as it was then, without its payload. */
  readonly letter: Readonly<Record<string, unknown>>;
  readonly reason: string | null;
  /** `refused`: nothing was changed, because the actor was not allowed to do it, or because it is not possible. `detail` says which. */
  readonly outcome: AuditOutcome;
  /** The id of the operation on many items that did it on the actor's behalf. */
  readonly operation: string | null;
  /**
   * What the action concerns beside `letter`, such as a filter and a count, or a payload before and after an edit. A list has
   * `{ characters }` in place of a detail of more than 2,000 characters.
   */
  readonly detail: Readonly<Record<string, unknown>> | null;
}

/** A message that an operator discarded from the inbox of this service, so its consumer did not process it. */
export interface DiscardedMessage {
  readonly consumer: string;
  readonly messageId: string | null;
  readonly type: string | null;
  readonly at: Date;
  readonly actor: string;
}

/** Selects the entries that match all given fields. */
export interface AuditFilter {
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly outcome?: AuditOutcome | undefined;
  /** The id of the message of a letter. */
  readonly messageId?: string | undefined;
  /** The id of a stored operation. */
  readonly operation?: string | undefined;
}

/** The most entries that one search looks at. */
const MAX_LOOKED = 5000;
/** The longest detail that a list shows, so that a page of edits does not contain megabytes. */
const SHOWN_DETAIL = 2000;

export type AuditOutcome = 'done' | 'refused';

/** What the entries of one action have in common. */
export interface AuditedAction {
  readonly actor: string;
  readonly action: string;
  readonly box: string;
  readonly reason: string | undefined;
  readonly operation?: string | undefined;
  readonly detail?: Readonly<Record<string, unknown>> | undefined;
  /** Default: `done`. */
  readonly outcome?: AuditOutcome | undefined;
}

/**
 * Returns a column of the poll's statement: the id of the newest entry, which serves as the signal that an operator has released
 * parked messages. Every release writes an entry, so a new id makes each process look for released messages, even if it missed the
 * notification. There is no column of its own for the signal, because operators would write it in `relay_lease` and so block the
 * renewal of the lease. Served by messaging_audit_pkey.
 */
export function latestReleaseId(schema: string): string {
  return `(select max(id) from ${quoteIdentifier(schema)}.messaging_audit)`;
}

/** The SQL of the audit trail: who did what, when and why. */
export class Audit {
  private readonly table: string;

  constructor(private readonly schema: string) {
    this.table = `${quoteIdentifier(schema)}.messaging_audit`;
  }

  /**
   * Admits one writer at a time until its transaction ends, so that entries become visible in the order of their ids. Otherwise the
   * poll could read a higher {@link latestReleaseId} first and miss the release with the lower one. Must be taken before locking any
   * rows that other transactions lock too.
   */
  async lock(tx: EntityManager): Promise<void> {
    await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`${this.schema}.messaging_audit`]);
  }

  /**
   * Writes one entry per letter, job, incident or whatever else the action changed. Pass `[{}]` for an action that changed none.
   * Requires the lock. The JSON must not contain zero bytes, which jsonb cannot hold.
   */
  async write(tx: EntityManager, action: AuditedAction, letters: readonly object[]): Promise<void> {
    const { actor, box, reason, operation, detail, outcome = 'done' } = action;
    await tx.query(
      `insert into ${this.table} (actor, action, box, letter, reason, outcome, operation, detail)
       select $1, $2, $3, l.letter, $5, $6, $7::uuid, $8::jsonb from unnest($4::jsonb[]) with ordinality as l (letter, n) order by l.n`,
      [
        actor,
        action.action,
        box,
        letters.map((letter) => JSON.stringify(letter)),
        reason ?? null,
        outcome,
        operation ?? null,
        detail ? JSON.stringify(detail) : null,
      ],
    );
  }

  /**
   * Returns the entries older than the id `before` that match, newest first, and the id up to which it has looked if older ones are left.
   * Served by messaging_audit_operation, or else by the primary key.
   */
  async find(
    db: DataSource,
    { operation, ...content }: AuditFilter,
    before: string | undefined,
    limit: number,
  ): Promise<{ entries: AuditEntry[]; lookedUpTo: string | null }> {
    const values: unknown[] = [limit];
    const value = (of: unknown) => `$${values.push(of)}`;
    const range = [
      ...(before === undefined ? [] : [`id < ${value(before)}::bigint`]),
      ...(operation === undefined ? [] : [`operation = ${value(operation)}::uuid`]),
    ];
    const contents = Object.entries(CONTENT).flatMap(([name, column]) => {
      const wanted = content[name as keyof typeof CONTENT];
      return wanted === undefined ? [] : [`${column} = ${value(wanted)}`];
    });
    // Not by the column of the result, which is text.
    const from = `from ${this.table} as entry ${where(range)} order by entry.id desc`;
    if (contents.length === 0)
      return { entries: await db.query(`select ${LISTED} ${from} limit $1`, values), lookedUpTo: null };
    // Nothing else of the entries looked at is read.
    const [row]: [{ ids: string[]; lookedUpTo: string | null }] = await db.query(
      `with looked as materialized (select id, (${contents.join(' and ')}) as found ${from} limit ${MAX_LOOKED})
       select array(select id from looked where found order by id desc limit $1)::text[] as ids,
              (select case when count(*) = ${MAX_LOOKED} then min(id)::text end from looked) as "lookedUpTo"`,
      values,
    );
    const entries: AuditEntry[] = await db.query(
      `select ${LISTED} from ${this.table} as entry where id = any($1::bigint[]) order by entry.id desc`,
      [row.ids],
    );
    return { entries, lookedUpTo: row.lookedUpTo };
  }

  /** Returns one entry with its whole detail. The primary key serves it. */
  async findOne(db: DataSource, id: string): Promise<AuditEntry | undefined> {
    const [entry]: AuditEntry[] = await db.query(`select ${ENTRY}, detail from ${this.table} where id = $1`, [id]);
    return entry;
  }

  /**
   * Returns the messages with the key that operators discarded from the inbox, the oldest first. The primary key serves it: only the newest
   * 5,000 entries are looked at.
   */
  async discardedOf(db: DataSource, key: string, limit: number): Promise<DiscardedMessage[]> {
    const rows: DiscardedMessage[] = await db.query(
      `select letter ->> 'consumer' as consumer, letter ->> 'messageId' as "messageId", letter ->> 'type' as type, at, actor
         from (select id, at, actor, action, box, letter, outcome from ${this.table} order by id desc limit ${MAX_LOOKED}) as newest
        where action = 'discard' and box = 'inbox' and outcome = 'done' and letter ->> 'key' = $1 order by id desc limit $2`,
      [key, limit],
    );
    return rows.toReversed();
  }

  /**
   * Whether a refused action of the actor was recorded within the last `ms`. Requires the lock. The primary key serves it: only the newest
   * 1,000 entries are looked at.
   */
  async isRefusedSince(tx: EntityManager, actor: string, ms: number): Promise<boolean> {
    const rows: unknown[] = await tx.query(
      `select from (select actor, outcome, at from ${this.table} order by id desc limit 1000) as newest
        where actor = $1 and outcome = 'refused' and at > clock_timestamp() - $2 * interval '1 ms' limit 1`,
      [actor, ms],
    );
    return rows.length > 0;
  }
}

const ENTRY = 'id::text as id, at, actor, action, box, letter, reason, outcome, operation';
const LISTED = `${ENTRY}, case when length(detail::text) > ${SHOWN_DETAIL}
         then jsonb_build_object('characters', length(detail::text)) else detail end as detail`;
const CONTENT = { actor: 'actor', action: 'action', outcome: 'outcome', messageId: `letter ->> 'messageId'` } as const;

function where(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`;
}
