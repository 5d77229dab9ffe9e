import { type DataSource, type EntityManager } from 'typeorm';
import { type CrashMarks } from './crash-marks.js';
import { blocksOf, dueSince, LATE, SLICE_BLOCKS, type Strays } from './due-range.js';
import { storable } from './column-text.js';
import { LOCK_TIMEOUT } from './inbox-store.js';
import { type KafkaRecord } from './message.js';
import { quoteIdentifier } from './schema.js';

/** A parked message whose turn it is: nothing of its key stands before it. */
export interface Head {
  readonly id: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  /** As the database writes it. */
  readonly timestamp: string;
  /** A process may have died of it: it is to be handled with nothing else in hand. */
  readonly suspect: boolean;
  /** The message of its key that was handled just before it, in a key that its dead letters hold: none stands in between. */
  readonly after?: string | undefined;
}

/** A message that this process may take in hand. */
export interface Claim {
  /** Stands for it in `inbox_in_flight`. */
  readonly mark: string;
  /** How many processes have died with it alone in hand. */
  readonly deaths: number;
}

export interface Taken {
  readonly record: KafkaRecord;
  readonly holdsKey: boolean;
  readonly attempts: number;
  readonly setbacks: number;
}

/** How soon a claim is void of a process that died before it took the message, or with it in hand. */
const CLAIM = '2 s';

/** The SQL of the parked messages of one consumer. */
export class ParkedStore {
  /** Nothing of the consumer is due before this time. */
  private dueSince: string | null = null;
  private readonly parked: string;
  private readonly earlier: string;
  private readonly marks: string;

  constructor(
    private readonly schema: string,
    private readonly consumer: string,
    private readonly deadLettersHoldKeys: boolean,
  ) {
    this.parked = `${quoteIdentifier(schema)}.inbox_parked`;
    this.earlier = this.earlierAfter('0');
    // inbox_in_flight_partition
    this.marks = `${quoteIdentifier(schema)}.inbox_in_flight m
      where m.consumer = p.consumer and m.topic = p.topic and m.partition = p.partition
        and m.first_offset = p."offset" and m.last_offset = p."offset"
        and coalesce(p.recorded_at between m.recorded_from and m.recorded_to, true)`;
  }

  /** Whether anything of the key of `p` stands before it, beyond the id `after`. */
  private earlierAfter(after: string): string {
    // inbox_parked_arrival. The offset keeps the planner from joining the whole table.
    return `exists (select from ${this.parked} e
      where e.consumer = p.consumer and e.key = p.key and e.holds_key and p.holds_key and e.id < p.id
        and e.id > ${after}::bigint ${this.deadLettersHoldKeys ? '' : 'and e.dead_at is null'} offset 0)`;
  }

  /**
   * The heads that are due, in nobody's hands, and not among those that we know. By inbox_parked_due, in which only heads
   * stand: those behind them have no time yet.
   */
  async dueHeads(db: DataSource, known: readonly string[], limit: number): Promise<Head[]> {
    // The rows are compared, not the times, so that the planner does not take the range for a small one and sort it.
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
                  exists (select from ${this.marks}) as suspect
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
   * Marks the message, unless it is gone, not due, in other hands, or suspect and not to be handled alone. Two steps, claim and
   * {@link take}, because the mark has to be seen by others while the message is in hand, which needs a commit, and because
   * no mark of a living process may be found by who claims it next: until it is taken the message is not due again.
   */
  async claim(db: DataSource, { id, after }: Head, marks: CrashMarks, alone: boolean): Promise<Claim | undefined> {
    await marks.tidy(db);
    const mark = marks.newId();
    const [row]: { deaths: number }[] = await db.query(
      `with due as materialized (
         select p.id, (select count(*) from ${this.marks}) as marks, coalesce((select max(m.deaths) from ${this.marks}), 0) as deaths
           from ${this.parked} p
          where p.id = $1 and p.dead_at is null and p.next_attempt_at <= statement_timestamp()
            and not ${this.earlierAfter('$4')}
            for update of p skip locked),
       claimed as (
         update ${this.parked} p set next_attempt_at = statement_timestamp() + interval '${CLAIM}'
           from due where p.id = due.id and ($3 or due.marks = 0)
         returning p.consumer, p.topic, p.partition, p."offset", p.recorded_at, due.deaths),
       mark as (
         insert into ${marks.table}
           (id, consumer, topic, partition, first_offset, last_offset, recorded_from, recorded_to, deaths)
         select $2, consumer, topic, partition, "offset", "offset", recorded_at, recorded_at,
                case when $3 then deaths + 1 else 0 end from claimed)
       select deaths from claimed`,
      [id, mark, alone, after ?? 0],
    );
    if (row) return { mark, deaths: row.deaths };
    marks.forgetOwn([mark]);
    return undefined;
  }

  /** Takes the claimed message for the length of the transaction; undefined when it is gone, or in other hands after all. */
  async take(tx: EntityManager, id: string): Promise<Taken | undefined> {
    const [row]: (Taken & Omit<KafkaRecord, 'timestamp'> & { recordedAt: Date })[] = await tx.query(
      `select p.topic, p.partition, p."offset", p.recorded_at as "recordedAt", p.key, p.headers, p.value,
              p.holds_key as "holdsKey", p.attempts, p.setbacks, set_config('lock_timeout', '${LOCK_TIMEOUT}', true)
         from ${this.parked} p
        where p.id = $1 and p.dead_at is null and p.next_attempt_at is not null for update skip locked`,
      [id],
    );
    if (!row) return undefined;
    const { recordedAt: timestamp, holdsKey, attempts, setbacks, topic, partition, offset, key, headers, value } = row;
    return { record: { topic, partition, offset, timestamp, key, headers, value }, holdsKey, attempts, setbacks };
  }

  /** Gives a claim back whose message could not be settled, unless another process has it by now. */
  async release(db: DataSource, id: string): Promise<void> {
    await db.query(
      `update ${this.parked} set next_attempt_at = statement_timestamp()
        where id in (select id from ${this.parked}
                      where id = $1 and dead_at is null and next_attempt_at > statement_timestamp()
                        and next_attempt_at <= statement_timestamp() + interval '${CLAIM}' for update skip locked)`,
      [id],
    );
  }

  /** The message is handled, in this transaction. */
  async remove(tx: EntityManager, id: string): Promise<void> {
    await tx.query(`delete from ${this.parked} where id = $1`, [id]);
  }

  /**
   * It is the turn of the key's next message after `after`, if it has one and no dead letter: returned. Needs the lock of the
   * key. Those before it are not looked for, because the index keeps what is gone for as long as any old transaction is open.
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

  /** Another attempt in `delayMs`, or never (undefined): a dead letter. Of a message that this transaction has taken. */
  async putBack(
    tx: EntityManager,
    id: string,
    put: { attempts: number; setbacks: number; delayMs: number | undefined; error: string },
  ): Promise<void> {
    await tx.query(
      `update ${this.parked}
          set attempts = $2, setbacks = $5, error = $3, next_attempt_at = clock_timestamp() + $4::float8 * interval '1 ms',
              dead_at = case when $4::float8 is null then clock_timestamp() end
        where id = $1`,
      [id, put.attempts, storable(put.error), put.delayMs ?? null, put.setbacks],
    );
  }

  /**
   * Makes due what no look for due heads would find, in some blocks of the table from `block` on:
   * - heads without a time, because the letter before them was discarded by a plain DELETE;
   * - heads whose time is before the range of those looks, because it was committed late;
   * - heads whose time is more than `farMs` ahead, because the database's clock has been set back since.
   *
   * The cost is that of the blocks: neither the size of the table nor the number of dead rows in it matters.
   */
  async wakeStrays(db: DataSource, block: number, farMs: number): Promise<Strays> {
    const stray = (next: string) => `${next} < (select ${dueSince(this.schema, 'inbox_parked', '$4::timestamptz')})
              or ${next} > statement_timestamp() + $5::float8 * interval '1 ms'`;
    const end = block + SLICE_BLOCKS;
    // By tid, then inbox_parked_arrival for the head of each key and the primary key.
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
