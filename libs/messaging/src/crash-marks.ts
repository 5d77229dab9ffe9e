import { type DataSource, type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { type Mark } from './inbox-store.js';
import { type KafkaRecord } from './message.js';
import { quoteIdentifier } from './schema.js';

/** A message that so many processes died of while they had nothing else in hand is not handed to another one. */
export const MAX_DEATHS = 3;

/**
 * Identifies a record. Offsets alone do not: a topic that was deleted and created again uses them again. The timestamp is text
 * where the database gave it, because a Date would lose its microseconds.
 */
export interface Place extends Pick<KafkaRecord, 'topic' | 'partition' | 'offset'> {
  readonly timestamp: Date | string;
}

/** What another process had in hand and has not taken back: it died, or is about to give its partition up. */
interface Suspicion {
  readonly id: string;
  readonly first: bigint;
  readonly last: bigint;
  /** The timestamps of the oldest and the newest of its records; null in a mark of the previous version. */
  readonly from: Date | null;
  readonly to: Date | null;
}

/** Records that are begun under one mark. */
export interface Run {
  readonly records: readonly [KafkaRecord, ...KafkaRecord[]];
  /** A process may have died of one of them: each is to be handled with nothing else in hand. */
  readonly suspect: boolean;
}

/**
 * The marks of one consumer in `inbox_in_flight`. Before a process handles messages it leaves a mark that covers them; each
 * takes the place of the one before it. A new row every time: an update would leave a chain of versions behind that every
 * later one has to walk for as long as any old transaction is open (P6).
 *
 * A crash leaves the mark. Who takes over handles what it covers one message at a time, with nothing else in hand, each under
 * a mark of its own that counts: `deaths` are those that are certain once its process has died too. Every other mark has a
 * count of zero, so only a message that was alone in hand is ever blamed for a death.
 *
 * A mark that counts goes with the transaction that settles its message, or before it is free for others. So whoever has the
 * message's row in the inbox, or its parked row, finds only marks of processes that are dead.
 */
export class CrashMarks {
  readonly table: string;
  private readonly parked: string;
  /** The marks of one message; its place is $1 to $5. By inbox_in_flight_partition. */
  private readonly matchesMessage = `consumer = $1 and topic = $2 and partition = $3 and first_offset = $4 and last_offset = $4
        and coalesce($5::timestamptz between recorded_from and recorded_to, true)`;
  private readonly own = new Set<string>();
  private readonly toRemove = new Set<string>();

  constructor(
    schema: string,
    readonly consumer: string,
  ) {
    this.table = `${quoteIdentifier(schema)}.inbox_in_flight`;
    this.parked = `${quoteIdentifier(schema)}.inbox_parked`;
  }

  /** What was left on a partition. Needed once after each time that the group has shared out its partitions. */
  async ofPartition(db: DataSource, topic: string, partition: number): Promise<PartitionMarks> {
    // inbox_in_flight_partition, inbox_parked_place. The marks of a parked message are looked at
    // when it is its turn, whoever has the partition.
    const rows: { id: string; first: string; last: string; from: Date | null; to: Date | null }[] = await db.query(
      `select m.id, m.first_offset as first, m.last_offset as last, m.recorded_from as "from", m.recorded_to as "to"
         from ${this.table} m
        where m.consumer = $1 and m.topic = $2 and m.partition = $3
          and not (m.first_offset = m.last_offset and exists (
                select from ${this.parked} p
                 where p.consumer = m.consumer and p.topic = m.topic and p.partition = m.partition
                   and p."offset" = m.first_offset
                   and coalesce(p.recorded_at between m.recorded_from and m.recorded_to, true)))`,
      [this.consumer, topic, partition],
    );
    const marks = rows.map((row) => ({ ...row, first: BigInt(row.first), last: BigInt(row.last) }));
    // Our own tell of no death: they are left from before the partitions were shared out anew.
    const own = marks.filter(({ id }) => this.own.has(id)).map(({ id }) => id);
    return new PartitionMarks(
      this,
      own,
      marks.filter(({ id }) => !this.own.has(id)),
    );
  }

  /** Marks a message that is alone in hand, and tells how many processes have died so. */
  async markAlone(db: DataSource, place: Place): Promise<{ id: string; deaths: number }> {
    // A mark of ours that an outage has kept would tell of a death.
    await this.tidy(db);
    const id = this.newId();
    const [row]: { deaths: number }[] = await db.query(
      `with earlier as materialized (select coalesce(max(deaths), 0) as deaths from ${this.table} where ${this.matchesMessage}),
       mark as (
         insert into ${this.table}
           (id, consumer, topic, partition, first_offset, last_offset, recorded_from, recorded_to, deaths)
         select $6, $1, $2, $3, $4, $4, $5, $5, deaths + 1 from earlier)
       select deaths from earlier`,
      [...this.placeOf(place), id],
    );
    return { id, deaths: row?.deaths ?? 0 };
  }

  /** How many processes have died with the message alone in hand, but for what the mark `but` tells. */
  async deathsOf(tx: EntityManager, place: Place, exceptMark: string): Promise<number> {
    const [row]: { deaths: number }[] = await tx.query(
      `select coalesce(max(deaths), 0) as deaths from ${this.table} where ${this.matchesMessage} and id <> $6`,
      [...this.placeOf(place), exceptMark],
    );
    return row?.deaths ?? 0;
  }

  /** The message is settled by this transaction: what died with it in hand is history. */
  async settle(tx: EntityManager, place: Place): Promise<void> {
    await tx.query(`delete from ${this.table} where ${this.matchesMessage}`, this.placeOf(place));
  }

  newId(): string {
    const id = uuidv7();
    this.own.add(id);
    return id;
  }

  /** Those marks are gone. */
  forgetOwn(ids: readonly string[]): void {
    for (const id of ids) this.own.delete(id);
  }

  /** Never throws: what cannot be removed now is removed with the next ones, or by {@link tidy}. */
  async remove(db: DataSource, ids: readonly string[]): Promise<void> {
    for (const id of ids) this.toRemove.add(id);
    await this.tidy(db).catch(() => undefined);
  }

  /** Removes what an outage has kept. */
  async tidy(db: DataSource): Promise<void> {
    const ids = [...this.toRemove];
    if (ids.length === 0) return;
    await db.query(`delete from ${this.table} where id = any($1::uuid[])`, [ids]);
    for (const id of ids) this.toRemove.delete(id);
    this.forgetOwn(ids);
  }

  /** At a clean stop nothing is in hand: the next process need not be careful. Never throws. */
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

  private placeOf({ topic, partition, offset, timestamp }: Place): unknown[] {
    return [this.consumer, topic, partition, offset, timestamp];
  }
}

/** The marks of one partition, from when the group has shared it out until it does so again. */
export class PartitionMarks {
  constructor(
    private readonly marks: CrashMarks,
    /** Cover nothing that is still to come: the next mark takes their place. */
    private readonly done: string[],
    private suspicions: readonly Suspicion[],
  ) {}

  /** Cuts a batch into what a dead process had in hand and what none had. */
  runs(records: readonly KafkaRecord[]): Run[] {
    const runs: { records: [KafkaRecord, ...KafkaRecord[]]; suspect: boolean }[] = [];
    for (const record of records) {
      const suspect = this.isSuspect(record);
      const last = runs.at(-1);
      if (last?.suspect === suspect) last.records.push(record);
      else runs.push({ records: [record], suspect });
    }
    return runs;
  }

  /** To be left before anything of the run is in hand. Ours from here on: tell whether it was {@link written} or {@link abandoned}. */
  markOf({ records }: Run): Mark {
    const [first] = records;
    const times = records.map(({ timestamp }) => timestamp.getTime());
    return {
      id: this.marks.newId(),
      topic: first.topic,
      partition: first.partition,
      firstOffset: first.offset,
      lastOffset: (records.at(-1) ?? first).offset,
      recordedFrom: new Date(times.reduce((one, other) => Math.min(one, other))),
      recordedTo: new Date(times.reduce((one, other) => Math.max(one, other))),
      replaces: [...this.done],
    };
  }

  /** The mark stands: those before it are gone with the same statement. */
  written(mark: Mark): void {
    this.marks.forgetOwn(mark.replaces);
    this.done.splice(0, mark.replaces.length, mark.id);
  }

  /** The run was given up while its mark was being left, which may be there or not. Never throws. */
  async abandoned(db: DataSource, mark: Mark): Promise<void> {
    await this.marks.remove(db, [mark.id]);
  }

  /** All up to this record is settled: marks that end there tell nothing any more. Never throws. */
  async settled(db: DataSource, { offset }: KafkaRecord): Promise<void> {
    const settled = this.suspicions.filter(({ last }) => last <= BigInt(offset));
    this.suspicions = this.suspicions.filter((one) => !settled.includes(one));
    await this.marks.remove(
      db,
      settled.map(({ id }) => id),
    );
  }

  /** What is covered, but given up: whoever gets it next need not be careful. Never throws. */
  async remove(db: DataSource): Promise<void> {
    await this.marks.remove(db, this.done.splice(0));
  }

  private isSuspect({ offset, timestamp }: KafkaRecord): boolean {
    if (this.suspicions.length === 0) return false;
    const at = BigInt(offset);
    const ms = timestamp.getTime();
    return this.suspicions.some(
      ({ first, last, from, to }) =>
        first <= at && at <= last && (from === null || to === null || (from.getTime() <= ms && ms <= to.getTime())),
    );
  }
}
