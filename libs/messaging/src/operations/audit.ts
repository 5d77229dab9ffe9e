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
  /** What the action concerns beside `letter`, such as a filter and a count, or a payload before and after an edit. */
  readonly detail: Readonly<Record<string, unknown>> | null;
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
const MAX_LOOKED = 100_000;

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
    { actor, action, outcome, messageId, operation }: AuditFilter,
    before: string | undefined,
    limit: number,
  ): Promise<{ entries: AuditEntry[]; lookedUpTo: string | null }> {
    const looked = `select * from ${this.table}
                     where ($1::bigint is null or id < $1) and ($2::uuid is null or operation = $2) order by id desc limit ${MAX_LOOKED}`;
    const [row]: [{ entries: AuditEntry[] | null; lookedUpTo: string | null }] = await db.query(
      `with looked as materialized (${looked})
       select (select json_agg(row_to_json(entry) order by entry.n desc) from (
                 select id as n, id::text as id, at, actor, action, box, letter, reason, outcome, operation, detail from looked
                  where ($3::text is null or actor = $3) and ($4::text is null or action = $4)
                    and ($5::text is null or outcome = $5) and ($6::text is null or letter ->> 'messageId' = $6)
                  order by id desc limit $7) as entry) as entries,
              (select case when count(*) = ${MAX_LOOKED} then min(id)::text end from looked) as "lookedUpTo"`,
      [before, operation, actor, action, outcome, messageId, limit].map((value) => value ?? null),
    );
    const entries = (row.entries ?? []).map(({ n: _, ...entry }: AuditEntry & { n?: number }) => ({
      ...entry,
      at: new Date(entry.at),
    }));
    return { entries, lookedUpTo: row.lookedUpTo };
  }
}
