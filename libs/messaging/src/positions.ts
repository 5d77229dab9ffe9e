import { type PartitionFacts, type PartitionStart, startOf } from './partition-start.js';
import { backOffMs, pause } from './waiting.js';

/** An offset of the group as Kafka has it, and the bounds of the partition. */
export type KafkaFacts = Pick<PartitionFacts, 'low' | 'high' | 'committed' | 'marked'>;

export interface FoundStart extends PartitionStart {
  readonly partition: number;
  readonly facts: PartitionFacts;
}

/** Where the consumer's database keeps how far the partitions are settled. Every method throws while it is away. */
export interface SettledOffsets {
  read(): Promise<ReadonlyMap<number, bigint>>;
  /** Raises the offsets. False, and nothing is written, when an offset is lower than `known`: the database has gone back. */
  raise(offsets: ReadonlyMap<number, bigint>, known: ReadonlyMap<number, bigint>): Promise<boolean>;
  /** Reports what the places to read from show, and writes them down. Repeated until it succeeds. */
  place(starts: readonly FoundStart[]): Promise<void>;
}

/** What is asked of Kafka, as a member of the group. */
export interface GroupPositions {
  facts(): Promise<ReadonlyMap<number, KafkaFacts>>;
  readFrom(partition: number, offset: bigint): void;
  /** Never throws: Kafka's offset is the lower one then, or is corrected by the next member. */
  commit(offsets: ReadonlyMap<number, bigint>): Promise<void>;
}

/** How soon an idle consumer notices that the database has gone back. */
const CHECK_EVERY_MS = 5000;

/**
 * Finds where a member of a group reads its partitions from, by the database and by Kafka, and nothing is fetched until it has:
 * after joining, when Kafka refuses an offset, and when the database turns out to have gone back.
 */
export class Positions {
  /** Partitions to find a place for, with the offset that Kafka refused. */
  private readonly wanted = new Map<number, bigint | undefined>();
  /** What the database is known to store of this member's partitions. */
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
      /** What is settled and not written yet comes after offsets that the database has lost. */
      readonly wentBack: () => void;
      readonly failed: (error: unknown) => void;
    },
  ) {
    this.timer = setInterval(() => void this.check(), CHECK_EVERY_MS).unref();
  }

  /** Resolves when the partitions have their places. Undefined when they have. */
  get held(): Promise<void> | undefined {
    return this.searching;
  }

  /** The group has been shared out anew. */
  joined(partitions: readonly number[]): void {
    this.known = new Map();
    this.wanted.clear();
    this.find(new Map(partitions.map((partition) => [partition, undefined])));
  }

  /** Kafka has no message at this offset, and will not get one there next. */
  refused(partition: number, position: bigint): void {
    this.find(new Map([[partition, position]]));
  }

  /** Whether the partition waits for its place: what is fetched of it is not to be handled. */
  waits(partition: number): boolean {
    return this.wanted.has(partition);
  }

  /** Changes when the partition is given another place. */
  epoch(partition: number): number {
    return this.epochs.get(partition) ?? 0;
  }

  /**
   * Writes what is settled to the database.
   * @throws when it is away, or has gone back: Kafka must not be told
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
    // A database that is away is reported by those who need it.
    await this.raise(new Map()).catch(() => undefined);
  }

  private find(wanted: ReadonlyMap<number, bigint | undefined>): void {
    for (const [partition, position] of wanted) {
      if (!this.wanted.has(partition)) this.wanted.set(partition, position);
      this.epochs.set(partition, this.epoch(partition) + 1);
    }
    this.search.abort();
    const search = new AbortController();
    this.search = search;
    this.searching = this.wanted.size === 0 ? undefined : this.findAll(search.signal);
  }

  /** Never throws. */
  private async findAll(superseded: AbortSignal): Promise<void> {
    for (let failures = 0; this.wanted.size > 0 && !superseded.aborted; failures++) {
      try {
        await this.findOnce(superseded);
      } catch (error) {
        if (superseded.aborted) return;
        this.on.failed(error);
        await pause(backOffMs(failures, 100, 2000), superseded);
      }
    }
    if (!superseded.aborted) this.searching = undefined;
  }

  private async findOnce(superseded: AbortSignal): Promise<void> {
    const stored = await this.settled.read();
    const kafka = await this.group.facts();
    if (superseded.aborted) return;
    const starts = [...this.wanted].map(([partition, position]) => {
      const facts = { ...factsOf(kafka, partition), stored: stored.get(partition), known: this.known.get(partition) };
      return { partition, facts: { ...facts, position }, ...startOf({ ...facts, position }) };
    });
    await this.settled.place(starts);
    if (superseded.aborted) return;
    for (const { partition, next, anew, facts } of starts) {
      const held = facts.stored;
      this.known.set(partition, anew || held === undefined || held < next ? next : held);
      this.group.readFrom(partition, next);
    }
    // So that the lag is right, and that a later look into the database's past compares with what it had.
    const untold = starts.filter(({ next, facts }) => next !== facts.committed || facts.marked !== true);
    if (untold.length > 0) await this.group.commit(offsetsOf(untold));
    if (!superseded.aborted) this.wanted.clear();
  }
}

/** The places to read from, by partition. */
export function offsetsOf(starts: readonly FoundStart[]): Map<number, bigint> {
  return new Map(starts.map(({ partition, next }) => [partition, next]));
}

function factsOf(kafka: ReadonlyMap<number, KafkaFacts>, partition: number): KafkaFacts {
  const facts = kafka.get(partition);
  if (!facts) throw new Error(`Kafka does not know partition ${partition}`);
  return facts;
}
