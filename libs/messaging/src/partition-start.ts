/** What is known of a partition when its consumer needs a place to read from. */
export interface PartitionFacts {
  /** Kafka still has the messages from `low` on; the next one will be written at `high`. */
  readonly low: bigint;
  readonly high: bigint;
  /** The group's offset in Kafka. */
  readonly committed?: bigint | undefined;
  /**
   * Whether the committing consumer had written the offset to the database first. Other tools and earlier versions do not.
   */
  readonly marked?: boolean | undefined;
  /** The database's offset. */
  readonly stored?: bigint | undefined;
  /** What the database had answered to this process that it stores. */
  readonly known?: bigint | undefined;
  /** Where the consumer reads already: Kafka has refused this offset. */
  readonly position?: bigint | undefined;
}

export interface PartitionStart {
  readonly next: bigint;
  /** The database's offset says nothing any more: the topic was created again, or Kafka has no offset of the group. */
  readonly anew: boolean;
  /** Messages that were handled, and are read again because the database has gone back. */
  readonly again: bigint;
  /** Messages that Kafka deleted before they were handled. */
  readonly missed: bigint;
}

/**
 * Decides where to read on. Reading too early only costs time, because the inbox drops what was handled, so every doubt is
 * resolved towards the earlier offset:
 *
 * - The lower of both offsets. The database's is written first, so a higher one in Kafka shows that the database went back.
 * - The beginning where Kafka has no offset, whatever the database says: the group may be new, Kafka may have let the offset
 *   expire, or the topic may have been created again.
 * - The beginning where an offset is beyond the end of the partition, or was when Kafka refused it: it belongs to an earlier topic
 *   of this name.
 */
export function startOf(facts: PartitionFacts): PartitionStart {
  const { low, high, committed, marked = false, stored, known, position } = facts;
  if ([committed, stored, position].some((offset) => offset !== undefined && offset > high))
    return { next: low, anew: true, again: 0n, missed: 0n };
  if (position !== undefined) {
    // Kafka refused an offset that it has now: the partition ended before it, and has grown since. It is another topic's.
    if (position >= low) return { next: low, anew: true, again: 0n, missed: 0n };
    const handled = stored === undefined ? position : higher(position, stored);
    return { next: higher(position, low), anew: false, again: 0n, missed: higher(low - handled, 0n) };
  }

  const kept = lowerOf(low, committed, marked, stored);
  const next = higher(kept, low);
  const told = highest(marked ? committed : undefined, known);
  const wentBack = told !== undefined && (stored === undefined || stored < told);
  // What the database has settled was handled. An offset of Kafka that nobody wrote to the database was handled elsewhere.
  const settled = marked ? (stored ?? committed) : highest(stored, committed);
  return {
    next,
    anew: committed === undefined && stored !== undefined,
    again: wentBack ? higher(told - next, 0n) : 0n,
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
