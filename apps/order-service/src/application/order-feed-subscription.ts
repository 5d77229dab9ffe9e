import { FeedSnapshot } from './order-feed-snapshot.js';
import { type FeedStep } from './order-feed-store.js';

/** One order, one customer's orders, or all. */
export type Watched = { readonly orderId: string } | { readonly customerId: string } | { readonly all: true };

/** Steps of a follower's that were committed after `before`, all that `seen` sees beyond it. */
export interface FeedBatch {
  readonly steps: readonly FeedStep[];
  readonly before: FeedSnapshot;
  readonly seen: FeedSnapshot;
}

/** Where a follower's steps go once it has caught up. */
export interface FeedReceiver {
  take(batch: FeedBatch): void;
  /** There was nothing of theirs up to here. */
  mark(seen: FeedSnapshot): void;
}

/** Batches are kept for a follower that catches up until there are so many steps; then it has to catch up once more. */
const MOST_KEPT = 1000;

/** What the feed has for one follower: kept while the follower reads what it missed before, and then handed on at once. */
export class FeedSubscription {
  private kept: FeedBatch[] = [];
  private count = 0;
  private receiver: FeedReceiver | undefined;
  /** Everything that it does not see will be handed on, or is kept. */
  private beginning = FeedSnapshot.NOTHING;
  private latest = FeedSnapshot.NOTHING;

  constructor(
    readonly watched: Watched,
    /** Has to be called when the follower leaves. */
    readonly end: () => void,
  ) {}

  /** What is before it, the follower has to read for itself. */
  get from(): FeedSnapshot {
    return this.beginning;
  }

  begin(seen: FeedSnapshot): void {
    this.beginning = seen;
    this.latest = seen;
  }

  deliver(batch: FeedBatch): void {
    this.latest = batch.seen;
    if (this.receiver) return this.receiver.take(batch);
    this.kept.push(batch);
    this.count += batch.steps.length;
    if (this.count <= MOST_KEPT) return;
    this.kept = [];
    this.count = 0;
    this.beginning = batch.seen;
  }

  mark(seen: FeedSnapshot): void {
    this.latest = seen;
    this.receiver?.mark(seen);
  }

  /**
   * Hands on what was kept, and from now on what comes. `reached`: what the follower has got by itself. False when too much has come
   * meanwhile, so that the follower has to go on catching up, to the new {@link from}.
   */
  goLive(caughtUpTo: FeedSnapshot, reached: FeedSnapshot, receiver: FeedReceiver): boolean {
    if (caughtUpTo !== this.beginning) return false;
    for (const { steps, ...batch } of this.kept) {
      const missed = steps.filter(({ xid }) => !reached.sees(xid));
      if (missed.length > 0) receiver.take({ ...batch, steps: missed });
    }
    this.kept = [];
    receiver.mark(this.latest.end > reached.end ? this.latest : reached);
    this.receiver = receiver;
    return true;
  }
}
