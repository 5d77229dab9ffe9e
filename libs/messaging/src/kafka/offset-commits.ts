/** How long commits to Kafka may lag behind. After a crash, uncommitted messages are delivered again and dropped by their ids. */
const COMMIT_EVERY_MS = 1000;
/** One or two commits may fail during a rebalance. */
const FAILS_AFTER = 3;

/** The offset of the next record to read, by partition. */
export type Offsets = ReadonlyMap<number, string>;

/**
 * Commits settled offsets to Kafka once a second instead of after each batch. With small batches, commits were the most frequent
 * of all requests and a quarter of the broker's work.
 */
export class OffsetCommits {
  private settled = new Map<number, string>();
  private timer: NodeJS.Timeout | undefined;
  private committing = Promise.resolve();
  private failures = 0;
  private ended = false;

  constructor(
    private readonly commit: (offsets: Offsets) => Promise<void>,
    /** Called once when commits have been failing for some time. */
    private readonly onFailing: (error: unknown) => void,
    /** Stores the offsets before they are committed to Kafka. While it fails, nothing is committed. */
    private readonly store: (offsets: Offsets) => Promise<void> = () => Promise.resolve(),
  ) {}

  /** Marks everything in the partition up to and including this offset as settled. */
  settle(partition: number, offset: string): void {
    this.settled.set(partition, String(BigInt(offset) + 1n));
    this.commitSoon();
  }

  /** Commits what is settled now. Never throws; offsets that could not be committed are committed the next time. */
  async flush(commit = this.commit): Promise<void> {
    this.committing = this.committing.then(() => this.commitSettled(commit));
    await this.committing;
  }

  /** Discards the partition's settled offset, which belongs to an earlier topic with this name or to deleted messages. */
  drop(partition: number): void {
    this.settled.delete(partition);
  }

  /** Discards all settled offsets, because other members may own the partitions now. */
  forget(): void {
    this.settled = new Map();
  }

  /** Called when the consumer has ended and nothing can be committed any more. */
  end(): void {
    this.ended = true;
    clearTimeout(this.timer);
    this.forget();
  }

  private commitSoon(): void {
    if (!this.ended) this.timer ??= setTimeout(() => void this.flush(), COMMIT_EVERY_MS).unref();
  }

  private async commitSettled(commit: (offsets: Offsets) => Promise<void>): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    const { settled } = this;
    if (settled.size === 0 || this.ended) return;
    const offsets = new Map(settled);
    try {
      await this.store(offsets);
      // If they were discarded meanwhile, this member may no longer commit them.
      if (this.settled !== settled || this.ended) return;
      await commit(offsets);
      this.failures = 0;
    } catch (error) {
      if (this.settled !== settled) return;
      if (++this.failures === FAILS_AFTER) this.onFailing(error);
      this.commitSoon();
      return;
    }
    // More may have been settled in the meantime.
    for (const [partition, offset] of offsets) if (settled.get(partition) === offset) settled.delete(partition);
  }
}
