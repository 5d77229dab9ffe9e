import { type SettledOffsets } from './consumer-options.js';
import { type GroupPositions } from './group-positions.js';
import { type KafkaFacts, offsetsOf, startOf } from './partition-start.js';
import { backOffMs, pause } from '../waiting.js';

/** Nothing is fetched until the search for start offsets succeeds, so it is repeated soon even in a long outage. */
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 2000;
/** How often an idle consumer checks whether the database has gone back. */
const CHECK_EVERY_MS = 5000;

/**
 * Determines the offsets from which a group member reads its partitions, using the database and Kafka. It does so after joining,
 * when Kafka rejects an offset, and when the database turns out to have gone back. Nothing is fetched until it is done.
 */
export class Positions {
  /** Partitions without a start offset, with the offset that Kafka rejected, if any. */
  private readonly unplaced = new Map<number, bigint | undefined>();
  /** The offsets that the database is known to store for this member's partitions. */
  private known = new Map<number, bigint>();
  private readonly epochs = new Map<number, number>();
  private searching: Promise<void> | undefined;
  private search = new AbortController();
  private checkedAt = 0;
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly settled: SettledOffsets,
    private readonly group: GroupPositions,
    private readonly on: {
      /** Called before repositioning. Settled offsets that are not yet written are invalid, because the database lost earlier ones. */
      readonly wentBack: () => void;
      readonly failed: (error: unknown) => void;
    },
  ) {
    this.timer = setInterval(() => void this.check(), CHECK_EVERY_MS).unref();
  }

  /** While fetches are suspended, resolves when all partitions have start offsets. Undefined if they already do. */
  get suspended(): Promise<void> | undefined {
    return this.searching;
  }

  /** Called after a rebalance with the partitions assigned to this member. */
  joined(partitions: readonly number[]): void {
    this.known = new Map();
    this.unplaced.clear();
    this.find(new Map(partitions.map((partition) => [partition, undefined])));
  }

  /** Called when Kafka rejects an offset because it is outside of the partition. */
  refused(partition: number, position: bigint): void {
    this.find(new Map([[partition, position]]));
  }

  /** Whether the partition has no start offset yet, so that records fetched from it must not be handled. */
  waits(partition: number): boolean {
    return this.unplaced.has(partition);
  }

  /** A number that changes whenever the partition is repositioned. */
  epoch(partition: number): number {
    return this.epochs.get(partition) ?? 0;
  }

  /**
   * Writes settled offsets to the database.
   * @throws if the database is unavailable or has gone back. The offsets must not be committed to Kafka then
   */
  async raise(offsets: ReadonlyMap<number, bigint>): Promise<void> {
    const { known } = this;
    this.checkedAt = performance.now();
    if (!(await this.settled.raise(offsets, known))) {
      if (known === this.known && this.searching === undefined) {
        this.on.wentBack();
        this.find(new Map([...known.keys()].map((partition) => [partition, undefined])));
      }
      throw new Error('the database has gone back');
    }
    for (const [partition, offset] of offsets)
      if (offset > (known.get(partition) ?? offset)) known.set(partition, offset);
  }

  end(): void {
    clearInterval(this.timer);
    this.search.abort();
    this.searching = undefined;
  }

  private async check(): Promise<void> {
    if (this.searching !== undefined || this.known.size === 0) return;
    if (performance.now() - this.checkedAt < CHECK_EVERY_MS - 100) return;
    // An outage of the database is reported where the database is needed.
    await this.raise(new Map()).catch(() => undefined);
  }

  private find(partitions: ReadonlyMap<number, bigint | undefined>): void {
    for (const [partition, position] of partitions) {
      if (!this.unplaced.has(partition)) this.unplaced.set(partition, position);
      this.epochs.set(partition, this.epoch(partition) + 1);
    }
    this.search.abort();
    const search = new AbortController();
    this.search = search;
    this.searching = this.unplaced.size === 0 ? undefined : this.findAll(search.signal);
  }

  /** Never throws. */
  private async findAll(superseded: AbortSignal): Promise<void> {
    for (let failures = 0; this.unplaced.size > 0 && !superseded.aborted; failures++) {
      try {
        await this.findOnce(superseded);
      } catch (error) {
        if (superseded.aborted) return;
        this.on.failed(error);
        await pause(backOffMs(failures, FIRST_PAUSE_MS, MAX_PAUSE_MS), superseded);
      }
    }
    if (!superseded.aborted) this.searching = undefined;
  }

  private async findOnce(superseded: AbortSignal): Promise<void> {
    const stored = await this.settled.read();
    const kafka = await this.group.facts();
    if (superseded.aborted) return;
    const starts = [...this.unplaced].map(([partition, position]) => {
      const facts = { ...factsOf(kafka, partition), stored: stored.get(partition), known: this.known.get(partition) };
      return { partition, facts: { ...facts, position }, ...startOf({ ...facts, position }) };
    });
    await this.settled.place(starts);
    if (superseded.aborted) return;
    for (const { partition, next, anew, facts } of starts) {
      const inDatabase = facts.stored;
      this.known.set(partition, anew || inDatabase === undefined || inDatabase < next ? next : inDatabase);
      this.group.readFrom(partition, next);
    }
    // Keeps the reported lag correct, and lets a later check compare the database with what it has now.
    const uncommitted = starts.filter(({ next, facts }) => next !== facts.committed || facts.marked !== true);
    if (uncommitted.length > 0) await this.group.commit(offsetsOf(uncommitted));
    if (!superseded.aborted) this.unplaced.clear();
  }
}

function factsOf(kafka: ReadonlyMap<number, KafkaFacts>, partition: number): KafkaFacts {
  const facts = kafka.get(partition);
  if (!facts) throw new Error(`Kafka has no partition ${partition}`);
  return facts;
}
