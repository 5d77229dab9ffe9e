import { type Watched } from './place.js';
import { FeedSnapshot } from './resume-point.js';
import { type FeedStep } from './ports.js';

/** All steps for a follower that `seen` sees and `before` does not. Without steps, it only reports progress. */
export interface FeedBatch {
  readonly steps: readonly FeedStep[];
  readonly before: FeedSnapshot;
  readonly seen: FeedSnapshot;
}

/** In steps. A follower that falls further behind must read what it missed from the database. */
const MAX_KEPT = 1000;

/** Buffers steps for one follower, which takes them at its own pace. A slow follower neither delays others nor fills the memory. */
export class FeedSubscription {
  private kept: FeedBatch[] = [];
  private count = 0;
  private wake: (() => void) | undefined;
  private ended = false;
  /** Everything it does not see is buffered, will be delivered, or was taken. */
  private beginning = FeedSnapshot.NOTHING;
  private latest = FeedSnapshot.NOTHING;

  constructor(
    readonly watched: Watched,
    private readonly leave: () => void,
  ) {}

  /** The follower must read everything before this snapshot itself. */
  get from(): FeedSnapshot {
    return this.beginning;
  }

  /** Whether nothing more will be delivered, because the follower left or the feed cannot continue. */
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
    if (this.count > MAX_KEPT) {
      this.kept = [];
      this.count = 0;
      this.beginning = batch.seen;
    }
    this.wake?.();
  }

  /** Reports that there were no more steps for the follower up to here. */
  mark(seen: FeedSnapshot): void {
    const last = this.kept.at(-1);
    const before = this.latest;
    this.latest = seen;
    // Replaced, because marks would pile up for a follower that takes none.
    if (last?.steps.length === 0) this.kept.splice(-1, 1, { ...last, seen });
    else this.kept.push({ steps: [], before, seen });
    this.wake?.();
  }

  /**
   * Waits for the next batch, for a follower that has received everything before `from`. Returns undefined if the subscription has
   * ended, or if `from` has advanced and the follower must read up to it.
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

  /** Must be called when the follower leaves. */
  end(): void {
    this.ended = true;
    this.leave();
    this.wake?.();
  }
}
