import { type StoredStep } from '../order-timeline.js';
import { type ResumePoint, type ScanPosition, type Snapshot } from './resume-point.js';

export interface FeedStep extends StoredStep {
  readonly orderId: string;
  readonly customerId: string;
  /** The transaction that wrote it. */
  readonly xid: number;
}

/** Steps committed since a snapshot. The steps of one order are in order. */
export interface FeedBatch {
  readonly steps: readonly FeedStep[];
  /** What the reader has received, including these steps. */
  readonly seen: Snapshot;
  /** Whether there were no more steps. */
  readonly isWhole: boolean;
}

/** All steps for a subscriber that `seen` sees and `before` does not. Without steps, it only reports progress. */
export interface SubscriberBatch {
  readonly steps: readonly FeedStep[];
  readonly before: Snapshot;
  readonly seen: Snapshot;
}

/** Reads what a subscriber missed, in parts, on the service's pool. */
export abstract class FeedHistory {
  /** Reads the next part of the steps that `seen` does not see, of all or of one customer. The cost depends on all commits since. */
  abstract since(seen: Snapshot, customerId: string | undefined): Promise<FeedBatch>;
  /** The same order by order, beyond `after`. The cost depends on the customer's orders, not on the age of `seen`. */
  abstract ofCustomer(customerId: string, seen: Snapshot, after: ScanPosition): Promise<HistoryPage>;
  abstract ofOrder(orderId: string, seen: Snapshot, after: ScanPosition): Promise<HistoryPage>;
  abstract newestOf(orderId: string): Promise<FeedStep | undefined>;
  /** Counts the steps that {@link since} would read, up to `limit`. */
  abstract countSince(seen: Snapshot, customerId: string | undefined, limit: number): Promise<number>;
  /** Counts the steps that {@link ofCustomer} would read, up to `limit`. More than `limit` orders count as that many steps. */
  abstract countOfCustomer(customerId: string, seen: Snapshot, after: ScanPosition, limit: number): Promise<number>;
  abstract countOfOrder(orderId: string, seen: Snapshot, after: ScanPosition, limit: number): Promise<number>;
}

export interface HistoryPage {
  readonly steps: readonly FeedStep[];
  /** Where the next part begins; undefined if there is none. */
  readonly next: ScanPosition | undefined;
}

export class FeedClosed extends Error {
  constructor() {
    super('The order feed is closed because the service is stopping');
  }
}

/**
 * The database was restored, failed over to a standby that lacks some steps, or had its timeline truncated. New steps might reuse the
 * positions or transaction ids of lost ones, and would be mistaken for steps already sent.
 */
export class FeedWentBack extends Error {
  constructor() {
    super('The database no longer has steps that were already sent');
  }
}

/** Reads on the feed's own connection, and exchanges notices with the other replicas. */
export abstract class FeedSource {
  abstract now(): Promise<Snapshot>;
  /** Reads the next part. Throws FeedWentBack if the database lost commits, or was replaced, since the last call of `now` or `since`. */
  abstract since(seen: Snapshot): Promise<FeedBatch>;
  /** Whether the database has the last step that the resuming subscriber received. */
  abstract knows(point: ResumePoint): Promise<boolean>;
  /** Soon notifies the other replicas of committed steps. A notice may get lost. Must not throw. */
  abstract announce(): void;
  abstract onAnnounced(wake: () => void): void;
  /** Notifies the other replicas that a ticket, named by its hash, was used again. Otherwise like {@link announce}. */
  abstract announceTicketUsed(hash: string, use: number): void;
  abstract onTicketUsed(listener: (hash: string, use: number) => void): void;
  abstract close(): Promise<void>;
}
