import { type FeedPlace, type WalkPoint } from './order-feed-place.js';
import { type FeedSnapshot } from './order-feed-snapshot.js';
import { type TimelineStep } from './order-timeline-reader.js';

/** A step as it is told to whoever follows orders. */
export interface FeedStep extends TimelineStep {
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
   * The same of the customer's orders, order by order, beyond `after`. Costs what the customer has, however long ago `seen` was.
   */
  abstract ofCustomer(customerId: string, seen: FeedSnapshot, after: WalkPoint): Promise<FeedPart>;
  /** The same of one order. */
  abstract ofOrder(orderId: string, seen: FeedSnapshot, after: WalkPoint): Promise<FeedPart>;
  /** The order's newest step. */
  abstract newestOf(orderId: string): Promise<FeedStep | undefined>;
}

export interface FeedPart {
  readonly steps: readonly FeedStep[];
  /** Where the next part begins; undefined when there is none. */
  readonly next: WalkPoint | undefined;
}

/** Nobody can follow any more: the service stops. */
export class FeedClosed extends Error {
  constructor() {
    super('The feed of orders is closed');
  }
}

/**
 * The database has lost steps that were already sent: it was restored, a standby without them took over, or the timeline was
 * emptied. What comes next would look like something known, or as if it had been sent.
 */
export class FeedWentBack extends Error {
  constructor() {
    super('The database no longer has steps that were already sent');
  }
}

/** The feed's own connection, and the other replicas. */
export abstract class OrderFeedSource {
  /** All that is committed now counts as seen. */
  abstract now(): Promise<FeedSnapshot>;
  /**
   * The next part of what was committed since.
   * @throws FeedWentBack when the database is not what it was when `now` or `since` was called before
   */
  abstract since(seen: FeedSnapshot): Promise<FeedReading>;
  /** Whether the database has the last step that a returning follower was sent. */
  abstract knows(place: FeedPlace): Promise<boolean>;
  /** Tells the other replicas, soon, that steps were committed. A notice may get lost. Must not throw. */
  abstract announce(): void;
  /** Calls `wake` when another replica announces something. */
  abstract onAnnounced(wake: () => void): void;
  abstract close(): Promise<void>;
}
