/** How far Kafka's knowledge may lag behind. What it does not know after a crash is delivered again, and dropped by its id. */
const COMMIT_EVERY_MS = 1000;
/** A group that is just being shared out anew refuses one or two. */
const FAILS_AFTER = 3;

/** Of each partition the offset of the record to go on with. */
export type Offsets = ReadonlyMap<number, string>;

/**
 * Tells Kafka once a second what is settled, and not after each batch: with small batches the commits were the most frequent of
 * all requests, and a quarter of the broker's work.
 */
export class OffsetCommits {
  private settled = new Map<number, string>();
  private timer: NodeJS.Timeout | undefined;
  private committing = Promise.resolve();
  private failures = 0;
  private ended = false;

  constructor(
    private readonly commit: (offsets: Offsets) => Promise<void>,
    /** It has failed for some time. */
    private readonly onFailing: (error: unknown) => void,
    /** Writes the offsets down first. While it fails, Kafka is not told. */
    private readonly record: (offsets: Offsets) => Promise<void> = () => Promise.resolve(),
  ) {}

  /** Everything of the partition up to this offset is settled. */
  settle(partition: number, offset: string): void {
    this.settled.set(partition, String(BigInt(offset) + 1n));
    this.commitSoon();
  }

  /** Tells what is settled now. Never throws: what could not be told is told the next time. */
  async flush(commit = this.commit): Promise<void> {
    this.committing = this.committing.then(() => this.commitSettled(commit));
    await this.committing;
  }

  /** What is settled of the partition belongs to an earlier topic of this name, or was deleted. */
  drop(partition: number): void {
    this.settled.delete(partition);
  }

  /** The partitions may be others' now, who know better. */
  forget(): void {
    this.settled = new Map();
  }

  /** The consumer is over: nothing can be told any more. */
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
    const told = new Map(settled);
    try {
      await this.record(told);
      // Forgotten meanwhile: they are not this member's to commit any more.
      if (this.settled !== settled || this.ended) return;
      await commit(told);
      this.failures = 0;
    } catch (error) {
      if (this.settled !== settled) return;
      if (++this.failures === FAILS_AFTER) this.onFailing(error);
      this.commitSoon();
      return;
    }
    // More may be settled since.
    for (const [partition, offset] of told) if (settled.get(partition) === offset) settled.delete(partition);
  }
}
