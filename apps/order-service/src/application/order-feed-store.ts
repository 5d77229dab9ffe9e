import { type FeedSnapshot } from './order-feed-snapshot.js';
import { type Step } from './order-timeline.js';

/** A step as it is told to whoever follows orders. */
export interface FeedStep extends Step {
  /** Grows within an order from step to step; exact up to 2^53. */
  readonly position: number;
  readonly orderId: string;
  readonly customerId: string;
  /** The transaction that wrote it. */
  readonly xid: number;
}

/** Steps that were committed since a snapshot, those of one order in their order. */
export interface FeedReading {
  readonly steps: readonly FeedStep[];
  /** What the reader has got with them. */
  readonly seen: FeedSnapshot;
  /** There were no more of them. */
  readonly isWhole: boolean;
}

/** What a follower missed, read on the service's pool, a part at a time. */
export abstract class OrderFeedHistory {
  /**
   * The next part of all steps that `seen` does not see, or of one customer's. Costs what was committed since, whoever's it was.
   */
  abstract since(seen: FeedSnapshot, customerId: string | undefined): Promise<FeedReading>;
  /**
   * The same of the customer's orders beyond `after`, order by order. Costs what the customer has, however long ago `seen` was.
   */
  abstract ofCustomer(customerId: string, seen: FeedSnapshot, after: string | undefined): Promise<FeedPart<string>>;
  /** The same of one order, beyond the position `after`. */
  abstract ofOrder(orderId: string, seen: FeedSnapshot, after: number | undefined): Promise<FeedPart<number>>;
  /** The order's newest step. */
  abstract newestOf(orderId: string): Promise<FeedStep | undefined>;
}

export interface FeedPart<After> {
  readonly steps: readonly FeedStep[];
  /** Where the next part begins; undefined when there is none. */
  readonly next: After | undefined;
}

/** The feed's own connection, and the other replicas. */
export abstract class OrderFeedSource {
  /** All that is committed now counts as seen. */
  abstract now(): Promise<FeedSnapshot>;
  /** The next part of what was committed since. */
  abstract since(seen: FeedSnapshot): Promise<FeedReading>;
  /** Tells the other replicas, soon, that steps were committed. A notice may get lost. Must not throw. */
  abstract announce(): void;
  /** Calls `wake` when another replica announces something. */
  abstract onAnnounced(wake: () => void): void;
  abstract close(): Promise<void>;
}
