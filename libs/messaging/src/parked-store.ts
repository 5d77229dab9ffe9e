import { type DataSource, type EntityManager } from 'typeorm';
import { LOCK_TIMEOUT, storable } from './inbox-store.js';
import { type KafkaRecord } from './message.js';
import { quoteIdentifier } from './schema.js';

/** A parked message whose turn it is: nothing of its key stands before it. */
export interface Head {
  readonly id: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
}

export interface Claimed {
  readonly record: KafkaRecord;
  readonly holdsKey: boolean;
  readonly attempts: number;
}

/** The SQL of the parked messages of one consumer. */
export class ParkedStore {
  private readonly parked: string;
  private readonly earlier: string;

  constructor(
    schema: string,
    private readonly consumer: string,
    private readonly deadLettersHoldKeys: boolean,
  ) {
    this.parked = `${quoteIdentifier(schema)}.inbox_parked`;
    // inbox_parked_key
    this.earlier = `exists (select from ${this.parked} e
      where e.consumer = p.consumer and e.key = p.key and e.holds_key and p.holds_key and e."offset" < p."offset"
        ${deadLettersHoldKeys ? '' : 'and e.dead_at is null'})`;
  }

  /** The heads that are due. By inbox_parked_due, in which only heads stand: those behind them have no time yet. */
  async dueHeads(db: DataSource, limit: number): Promise<Head[]> {
    return db.query(
      `select p.id, p.topic, p.partition, p."offset" from ${this.parked} p
        where p.consumer = $1 and p.next_attempt_at <= statement_timestamp() and p.dead_at is null and not ${this.earlier}
        order by p.next_attempt_at limit $2`,
      [this.consumer, limit],
    );
  }

  /** Takes the message for the length of the transaction; undefined when it is gone, not due, or in other hands. */
  async claim(tx: EntityManager, id: string): Promise<Claimed | undefined> {
    const [row]: (Claimed & Omit<KafkaRecord, 'timestamp'> & { recordedAt: Date })[] = await tx.query(
      `select p.topic, p.partition, p."offset", p.recorded_at as "recordedAt", p.key, p.headers, p.value,
              p.holds_key as "holdsKey", p.attempts, set_config('lock_timeout', '${LOCK_TIMEOUT}', true)
         from ${this.parked} p
        where p.id = $1 and p.dead_at is null and p.next_attempt_at <= clock_timestamp() and not ${this.earlier}
          for update skip locked`,
      [id],
    );
    if (!row) return undefined;
    const { recordedAt: timestamp, holdsKey, attempts, topic, partition, offset, key, headers, value } = row;
    return { record: { topic, partition, offset, timestamp, key, headers, value }, holdsKey, attempts };
  }

  /** The message is handled, in this transaction. */
  async remove(tx: EntityManager, id: string): Promise<void> {
    await tx.query(`delete from ${this.parked} where id = $1`, [id]);
  }

  /** It is the turn of the key's next message, if it has one and no dead letter: returned. Needs the lock of the key. */
  async releaseNext(tx: EntityManager, key: Buffer | null): Promise<Head | undefined> {
    const [rows]: [Head[], number] = await tx.query(
      `update ${this.parked} set next_attempt_at = clock_timestamp()
        where id = (select p.id from ${this.parked} p
                     where p.consumer = $1 and p.key = $2 and p.holds_key
                       and (p.dead_at is null or $3)
                     order by p."offset" limit 1)
          and dead_at is null and next_attempt_at is null
        returning id, topic, partition, "offset"`,
      [this.consumer, key, this.deadLettersHoldKeys],
    );
    return rows[0];
  }

  /** Another attempt in `delayMs`, or never (undefined): a dead letter. Nothing when somebody else has gone on meanwhile. */
  async putBack(
    tx: EntityManager,
    id: string,
    claimed: Claimed,
    next: { attempts: number; delayMs: number | undefined; error: string },
  ): Promise<boolean> {
    const [, updated]: [unknown, number] = await tx.query(
      `update ${this.parked}
          set attempts = $3, error = $4, next_attempt_at = clock_timestamp() + $5::float8 * interval '1 ms',
              dead_at = case when $5::float8 is null then clock_timestamp() end
        where id = $1 and attempts = $2 and dead_at is null`,
      [id, claimed.attempts, next.attempts, storable(next.error), next.delayMs ?? null],
    );
    return updated > 0;
  }

  /** Gives a time to every head that has none: the letter before it was discarded by a plain DELETE. */
  async wakeOrphans(db: DataSource): Promise<void> {
    await db.query(
      `update ${this.parked} set next_attempt_at = clock_timestamp()
        where id in (select p.id from ${this.parked} p
                      where p.consumer = $1 and p.holds_key and p.dead_at is null and p.next_attempt_at is null
                        and not ${this.earlier} for update skip locked)`,
      [this.consumer],
    );
  }
}
