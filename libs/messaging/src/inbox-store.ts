import { type DataSource, type EntityManager } from 'typeorm';
import { storable } from './column-text.js';
import { microsOf, timeOf } from './dead-letter.js';
import { type KafkaRecord, type Message } from './message.js';
import { quoteIdentifier } from './schema.js';

/** `new`: recorded, handle it; `duplicate`: handled or parked before; `held`: an earlier message of its key is parked. */
export type Recorded = 'new' | 'duplicate' | 'held';

/** What identifies a message to its consumer: an id is unique within its source only. */
export interface MessageRef {
  readonly id: string;
  readonly source: string;
}

/** What a process has in hand of a partition: what it died of, if it dies. */
export interface Mark {
  readonly id: string;
  readonly topic: string;
  readonly partition: number;
  readonly firstOffset: string;
  readonly lastOffset: string;
  /** The oldest and the newest timestamp of its records. */
  readonly recordedFrom: Date;
  readonly recordedTo: Date;
  /** Marks that this one takes the place of. */
  readonly replaces: readonly string[];
}

/** Messages that are begun under one mark. */
export interface MarkedRefs {
  readonly mark: Mark;
  readonly refs: readonly MessageRef[];
}

/** How a message is parked. */
export interface Parking {
  /** By this transaction, in the inbox; else it is recorded with the parking. */
  readonly recorded?: boolean;
  /** Has its place in its key, and holds the later ones. */
  readonly holdsKey: boolean;
  readonly attempts: number;
  readonly setbacks: number;
  readonly error: string | null;
  /** Until the next attempt, if nothing of its key stands before it; undefined: a dead letter. */
  readonly delayMs: number | undefined;
  readonly known: { readonly id?: string; readonly type?: string; readonly source?: string };
}

/** For one statement that waits for another transaction's row; set with the statement, so no session keeps it. */
export const LOCK_TIMEOUT = '1s';
const CHUNK = 5000;
const DAY_MS = 24 * 3600 * 1000;

/** The inbox's SQL: what is known, what is recorded, what is parked. */
export class InboxStore {
  private readonly schema: string;
  /** In microseconds since 1970: where the next look begins, how far the last one got, and how far the last round got. */
  private forgetFrom: number | null = null;
  private forgottenUpTo: number | null = null;
  private forgottenBefore: number | null = null;
  /** When a look last began at the front. */
  private forgettingSince = -Infinity;

  constructor(
    schema: string,
    private readonly consumer: string,
    private readonly deadLettersHoldKeys: boolean,
  ) {
    this.schema = quoteIdentifier(schema);
  }

  /**
   * Leaves the marks of what comes now, and tells which of the messages of each are known already, by their index. A mark tells
   * of the death of a process and not of the server, so it does not wait for the disk.
   */
  async begin(db: DataSource, runs: readonly MarkedRefs[]): Promise<Set<number>[]> {
    const marks = runs.map(({ mark }) => mark);
    const refs = runs.flatMap((one, nth) => one.refs.map((ref, n) => ({ ...ref, nth, n })));
    const rows: { nth: number; n: number }[] = await db.query(
      // inbox_pkey. The planner is kept from guessing how many ids there are.
      `/* prepared */ with settings as materialized (select set_config('synchronous_commit', 'off', true)),
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
           where i.consumer = $1 and i.message_id = m.message_id and i.source = m.source offset 0) known`,
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
   * Records that the consumer handles the message, unless it has, or the message's key is held. Of two transactions with one
   * message the second waits for the first to end. No answer is an error, so none breaks the transaction.
   */
  async record(tx: EntityManager, message: Message): Promise<Recorded> {
    const [row]: { held: boolean; recorded: boolean }[] = await tx.query(
      // inbox_parked_arrival, inbox_pkey
      `/* prepared */ with settings as materialized (select set_config('lock_timeout', '${LOCK_TIMEOUT}', true)),
       held as materialized (
         select from ${this.schema}.inbox_parked
          where consumer = $1 and key = $4 and holds_key and (dead_at is null or $5) limit 1),
       recorded as (
         insert into ${this.schema}.inbox (consumer, message_id, source)
         select $1, $2, $3 from settings where not exists (select from held)
         on conflict do nothing returning 1)
       select exists (select from held) as held, exists (select from recorded) as recorded`,
      [this.consumer, message.id, message.source, Buffer.from(message.key), this.deadLettersHoldKeys],
    );
    if (row?.recorded) return 'new';
    return row?.held ? 'held' : 'duplicate';
  }

  /**
   * Records many at once, and returns the indexes of those that are new and whose key is not held, key by key: all messages of
   * a key, or none. Another process may park one of them while this statement waits for it; the statement's snapshot does not
   * show that, and the later ones of the key would overtake it. They are for a later statement, which sees what became of it.
   */
  async recordAll(tx: EntityManager, messages: readonly Message[]): Promise<Set<number>> {
    const rows: { n: number }[] = await tx.query(
      `/* prepared */ with settings as materialized (select set_config('lock_timeout', '${LOCK_TIMEOUT}', true)),
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
       select m.n::int - 1 as n from m join recorded using (message_id, source)`,
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

  /** Takes back what this transaction has recorded. */
  private async withdraw(tx: EntityManager, refs: readonly MessageRef[]): Promise<void> {
    // inbox_pkey. Arrays, so that the planner does not take a join for a large one.
    await tx.query(
      `delete from ${this.schema}.inbox where ctid = any(array(
         select known.ctid from unnest($2::text[], $3::text[]) as m (message_id, source)
          cross join lateral (
            select ctid from ${this.schema}.inbox i
             where i.consumer = $1 and i.message_id = m.message_id and i.source = m.source offset 0) known))`,
      [this.consumer, refs.map(({ id }) => id), refs.map(({ source }) => source)],
    );
  }

  /**
   * Keeps the record whole, as it came, behind what is parked of its key; false, and nothing done, when the message is known:
   * whoever recorded it first has it. A message that holds its key is recorded in the inbox with it, so its id tells whether it
   * is known. One without an id is known by its place and its timestamp (inbox_parked_unreadable).
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
          holds_key, attempts, error, dead_at, next_attempt_at, setbacks)
       select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $15, $11, $12, $13,
              case when $14::float8 is null then clock_timestamp() end,
              case when $14::float8 is not null and not exists (
                     select from ${this.schema}.inbox_parked e
                      where e.consumer = $1 and e.key = $9 and e.holds_key and (e.dead_at is null or $16) and $11)
                   then clock_timestamp() + $14::float8 * interval '1 ms' end,
              $18
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
   * One at a time changes what is parked of a key, until its transaction ends: else a message could be parked behind a head
   * that is just being deleted, and nobody would wake it. Sent before the statement that looks, which must see the result.
   */
  async lockKey(tx: EntityManager, key: Buffer | null): Promise<void> {
    await tx.query(
      `select set_config('lock_timeout', '${LOCK_TIMEOUT}', true),
              pg_advisory_xact_lock(hashtextextended($1 || ':' || encode($2, 'hex'), 0))`,
      [`${this.schema}.${this.consumer}`, key ?? Buffer.alloc(0)],
    );
  }

  /**
   * Forgets what is older than `retentionMs`, the oldest first, a chunk at a time: true while there may be more.
   *
   * What is deleted stays in the index for as long as any old transaction is open (P6), and a look that began at the front would
   * walk over all of it. So each chunk begins where the last one ended. When there is no more, the next look goes back over the
   * last round, for rows that somebody else held, and once a day it begins at the front.
   */
  async forget(db: DataSource, retentionMs: number): Promise<boolean> {
    if (performance.now() - this.forgettingSince > DAY_MS) {
      this.forgettingSince = performance.now();
      this.forgetFrom = null;
    }
    // inbox_age
    const [rows]: [{ at: string }[], number] = await db.query(
      `delete from ${this.schema}.inbox where ctid = any(array(
         select ctid from ${this.schema}.inbox
          where consumer = $1 and received_at < now() - $2::float8 * interval '1 ms'
            and received_at >= coalesce(${timeOf('$3')}, '-infinity')
          order by received_at limit ${CHUNK} for update skip locked))
       returning ${microsOf('received_at')} as at`,
      [this.consumer, retentionMs, this.forgetFrom],
    );
    const more = rows.length === CHUNK;
    if (rows.length > 0) this.forgottenUpTo = rows.reduce((most, { at }) => Math.max(most, Number(at)), 0);
    this.forgetFrom = more ? this.forgottenUpTo : this.forgottenBefore;
    if (!more) this.forgottenBefore = this.forgottenUpTo;
    return more;
  }
}

function storableHeaders(headers: KafkaRecord['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [storable(name), storable(value)]));
}
