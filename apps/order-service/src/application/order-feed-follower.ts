import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { OrderFeed } from './order-feed.js';
import { type FeedSnapshot } from './order-feed-snapshot.js';
import { type FeedReading, type FeedStep, OrderFeedHistory } from './order-feed-store.js';
import { type FeedBatch, type FeedReceiver, type FeedSubscription, type Watched } from './order-feed-subscription.js';

const AGAIN_MS = 1000;
/**
 * So many transactions ago it becomes cheaper to look at all orders of a customer than at all that was committed since. The one
 * bounds the other: no one's return costs more than their own orders.
 */
const LONG_AGO = 10_000;

/** Whoever is told. Nothing of it throws. */
export interface Listener {
  /** A step; whoever has got it and comes back with `resume` misses nothing. */
  tell(step: FeedStep, resume: FeedSnapshot): void;
  /** Nothing happened, but who comes back begins here. */
  mark(resume: FeedSnapshot): void;
  /** Until more can be told: what is told faster than it is heard is kept in memory. */
  ready(): Promise<void>;
  readonly closed: boolean;
}

/** Where a returning follower was. */
export interface Followed {
  readonly subscription: FeedSubscription;
  /** Undefined: new here. */
  readonly since: FeedSnapshot | undefined;
}

/** Tells one listener what happens to orders: first what it missed, then what comes, without a hole between the two. */
@Injectable()
export class OrderFeedFollower {
  private readonly logger = new Logger('OrderFeed');

  constructor(
    private readonly feed: OrderFeed,
    private readonly history: OrderFeedHistory,
  ) {}

  /**
   * Begins to keep what comes. Undefined when `since` is from another database, or from a future that a restored one has not
   * reached: from there nothing could be told without loss.
   * @throws when the database cannot be read
   */
  async join(watched: Watched, since: FeedSnapshot | undefined): Promise<Followed | undefined> {
    const subscription = await this.feed.subscribe(watched);
    if (since === undefined || since.end <= subscription.from.end) return { subscription, since };
    subscription.end();
    return undefined;
  }

  /** Returns when the listener has caught up, and is told the rest by the feed. The database may go and come back meanwhile. */
  async tell({ subscription, since }: Followed, listener: Listener): Promise<void> {
    const { watched } = subscription;
    const receiver = receiverOf(listener);
    let upTo = subscription.from;
    let seen = since ?? upTo;
    if (!since) listener.mark(seen);
    // Whoever looks at one order for the first time is told how it is.
    let newest = since === undefined && 'orderId' in watched ? watched.orderId : undefined;
    while (!listener.closed) {
      try {
        if (newest !== undefined) await this.tellNewest(newest, seen, listener);
        newest = undefined;
        if (seen !== upTo) seen = await this.catchUp(subscription, seen, upTo, listener);
        if (subscription.goLive(upTo, seen, receiver)) return;
        upTo = subscription.from;
      } catch (error) {
        this.logger.warn(`A follower of orders cannot catch up yet: ${(error as Error).message}`);
        await delay(AGAIN_MS * (0.5 + Math.random()));
      }
    }
  }

  private async tellNewest(orderId: string, seen: FeedSnapshot, listener: Listener): Promise<void> {
    const step = await this.history.newestOf(orderId);
    if (step) listener.tell(step, seen);
  }

  private async catchUp(
    { watched }: FeedSubscription,
    since: FeedSnapshot,
    upTo: FeedSnapshot,
    listener: Listener,
  ): Promise<FeedSnapshot> {
    if ('orderId' in watched)
      return this.tellParts(since, upTo, listener, (after?: number) =>
        this.history.ofOrder(watched.orderId, since, after),
      );
    const customerId = 'customerId' in watched ? watched.customerId : undefined;
    if (customerId !== undefined && upTo.end - since.end > LONG_AGO)
      return this.tellParts(since, upTo, listener, (after?: string) =>
        this.history.ofCustomer(customerId, since, after),
      );

    let seen = since;
    for (let reading: FeedReading | undefined; !reading?.isWhole && !listener.closed;) {
      reading = await this.history.since(seen, customerId);
      tellBatch({ steps: reading.steps, before: seen, seen: reading.seen }, listener);
      ({ seen } = reading);
      listener.mark(seen);
      await listener.ready();
    }
    return seen;
  }

  /** In the order of something else than commits: who leaves before the end begins anew. */
  private async tellParts<After>(
    since: FeedSnapshot,
    upTo: FeedSnapshot,
    listener: Listener,
    read: (after?: After) => Promise<{ steps: readonly FeedStep[]; next: After | undefined }>,
  ): Promise<FeedSnapshot> {
    let after: After | undefined;
    do {
      const { steps, next } = await read(after);
      for (const step of steps) listener.tell(step, since);
      await listener.ready();
      after = next;
    } while (after !== undefined && !listener.closed);
    return upTo;
  }
}

function receiverOf(listener: Listener): FeedReceiver {
  return { take: (batch) => tellBatch(batch, listener), mark: (seen) => listener.mark(seen) };
}

/** Only with the last of its steps a batch is behind the listener. */
function tellBatch({ steps, before, seen }: FeedBatch, listener: Listener): void {
  for (const [index, step] of steps.entries()) listener.tell(step, index === steps.length - 1 ? seen : before);
}
