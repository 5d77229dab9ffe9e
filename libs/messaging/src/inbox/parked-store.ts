import { type DataSource, type EntityManager } from 'typeorm';
import { type CrashMarks } from './crash-marks.js';
import { blocksOf, dueSince, LATE, SLICE_BLOCKS, type Strays } from '../postgres/due-range.js';
import { withFailure } from '../postgres/failure-history.js';
import { storable } from '../message/column-text.js';
import { type KafkaRecord } from '../message/message.js';
import { quoteIdentifier } from '../postgres/schema.js';
import { LOCK_TIMEOUT } from '../postgres/transaction.js';

/** A parked message whose turn it is, because no earlier message of its key holds it back. */
export interface Head {
  readonly id: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  /** In the database's text form. */
  readonly timestamp: string;
  /** The message may have crashed a process, so it must be handled with nothing else in flight. */
  readonly suspect: boolean;
  /**
   * If dead letters hold their keys, the id of the message of its key that was handled just before. None is parked in between.
   */
  readonly after?: string | undefined;
}

/** The right to attempt a parked message. */
export interface Claim {
  /** The id of its mark in `inbox_in_flight`. */
  readonly mark: string;
  /** How many processes have died with the message alone in flight. */
  readonly deaths: number;
}

export interface Taken {
  readonly record: KafkaRecord;
  readonly holdsKey: boolean;
  readonly attempts: number;
  readonly setbacks: number;
}

/**
 * Returns a condition on a message that was found by its id. `case` hides it from the planner, which would otherwise read everything that is
 * due for one message (inbox_parked_due), whenever its statistics are from a time when little was due. A subquery with `offset 0` would
 * hide it too, but lock messages before it is checked.
 */
const isAlive = (condition: string) => `case when p.dead_at is null then ${condition} end`;

/** How long the claim of a process that died keeps others from the message. */
const CLAIM = '2 s';

/** The SQL of one consumer's parked messages. */
export class ParkedStore {
  /** No message of the consumer is due before this time. */
  private dueSince: string | null = null;
  private readonly parked: string;
  private readonly earlier: string;
  private readonly marksOfMessage: string;

  constructor(
    private readonly schema: string,
    private readonly consumer: string,
    private readonly deadLettersHoldKeys: boolean,
  ) {
    this.parked = `${quoteIdentifier(schema)}.inbox_parked`;
    this.earlier = this.earlierAfter('0');
    // inbox_in_flight_partition
    this.marksOfMessage = `${quoteIdentifier(schema)}.inbox_in_flight m
      where m.consumer = p.consumer and m.topic = p.topic and m.partition = p.partition
        and m.first_offset = p."offset" and m.last_offset = p."offset"
        and coalesce(p.recorded_at between m.recorded_from and m.recorded_to, true)`;
  }

  /** Condition: a message of the key of `p` with an id above `after` holds `p` back. */
  private earlierAfter(after: string): string {
    // inbox_parked_arrival. `offset 0` keeps the planner from joining the whole table.
    return `exists (select from ${this.parked} e
      where e.consumer = p.consumer and e.key = p.key and e.holds_key and p.holds_key and e.id < p.id
        and e.id > ${after}::bigint ${this.deadLettersHoldKeys ? '' : 'and e.dead_at is null'} offset 0)`;
  }

  /**
   * Returns the heads that are due, not locked and not in `known`. Served by inbox_parked_due, which contains only heads because
   * the messages behind them have no due time yet.
   */
  async dueHeads(db: DataSource, known: readonly string[], limit: number): Promise<Head[]> {
    // Rows are compared rather than times, because the planner would otherwise expect a small range and sort it.
    const rows: (Omit<Head, 'id'> & { id: string | null; since: string })[] = await db.query(
      `with first as materialized (
         select p.next_attempt_at as at from ${this.parked} p
          where p.consumer = $1 and p.dead_at is null and p.next_attempt_at <= statement_timestamp()
            and (p.next_attempt_at, p.id) >= ((select ${dueSince(this.schema, 'inbox_parked', '$4::timestamptz')}), 0)
          order by p.next_attempt_at limit 1),
       since as materialized (select coalesce((select at from first), ${LATE}) as at)
       select since.at::text as since, head.*
         from since left join lateral (
           select p.id, p.topic, p.partition, p."offset", p.recorded_at::text as timestamp,
                  exists (select from ${this.marksOfMessage}) as suspect
             from ${this.parked} p
            where p.consumer = $1 and p.next_attempt_at <= statement_timestamp() and p.dead_at is null
              and (p.next_attempt_at, p.id) >= (since.at, 0) and not ${this.earlier} and p.id <> all($3::bigint[])
            order by p.next_attempt_at limit $2 for update of p skip locked) as head on true`,
      [this.consumer, limit, known, this.dueSince],
    );
    this.dueSince = rows[0]?.since ?? this.dueSince;
    return rows.flatMap(({ since: _, ...head }) => (head.id === null ? [] : [{ ...head, id: head.id }]));
  }

  /**
   * Claims the message by marking it. Returns undefined if it is gone, not due, locked, or suspect while `alone` is false.
   *
   * Claim and {@link take} are two steps because other processes have to see the mark while the message is in flight, which
   * needs a commit. A claim also moves the due time, so that the next claimer never finds the mark of a live process.
   */
  async claim(db: DataSource, { id, after }: Head, crashMarks: CrashMarks, alone: boolean): Promise<Claim | undefined> {
    await crashMarks.tidy(db);
    const mark = crashMarks.newId();
    const [row]: { deaths: number }[] = await db.query(
      `with due as materialized (
         select p.id, (select count(*) from ${this.marksOfMessage}) as marks, coalesce((select max(m.deaths) from ${this.marksOfMessage}), 0) as deaths
           from ${this.parked} p
          where p.id = $1 and ${isAlive('p.next_attempt_at <= statement_timestamp()')}
            and not ${this.earlierAfter('$4')}
            for update of p skip locked),
       claimed as (
         update ${this.parked} p set next_attempt_at = statement_timestamp() + interval '${CLAIM}'
           from due where p.id = due.id and ($3 or due.marks = 0)
         returning p.consumer, p.topic, p.partition, p."offset", p.recorded_at, due.deaths),
       mark as (
         insert into ${crashMarks.table}
           (id, consumer, topic, partition, first_offset, last_offset, recorded_from, recorded_to, deaths)
         select $2, consumer, topic, partition, "offset", "offset", recorded_at, recorded_at,
                case when $3 then deaths + 1 else 0 end from claimed)
       select deaths from claimed`,
      [id, mark, alone, after ?? 0],
    );
    if (row) return { mark, deaths: row.deaths };
    crashMarks.forgetOwn([mark]);
    return undefined;
  }

  /** Locks the claimed message until the transaction ends. Returns undefined if it is gone or locked by another process. */
  async take(tx: EntityManager, id: string): Promise<Taken | undefined> {
    const [row]: (Taken & Omit<KafkaRecord, 'timestamp'> & { recordedAt: Date })[] = await tx.query(
      `select p.topic, p.partition, p."offset", p.recorded_at as "recordedAt", p.key, p.headers, p.value,
              p.holds_key as "holdsKey", p.attempts, p.setbacks, set_config('lock_timeout', '${LOCK_TIMEOUT}', true)
         from ${this.parked} p
        where p.id = $1 and ${isAlive('p.next_attempt_at is not null')} for update skip locked`,
      [id],
    );
    if (!row) return undefined;
    const { recordedAt: timestamp, holdsKey, attempts, setbacks, topic, partition, offset, key, headers, value } = row;
    return { record: { topic, partition, offset, timestamp, key, headers, value }, holdsKey, attempts, setbacks };
  }

  /** Gives up the claim on a message that could not be settled, unless another process has claimed it since. */
  async release(db: DataSource, id: string): Promise<void> {
    await db.query(
      `update ${this.parked} set next_attempt_at = statement_timestamp()
        where id in (select p.id from ${this.parked} p
                      where p.id = $1 and ${isAlive(`p.next_attempt_at > statement_timestamp()
                        and p.next_attempt_at <= statement_timestamp() + interval '${CLAIM}'`)} for update skip locked)`,
      [id],
    );
  }

  /** Deletes the message, which this transaction has handled. */
  async remove(tx: EntityManager, id: string): Promise<void> {
    await tx.query(`delete from ${this.parked} where id = $1`, [id]);
  }

  /**
   * Makes the key's next message after `after` due and returns it, if there is one and no dead letter holds the key. Requires
   * the key's lock. The scan begins at `after`, because the index keeps deleted entries while any old transaction is open.
   */
  async releaseNext(tx: EntityManager, key: Buffer | null, after: string): Promise<Head | undefined> {
    const [rows]: [Head[], number] = await tx.query(
      `update ${this.parked} set next_attempt_at = clock_timestamp()
        where id = (select p.id from ${this.parked} p
                     where p.consumer = $1 and p.key = $2 and p.holds_key and p.id > $4
                       and (p.dead_at is null or $3)
                     order by p.id limit 1)
          and dead_at is null and next_attempt_at is null
        returning id, topic, partition, "offset", recorded_at::text as timestamp, false as suspect`,
      [this.consumer, key, this.deadLettersHoldKeys, after],
    );
    const [head] = rows;
    return head && { ...head, after: this.deadLettersHoldKeys ? after : undefined };
  }

  /**
   * Schedules another attempt at a message that this transaction has taken. An undefined `delayMs` makes it a dead letter.
   */
  async putBack(
    tx: EntityManager,
    id: string,
    put: { attempts: number; setbacks: number; delayMs: number | undefined; error: string },
  ): Promise<void> {
    await tx.query(
      `update ${this.parked}
          set attempts = $2, setbacks = $5, error = $3::text, history = ${withFailure('history', '$3::text')}, next_attempt_at = clock_timestamp() + $4::float8 * interval '1 ms',
              dead_at = case when $4::float8 is null then clock_timestamp() end
        where id = $1`,
      [id, put.attempts, storable(put.error), put.delayMs ?? null, put.setbacks],
    );
  }

  /**
   * Makes heads due that {@link dueHeads} cannot find, in a few blocks of the table starting at `block`:
   * - heads without a due time, because the letter before them was deleted with plain SQL;
   * - heads whose due time is before the range that `dueHeads` scans, because it was committed late;
   * - heads whose due time is more than `farMs` ahead, because the database's clock was set back.
   *
   * The cost depends only on the number of blocks, not on the size of the table or the number of dead rows in it.
   */
  async wakeStrays(db: DataSource, block: number, farMs: number): Promise<Strays> {
    const stray = (next: string) => `${next} < (select ${dueSince(this.schema, 'inbox_parked', '$4::timestamptz')})
              or ${next} > statement_timestamp() + $5::float8 * interval '1 ms'`;
    const end = block + SLICE_BLOCKS;
    // A tid range, then inbox_parked_arrival for the head of each key, and the primary key.
    const [row]: { woken: number; blocks: number }[] = await db.query(
      `with slice as materialized (
         select id, consumer, key, holds_key, dead_at, next_attempt_at from ${this.parked}
          where ctid >= $2::tid and ctid < $3::tid),
       live as materialized (select * from slice where consumer = $1 and dead_at is null),
       head as materialized (
         select first.id
           from (select distinct key from live where holds_key and next_attempt_at is null) as waiting
          cross join lateral (
            select e.id from ${this.parked} e
             where e.consumer = $1 and e.key = waiting.key and e.holds_key ${this.deadLettersHoldKeys ? '' : 'and e.dead_at is null'}
             order by e.id limit 1) as first),
       stray as materialized (
         select id from head
         union all
         select id from live where ${stray('next_attempt_at')} or (next_attempt_at is null and holds_key and key is null)),
       woken as (
         update ${this.parked} set next_attempt_at = clock_timestamp()
          where id = any(array(
            select p.id from ${this.parked} p
             where p.id = any(array(select id from stray)) and p.dead_at is null
               and (p.next_attempt_at is null or ${stray('p.next_attempt_at')})
               for update skip locked))
         returning 1)
       select (select count(*)::int from woken) as woken, ${blocksOf(this.schema, 'inbox_parked')} as blocks`,
      [this.consumer, `(${block},0)`, `(${end},0)`, this.dueSince, farMs],
    );
    return { woken: row?.woken ?? 0, next: row && row.blocks > end ? end : undefined };
  }
}
