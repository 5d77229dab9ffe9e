import { type DataSource, type EntityManager } from 'typeorm';
import { firstFailure } from '../postgres/failure-history.js';
import { storable } from '../message/column-text.js';
import { type KafkaRecord, type Message } from '../message/message.js';
import { microsOf, timeOf } from '../postgres/micros.js';
import { prepared } from '../postgres/prepared.js';
import { quoteIdentifier } from '../postgres/schema.js';
import { LOCK_TIMEOUT } from '../postgres/transaction.js';

/** `new`: recorded, so handle it; `duplicate`: already handled or parked; `held`: an earlier message of its key is parked. */
export type Recorded = 'new' | 'duplicate' | 'held';

/** Identifies a message to its consumer. An id is unique only within its source. */
export interface MessageRef {
  readonly id: string;
  readonly source: string;
}

/** A process's record of the messages of a partition that it has in flight. If it dies, one of them may be the cause. */
export interface Mark {
  readonly id: string;
  readonly topic: string;
  readonly partition: number;
  readonly firstOffset: string;
  readonly lastOffset: string;
  /** The oldest and the newest timestamp of the records. */
  readonly recordedFrom: Date;
  readonly recordedTo: Date;
  /** The marks that this one replaces. */
  readonly replaces: readonly string[];
}

/** Messages that share one mark. */
export interface MarkedRefs {
  readonly mark: Mark;
  readonly refs: readonly MessageRef[];
}

/** How a message is parked. */
export interface Parking {
  /** Whether this transaction has already recorded the message in the inbox. If not, parking records it. */
  readonly recorded?: boolean;
  /** Whether the message keeps its place within its key and holds back later messages. */
  readonly holdsKey: boolean;
  readonly attempts: number;
  readonly setbacks: number;
  readonly error: string | null;
  /** The delay until the next attempt, if no earlier message of its key is parked. Undefined makes it a dead letter. */
  readonly delayMs: number | undefined;
  readonly known: { readonly id?: string; readonly type?: string; readonly source?: string };
}

const CHUNK = 5000;
const DAY_MS = 24 * 3600 * 1000;

/** The SQL that finds duplicates, records messages and parks them. */
export class InboxStore {
  private readonly schema: string;
  /** In microseconds since 1970: where the next chunk begins, how far the last chunk got, and how far the last round got. */
  private forgetFrom: number | null = null;
  private forgottenUpTo: number | null = null;
  private forgottenBefore: number | null = null;
  /** When a scan last began at the front. */
  private forgettingSince = -Infinity;

  constructor(
    schema: string,
    private readonly consumer: string,
    private readonly deadLettersHoldKeys: boolean,
  ) {
    this.schema = quoteIdentifier(schema);
  }

  /**
   * Writes the marks of the runs that come next, and returns for each mark the indexes of the messages that the inbox already
   * has. A mark has to survive a crash of the process but not of the server, so it does not wait for the disk.
   */
  async markRuns(db: DataSource, runs: readonly MarkedRefs[]): Promise<Set<number>[]> {
    const marks = runs.map(({ mark }) => mark);
    const refs = runs.flatMap((one, nth) => one.refs.map((ref, n) => ({ ...ref, nth, n })));
    const rows: { nth: number; n: number }[] = await db.query(
      // inbox_pkey. The lateral join keeps the plan independent of the planner's guess at the number of ids.
      prepared(`with settings as materialized (select set_config('synchronous_commit', 'off', true)),
       marked as (
         insert into ${this.schema}.inbox_in_flight (id, consumer, topic, partition, first_offset, last_offset, recorded_from,
                recorded_to)
         select mark.id, $1, mark.topic, mark.partition, mark.first_offset, mark.last_offset, mark.recorded_from, mark.recorded_to
           from settings, unnest($2::uuid[], $3::text[], $4::int[], $5::bigint[], $6::bigint[],
                                 $12::timestamptz[], $13::timestamptz[])
             as mark (id, topic, partition, first_offset, last_offset, recorded_from, recorded_to)
             on conflict do nothing),
       replaced as (delete from ${this.schema}.inbox_in_flight where id = any($7::uuid[]))
       select m.nth, m.n
         from unnest($8::text[], $9::text[], $10::int[], $11::int[]) as m (message_id, source, nth, n)
        cross join lateral (
          select from ${this.schema}.inbox i
           where i.consumer = $1 and i.message_id = m.message_id and i.source = m.source offset 0) known`),
      [
        this.consumer,
        marks.map(({ id }) => id),
        marks.map(({ topic }) => topic),
        marks.map(({ partition }) => partition),
        marks.map(({ firstOffset }) => firstOffset),
        marks.map(({ lastOffset }) => lastOffset),
        marks.flatMap(({ replaces }) => replaces),
        refs.map(({ id }) => id),
        refs.map(({ source }) => source),
        refs.map(({ nth }) => nth),
        refs.map(({ n }) => n),
        marks.map(({ recordedFrom }) => recordedFrom),
        marks.map(({ recordedTo }) => recordedTo),
      ],
    );
    const known = runs.map(() => new Set<number>());
    for (const { nth, n } of rows) known[nth]?.add(n);
    return known;
  }

  /**
   * Records that the consumer handles the message, unless it already has or the message's key is held. If two transactions
   * record the same message, the second waits for the first to end. No outcome is an SQL error, so none aborts the transaction.
   */
  async record(tx: EntityManager, message: Message): Promise<Recorded> {
    const [row]: { held: boolean; recorded: boolean }[] = await tx.query(
      // inbox_parked_arrival, inbox_pkey
      prepared(`with settings as materialized (select set_config('lock_timeout', '${LOCK_TIMEOUT}', true)),
       held as materialized (
         select from ${this.schema}.inbox_parked
          where consumer = $1 and key = $4 and holds_key and (dead_at is null or $5) limit 1),
       recorded as (
         insert into ${this.schema}.inbox (consumer, message_id, source)
         select $1, $2, $3 from settings where not exists (select from held)
         on conflict do nothing returning 1)
       select exists (select from held) as held, exists (select from recorded) as recorded`),
      [this.consumer, message.id, message.source, Buffer.from(message.key), this.deadLettersHoldKeys],
    );
    if (row?.recorded) return 'new';
    return row?.held ? 'held' : 'duplicate';
  }

  /**
   * Records many messages at once, and returns the indexes of those that are new and whose key is not held. Of each key it
   * records all messages or none: another process may park one of them while this statement waits for it. The statement's
   * snapshot does not show that, so later messages of the key would overtake the parked one. They are left to a later statement,
   * which sees the outcome.
   */
  async recordAll(tx: EntityManager, messages: readonly Message[]): Promise<Set<number>> {
    const rows: { n: number }[] = await tx.query(
      prepared(`with settings as materialized (select set_config('lock_timeout', '${LOCK_TIMEOUT}', true)),
       m as materialized (
         select * from unnest($2::text[], $3::text[], $4::bytea[]) with ordinality as m (message_id, source, key, n)),
       recorded as (
         insert into ${this.schema}.inbox (consumer, message_id, source)
         select $1::varchar, m.message_id, m.source from settings, m
          where not exists (select from ${this.schema}.inbox_parked p
                             where p.consumer = $1::varchar and p.key = m.key and p.holds_key and (p.dead_at is null or $5))
          -- Two processes with the same messages take them in one order, and never wait in a circle.
          order by m.message_id, m.source
         on conflict do nothing returning message_id, source)
       select m.n::int - 1 as n from m join recorded using (message_id, source)`),
      [
        this.consumer,
        messages.map(({ id }) => id),
        messages.map(({ source }) => source),
        messages.map(({ key }) => Buffer.from(key)),
        this.deadLettersHoldKeys,
      ],
    );
    const recorded = new Set(rows.map(({ n }) => n));
    if (recorded.size === messages.length) return recorded;
    const broken = new Set(messages.filter((_, n) => !recorded.has(n)).map(({ key }) => key));
    const withdrawn = [...recorded].filter((n) => broken.has(messages[n]?.key ?? ''));
    if (withdrawn.length > 0)
      await this.withdraw(
        tx,
        withdrawn.flatMap((n) => messages[n] ?? []),
      );
    for (const n of withdrawn) recorded.delete(n);
    return recorded;
  }

  /** Deletes inbox rows that this transaction has inserted. */
  private async withdraw(tx: EntityManager, refs: readonly MessageRef[]): Promise<void> {
    await tx.query(`select ${this.schema}.inbox_withdraw($1, $2, $3)`, [
      this.consumer,
      refs.map(({ id }) => id),
      refs.map(({ source }) => source),
    ]);
  }

  /**
   * Parks the complete record, unchanged, behind the messages of its key that are already parked. Returns false and does nothing
   * if the message is a duplicate, because the transaction that recorded it first takes care of it. A message that holds its key
   * is recorded in the inbox at the same time, so its id identifies duplicates. One without an id is identified by its place and
   * timestamp (inbox_parked_unreadable).
   */
  async park(tx: EntityManager, record: KafkaRecord, parking: Parking): Promise<boolean> {
    const { holdsKey, known } = parking;
    if (holdsKey) await this.lockKey(tx, record.key);
    const parked: unknown[] = await tx.query(
      `with recorded as (
         insert into ${this.schema}.inbox (consumer, message_id, source)
         select $1, $6, $7 where $11 and not $17 on conflict do nothing returning 1)
       insert into ${this.schema}.inbox_parked
         (consumer, topic, partition, "offset", recorded_at, message_id, source, type, key, headers, value,
          holds_key, attempts, error, dead_at, next_attempt_at, setbacks, history)
       select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $15, $11, $12, $13::text,
              case when $14::float8 is null then clock_timestamp() end,
              case when $14::float8 is not null and not exists (
                     select from ${this.schema}.inbox_parked e
                      where e.consumer = $1 and e.key = $9 and e.holds_key and (e.dead_at is null or $16) and $11)
                   then clock_timestamp() + $14::float8 * interval '1 ms' end,
              $18, case when $13::text is null then '[]' else ${firstFailure('$13::text')} end
        where not $11 or $17 or exists (select from recorded)
       on conflict (consumer, topic, partition, "offset", recorded_at) where not holds_key do nothing returning 1`,
      [
        this.consumer,
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        known.id ?? null,
        known.source ?? null,
        known.type ?? null,
        record.key,
        JSON.stringify(storableHeaders(record.headers)),
        holdsKey,
        parking.attempts,
        parking.error === null ? null : storable(parking.error),
        parking.delayMs ?? null,
        record.value,
        this.deadLettersHoldKeys,
        parking.recorded ?? false,
        parking.setbacks,
      ],
    );
    return parked.length > 0;
  }

  /**
   * Locks the parked messages of a key until the transaction ends. Otherwise a message could be parked behind a head that is
   * just being deleted, and nothing would wake it. Must be a statement of its own, before the one that reads the parked
   * messages, because that one must see the changes of the previous lock holder.
   */
  async lockKey(tx: EntityManager, key: Buffer | null): Promise<void> {
    await tx.query(
      `select set_config('lock_timeout', '${LOCK_TIMEOUT}', true),
              pg_advisory_xact_lock(hashtextextended($1 || ':' || encode($2, 'hex'), 0))`,
      [`${this.schema}.${this.consumer}`, key ?? Buffer.alloc(0)],
    );
  }

  /**
   * Deletes one chunk of the rows older than `retentionMs` and the least retention of the tables, the oldest first. Returns true
   * while there may be more.
   *
   * Deleted rows stay in the index for as long as any old transaction is open (P6), and a scan from the front would walk over
   * all of them. So each chunk begins where the last one ended. When no rows are left, the next scan repeats the last round, for
   * rows that were locked then, and once a day it begins at the front.
   */
  async forget(db: DataSource, retentionMs: number): Promise<boolean> {
    if (performance.now() - this.forgettingSince > DAY_MS) {
      this.forgettingSince = performance.now();
      this.forgetFrom = null;
    }
    const [row]: { forgotten: number; upTo: string | null }[] = await db.query(
      `select forgotten, ${microsOf('up_to')} as "upTo"
         from ${this.schema}.inbox_forget($1, $2, ${timeOf('$3')}, ${CHUNK})`,
      [this.consumer, retentionMs, this.forgetFrom],
    );
    const more = row?.forgotten === CHUNK;
    if (row?.upTo) this.forgottenUpTo = Number(row.upTo);
    this.forgetFrom = more ? this.forgottenUpTo : this.forgottenBefore;
    if (!more) this.forgottenBefore = this.forgottenUpTo;
    return more;
  }
}

function storableHeaders(headers: KafkaRecord['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [storable(name), storable(value)]));
}
