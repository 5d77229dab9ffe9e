import { type Watched } from './order-feed-place.js';
import { FeedSnapshot } from './order-feed-snapshot.js';
import { type FeedStep } from './order-feed-store.js';

/** Steps of a follower's that were committed after `before`, all that `seen` sees beyond it; none, when it only tells how far. */
export interface FeedBatch {
  readonly steps: readonly FeedStep[];
  readonly before: FeedSnapshot;
  readonly seen: FeedSnapshot;
}

/** Batches are kept for a follower until there are so many steps; then it has to read for itself what it has not got. */
const MOST_KEPT = 1000;

/**
 * What the feed has for one follower, who takes it at their own pace: whoever falls behind further than is kept reads it on their
 * own, and neither holds the others up nor fills the memory.
 */
export class FeedSubscription {
  private kept: FeedBatch[] = [];
  private count = 0;
  private wake: (() => void) | undefined;
  private ended = false;
  /** Everything that it does not see is kept, will come, or was taken. */
  private beginning = FeedSnapshot.NOTHING;
  private latest = FeedSnapshot.NOTHING;

  constructor(
    readonly watched: Watched,
    private readonly leave: () => void,
  ) {}

  /** What is before it, the follower has to read for itself. */
  get from(): FeedSnapshot {
    return this.beginning;
  }

  /** Nothing comes any more: the follower has left, or the feed cannot go on from what was told. */
  get isOver(): boolean {
    return this.ended;
  }

  begin(seen: FeedSnapshot): void {
    this.beginning = seen;
    this.latest = seen;
  }

  deliver(batch: FeedBatch): void {
    this.latest = batch.seen;
    this.kept.push(batch);
    this.count += batch.steps.length;
    if (this.count > MOST_KEPT) {
      this.kept = [];
      this.count = 0;
      this.beginning = batch.seen;
    }
    this.wake?.();
  }

  /** There was nothing of theirs up to here. */
  mark(seen: FeedSnapshot): void {
    const last = this.kept.at(-1);
    const before = this.latest;
    this.latest = seen;
    // One after the other would pile up for a follower that takes none.
    if (last?.steps.length === 0) this.kept.splice(-1, 1, { ...last, seen });
    else this.kept.push({ steps: [], before, seen });
    this.wake?.();
  }

  /**
   * The next batch, once there is one, for a follower that has got all before `from`. Undefined when it has ended, and when `from`
   * has moved on, so that the follower has to read up to there.
   */
  async take(from: FeedSnapshot): Promise<FeedBatch | undefined> {
    while (!this.ended && from === this.beginning) {
      const batch = this.kept.shift();
      if (batch) {
        this.count -= batch.steps.length;
        return batch;
      }
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      this.wake = undefined;
    }
    return undefined;
  }

  /** Has to be called when the follower leaves. */
  end(): void {
    this.ended = true;
    this.leave();
    this.wake?.();
  }
}
