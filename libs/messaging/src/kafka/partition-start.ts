/** The facts about a partition from which its consumer's start offset is determined. */
export interface PartitionFacts {
  /** Kafka still has the messages from `low` on, and will write the next one at `high`. */
  readonly low: bigint;
  readonly high: bigint;
  /** The group's committed offset in Kafka. */
  readonly committed?: bigint | undefined;
  /** Whether the committing consumer had written the offset to the database first. Other tools and earlier versions do not. */
  readonly marked?: boolean | undefined;
  /** The offset in the database. */
  readonly stored?: bigint | undefined;
  /** The offset that the database has confirmed to this process. */
  readonly known?: bigint | undefined;
  /** The offset that the consumer was already reading from and Kafka rejected. */
  readonly position?: bigint | undefined;
}

/** The group's offset in Kafka and the bounds of the partition. */
export type KafkaFacts = Pick<PartitionFacts, 'low' | 'high' | 'committed' | 'marked'>;

export interface PartitionStart {
  readonly next: bigint;
  /** Whether the database's offset is meaningless because the topic was recreated, or Kafka has no offset of the group. */
  readonly anew: boolean;
  /** The number of messages that were handled and are read again because the database has gone back. */
  readonly again: bigint;
  /** The number of messages that Kafka deleted before they were handled. */
  readonly missed: bigint;
}

/** The start offset of a partition, and the facts that it follows from. */
export interface FoundStart extends PartitionStart {
  readonly partition: number;
  readonly facts: PartitionFacts;
}

/** Returns the start offsets by partition. */
export function offsetsOf(starts: readonly FoundStart[]): Map<number, bigint> {
  return new Map(starts.map(({ partition, next }) => [partition, next]));
}

/**
 * Decides from which offset to read. Starting too early only costs time, because the inbox drops what was already handled, so the
 * earlier offset is chosen whenever there is doubt:
 *
 * - The lower of both offsets. The database's is written first, so a higher one in Kafka shows that the database went back.
 * - The beginning if Kafka has no offset, even if the database has one. The group may be new, the offset in Kafka may have
 *   expired, or the topic may have been recreated.
 * - The beginning if an offset is beyond the end of the partition, or was when Kafka rejected it, because it belongs to an earlier
 *   topic with this name.
 */
export function startOf(facts: PartitionFacts): PartitionStart {
  const { low, high, committed, marked = false, stored, known, position } = facts;
  if ([committed, stored, position].some((offset) => offset !== undefined && offset > high))
    return { next: low, anew: true, again: 0n, missed: 0n };
  if (position !== undefined) {
    // Kafka rejected an offset that it has now, so the partition ended before it and has grown since. It is another topic's offset.
    if (position >= low) return { next: low, anew: true, again: 0n, missed: 0n };
    const handled = stored === undefined ? position : higher(position, stored);
    return { next: higher(position, low), anew: false, again: 0n, missed: higher(low - handled, 0n) };
  }

  const kept = lowerOf(low, committed, marked, stored);
  const next = higher(kept, low);
  const confirmed = highest(marked ? committed : undefined, known);
  const wentBack = confirmed !== undefined && (stored === undefined || stored < confirmed);
  // Messages settled in the database were handled. Those before an unmarked offset in Kafka were handled elsewhere.
  const settled = marked ? (stored ?? committed) : highest(stored, committed);
  return {
    next,
    anew: committed === undefined && stored !== undefined,
    again: wentBack ? higher(confirmed - next, 0n) : 0n,
    missed: settled === undefined ? 0n : higher(low - settled, 0n),
  };
}

function lowerOf(low: bigint, committed: bigint | undefined, marked: boolean, stored: bigint | undefined): bigint {
  if (committed === undefined) return low;
  if (stored === undefined) return marked ? low : committed;
  return stored < committed ? stored : committed;
}

function higher(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function highest(a: bigint | undefined, b: bigint | undefined): bigint | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return higher(a, b);
}
