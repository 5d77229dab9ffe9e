import { type DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { type Mark } from './inbox-store.js';
import { type KafkaRecord } from './message.js';
import { quoteIdentifier } from './schema.js';

/** A message that so many processes died of while they had nothing else in hand is not handed to another one. */
export const DEADLY_AFTER = 3;

/** What another process had in hand and has not taken back: it died, or is about to give its partition up. */
interface Suspicion {
  readonly id: string;
  readonly first: bigint;
  readonly last: bigint;
  readonly deaths: number;
}

/** Records that are handled under one mark. */
export interface Run {
  readonly records: readonly KafkaRecord[];
  readonly mark: Mark;
}

/**
 * The marks of one consumer in `inbox_in_flight`. Before a process handles messages it leaves a mark that covers them; each
 * takes the place of the one before it. A new row every time: an update would leave a chain of versions behind that every
 * later one has to walk for as long as any old transaction is open (P6).
 *
 * A crash leaves the mark. Who takes the partition over handles what it covers one message at a time, each under a mark of
 * its own; so only a message that was alone in hand is ever blamed for a death.
 */
export class CrashMarks {
  readonly table: string;
  /** Of this process: they tell of no death. */
  readonly own = new Set<string>();

  constructor(
    schema: string,
    readonly consumer: string,
  ) {
    this.table = `${quoteIdentifier(schema)}.inbox_in_flight`;
  }

  /** What others have left on a partition. Needed once, when the first batch of it arrives. */
  async ofPartition(db: DataSource, topic: string, partition: number): Promise<PartitionMarks> {
    // inbox_in_flight_partition
    const rows: { id: string; first_offset: string; last_offset: string; deaths: number }[] = await db.query(
      `select id, first_offset, last_offset, deaths from ${this.table}
        where consumer = $1 and topic = $2 and partition = $3`,
      [this.consumer, topic, partition],
    );
    const suspicions = rows
      .filter(({ id }) => !this.own.has(id))
      .map((row) => ({
        id: row.id,
        first: BigInt(row.first_offset),
        last: BigInt(row.last_offset),
        deaths: row.deaths,
      }));
    return new PartitionMarks(this, suspicions);
  }

  /**
   * Marks one parked message, and tells how many processes have died of it. To be asked before it is claimed: that no other
   * process has it in hand is known only after that.
   */
  async ofMessage(
    db: DataSource,
    message: { topic: string; partition: number; offset: string },
  ): Promise<{ id: string; foreign: readonly string[]; deaths: number }> {
    const id = this.newId();
    const rows: { id: string; deaths: number }[] = await db.query(
      `with earlier as materialized (
         select id, deaths from ${this.table}
          where consumer = $2 and topic = $3 and partition = $4 and first_offset = $5 and last_offset = $5),
       mark as (
         insert into ${this.table} (id, consumer, topic, partition, first_offset, last_offset, deaths)
         select $1, $2, $3, $4, $5, $5, coalesce((select max(deaths) + 1 from earlier), 0))
       select id, deaths from earlier`,
      [id, this.consumer, message.topic, message.partition, message.offset],
    );
    const foreign = rows.filter((row) => !this.own.has(row.id));
    return { id, foreign: foreign.map((row) => row.id), deaths: Math.max(0, ...foreign.map((row) => row.deaths + 1)) };
  }

  newId(): string {
    const id = uuidv7();
    this.own.add(id);
    return id;
  }

  async remove(db: DataSource, ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    await db.query(`delete from ${this.table} where id = any($1::uuid[])`, [ids]);
    for (const id of ids) this.own.delete(id);
  }

  /** At a clean stop nothing is in hand: the next process need not be careful. */
  async removeOwn(db: DataSource): Promise<void> {
    await this.remove(db, [...this.own]);
  }

  /** Marks of partitions that nobody has consumed since, of messages that Kafka has forgotten. */
  async forget(db: DataSource, olderThanMs: number): Promise<void> {
    await db.query(
      `delete from ${this.table} where consumer = $1 and started_at < now() - $2::float8 * interval '1 ms'`,
      [this.consumer, olderThanMs],
    );
  }
}

/** The marks of one partition, for as long as this process has it. */
export class PartitionMarks {
  private readonly done: string[] = [];

  constructor(
    private readonly marks: CrashMarks,
    private suspicions: readonly Suspicion[],
  ) {}

  /** Cuts a batch into what may be handled together: all of it, but for what a dead process had in hand. */
  *runs(records: readonly KafkaRecord[]): Generator<Run> {
    let together: KafkaRecord[] = [];
    for (const record of records) {
      const deaths = this.deathsOf(record);
      if (deaths === undefined) {
        together.push(record);
        continue;
      }
      yield* this.run(together, 0);
      together = [];
      yield* this.run([record], deaths);
    }
    yield* this.run(together, 0);
  }

  /** The mark stands: those before it are gone with the same statement. */
  begun(mark: Mark): void {
    for (const id of mark.replaces) this.marks.own.delete(id);
    this.done.splice(0, mark.replaces.length, mark.id);
  }

  /** What is covered, but given up: whoever gets it next need not be careful. */
  async remove(db: DataSource): Promise<void> {
    await this.marks.remove(db, this.done.splice(0));
  }

  private deathsOf({ offset }: KafkaRecord): number | undefined {
    const at = BigInt(offset);
    const covering = this.suspicions.filter(({ first, last }) => first <= at && at <= last);
    if (covering.length === 0) return undefined;
    return Math.max(0, ...covering.filter(({ first, last }) => first === last).map(({ deaths }) => deaths + 1));
  }

  private *run(records: readonly KafkaRecord[], deaths: number): Generator<Run> {
    const first = records[0];
    const last = records.at(-1);
    if (!first || !last) return;
    // What ends before this run has been dealt with; a message's own old mark lives on in the new one's count.
    const alone = records.length === 1 ? BigInt(first.offset) : undefined;
    const over = this.suspicions.filter(
      (one) => one.last < BigInt(first.offset) || (one.first === one.last && one.first === alone),
    );
    this.suspicions = this.suspicions.filter((one) => !over.includes(one));
    this.done.push(...over.map(({ id }) => id));
    const mark = {
      id: this.marks.newId(),
      topic: first.topic,
      partition: first.partition,
      firstOffset: first.offset,
      lastOffset: last.offset,
      deaths,
      replaces: [...this.done],
    };
    yield { records, mark };
  }
}
