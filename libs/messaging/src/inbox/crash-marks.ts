import { type DataSource, type EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { type KafkaRecord } from '../message/message.js';
import { PartitionMarks } from './partition-marks.js';
import { quoteIdentifier } from '../postgres/schema.js';

/** A message that has crashed this many processes while nothing else was in flight is not handled again. */
export const MAX_DEATHS = 3;

/**
 * Identifies a record. The offset alone does not, because a topic that was deleted and created again reuses offsets. A timestamp
 * read from the database is text, because a Date would lose its microseconds.
 */
export interface Place extends Pick<KafkaRecord, 'topic' | 'partition' | 'offset'> {
  readonly timestamp: Date | string;
}

/**
 * The marks of one consumer in `inbox_in_flight`. Before a process handles messages, it writes a mark that covers them and that
 * replaces its previous one. Each mark is a new row, because updates would leave a chain of row versions that every later
 * update has to walk for as long as any old transaction is open (P6).
 *
 * A crash leaves the mark behind. The process that takes over handles the covered messages one by one, with nothing else in
 * flight, each under a counting mark of its own: its `deaths` is the number of deaths that are certain if this process dies as
 * well. Every other mark has a count of zero, so only a message that was alone in flight is ever blamed for a death.
 *
 * A counting mark is removed by the transaction that settles its message, or before another process can take the message. So a
 * process that holds the message's inbox row or parked row finds only marks of dead processes.
 */
export class CrashMarks {
  readonly table: string;
  private readonly parked: string;
  /** Condition for the marks of one message, whose place is $1 to $5. Served by inbox_in_flight_partition. */
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

  /** Reads the marks that were left on a partition. Needed once after each rebalance of the group. */
  async ofPartition(db: DataSource, topic: string, partition: number): Promise<PartitionMarks> {
    // inbox_in_flight_partition, inbox_parked_place. The marks of a parked message are checked when it is due, by whichever
    // process claims it.
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
    // Our own marks do not indicate a death: they are left over from before the rebalance.
    const own = marks.filter(({ id }) => this.own.has(id)).map(({ id }) => id);
    return new PartitionMarks(
      own,
      marks.filter(({ id }) => !this.own.has(id)),
    );
  }

  /** Marks a message that is alone in flight, and returns how many processes have died handling it that way. */
  async markAlone(db: DataSource, place: Place): Promise<{ id: string; deaths: number }> {
    // A mark of ours that an outage kept us from removing would be counted as a death.
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

  /** Returns how many processes have died with the message alone in flight, not counting the mark `exceptMark`. */
  async deathsOf(tx: EntityManager, place: Place, exceptMark: string): Promise<number> {
    const [row]: { deaths: number }[] = await tx.query(
      `select coalesce(max(deaths), 0) as deaths from ${this.table} where ${this.matchesMessage} and id <> $6`,
      [...this.placeOf(place), exceptMark],
    );
    return row?.deaths ?? 0;
  }

  /** Removes all marks of the message, which this transaction settles. Earlier deaths no longer matter. */
  async settle(tx: EntityManager, place: Place): Promise<void> {
    await tx.query(`delete from ${this.table} where ${this.matchesMessage}`, this.placeOf(place));
  }

  newId(): string {
    const id = uuidv7();
    this.own.add(id);
    return id;
  }

  /** Records that these marks have been removed from the table. */
  forgetOwn(ids: readonly string[]): void {
    for (const id of ids) this.own.delete(id);
  }

  /** Removes marks. Never throws: marks that cannot be removed now are removed with the next ones, or by {@link tidy}. */
  async remove(db: DataSource, ids: readonly string[]): Promise<void> {
    for (const id of ids) this.toRemove.add(id);
    await this.tidy(db).catch(() => undefined);
  }

  /** Removes marks whose removal failed earlier, because of an outage. */
  async tidy(db: DataSource): Promise<void> {
    const ids = [...this.toRemove];
    if (ids.length === 0) return;
    await db.query(`delete from ${this.table} where id = any($1::uuid[])`, [ids]);
    for (const id of ids) this.toRemove.delete(id);
    this.forgetOwn(ids);
  }

  /** Removes all marks of this process at a clean stop, so that the next one does not have to be cautious. Never throws. */
  async removeOwn(db: DataSource): Promise<void> {
    await this.remove(db, [...this.own]);
  }

  /** Deletes old marks of partitions that were not consumed since. Kafka no longer has the messages. */
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
