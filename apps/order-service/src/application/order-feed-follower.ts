import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { OrderFeed } from './order-feed.js';
import { type FeedPlace, type FeedWalk, isWalkOf, walkFrom, type Watched } from './order-feed-place.js';
import { type FeedSnapshot } from './order-feed-snapshot.js';
import { type FeedPart, type FeedStep, OrderFeedHistory } from './order-feed-store.js';
import { type FeedBatch, type FeedSubscription } from './order-feed-subscription.js';

const AGAIN_MS = 1000;
/**
 * So many transactions ago it becomes cheaper to look at all orders of a customer than at all that was committed since. The one
 * bounds the other: no one's return costs more than their own orders.
 */
const LONG_AGO = 10_000;
/**
 * So many steps are told in one turn, a quarter of a megabyte at most: not before its end is anything sent, and a listener for whom
 * too much waits is cut off.
 */
const SLICE = 100;

/** Whoever is told. Nothing of it throws. */
export interface Listener {
  /** A step; whoever has got it and comes back with `resume` misses nothing. */
  tell(step: FeedStep, resume: FeedPlace): void;
  /** Nothing happened, but who comes back begins here. */
  mark(resume: FeedPlace): void;
  /** Until more can be told: what is told faster than it is heard is kept in memory. */
  ready(): Promise<void>;
  /** No later step can be found from this position. The next subscription reports whether the client can resume. */
  end(): void;
  readonly closed: boolean;
}

/** Where a returning follower was. */
export interface Followed {
  readonly subscription: FeedSubscription;
  /** Undefined: new here. */
  readonly since: FeedPlace | undefined;
}

/** What one listener is told of. */
interface Telling {
  readonly watched: Watched;
  readonly listener: Listener;
  /** Moves on with what was told: after an error it goes on from here. */
  place: FeedPlace;
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
   * Begins to keep what comes. Undefined when `since` is from another database, or from a future or a past that a restored one does
   * not have: from there nothing could be told without loss.
   * @throws FeedClosed, or when the database cannot be read
   */
  async join(watched: Watched, since: FeedPlace | undefined): Promise<Followed | undefined> {
    const subscription = await this.feed.subscribe(watched, since);
    if (!subscription) return undefined;
    const furthest = Math.max(since?.seen.end ?? 0, since?.walk?.upTo.end ?? 0);
    if (furthest <= subscription.from.end) return { subscription, since };
    subscription.end();
    return undefined;
  }

  /**
   * Returns when the listener has left, or when the feed has ended its subscription and the listener with it. The database may go
   * and come back meanwhile. A slow listener receives the steps at its own pace.
   */
  async tell({ subscription, since }: Followed, listener: Listener): Promise<void> {
    const { watched } = subscription;
    let upTo = subscription.from;
    const telling: Telling = { watched, listener, place: since ?? { seen: upTo } };
    if (!since) listener.mark(telling.place);
    // Whoever looks at one order for the first time is told how it is.
    let newest = since === undefined && 'orderId' in watched ? watched.orderId : undefined;
    while (!listener.closed && !subscription.isOver) {
      try {
        if (newest !== undefined) await this.tellNewest(newest, telling);
        newest = undefined;
        await this.catchUp(telling, upTo);
        await tellKept(subscription, upTo, telling);
        upTo = subscription.from;
      } catch (error) {
        this.logger.warn(`A follower of orders cannot catch up yet: ${(error as Error).message}`);
        await delay(AGAIN_MS * (0.5 + Math.random()));
      }
    }
    if (!listener.closed) listener.end();
  }

  private async tellNewest(orderId: string, { place, listener }: Telling): Promise<void> {
    const step = await this.history.newestOf(orderId);
    if (step) listener.tell(step, place);
  }

  /** What is before `upTo`, and perhaps more. */
  private async catchUp(telling: Telling, upTo: FeedSnapshot): Promise<void> {
    const { watched, place } = telling;
    if (place.walk && isWalkOf(watched, place.walk)) await this.walk(telling, place.walk);
    const { seen } = telling.place;
    if (seen === upTo) return;
    if ('orderId' in watched) await this.walk(telling, { ...walkFrom('order', upTo), orderId: watched.orderId });
    else if ('customerId' in watched && upTo.end - seen.end > LONG_AGO)
      await this.walk(telling, walkFrom('customer', upTo));
    else await this.readOn(telling);
  }

  /** In the order of commits. */
  private async readOn(telling: Telling): Promise<void> {
    const { watched, listener } = telling;
    const customerId = 'customerId' in watched ? watched.customerId : undefined;
    for (let isWhole = false; !isWhole && !listener.closed;) {
      const before = telling.place.seen;
      const reading = await this.history.since(before, customerId);
      await tellBatch({ ...reading, before }, listener);
      moveOn(telling, { seen: reading.seen });
      ({ isWhole } = reading);
    }
  }

  /** In the order of orders. Each step's id has the point of the walk, so that who is cut off goes on from there. */
  private async walk(telling: Telling, begin: FeedWalk): Promise<void> {
    const { watched, listener } = telling;
    const { seen } = telling.place;
    for (let walk: FeedWalk | undefined = begin; walk && !listener.closed;) {
      const { upTo, over }: FeedWalk = walk;
      const { steps, next }: FeedPart = await ('customerId' in watched
        ? this.history.ofCustomer(watched.customerId, seen, walk)
        : this.history.ofOrder(walk.orderId, seen, walk));
      await tellSlices(steps, listener, ({ orderId, position }) => ({ seen, walk: { over, upTo, orderId, position } }));
      walk = next && { over, upTo, ...next };
      moveOn(telling, walk ? { seen, walk } : { seen: upTo });
    }
  }
}

/** What the feed has kept, and then what comes: until more has come than is kept, or the listener has left. */
async function tellKept(subscription: FeedSubscription, from: FeedSnapshot, telling: Telling): Promise<void> {
  const { listener, place } = telling;
  const reached = place.seen;
  while (!listener.closed) {
    const batch = await subscription.take(from);
    if (!batch) return;
    // The listener may have read beyond some of what was kept.
    const steps = batch.steps.filter(({ xid }) => !reached.sees(xid));
    await tellBatch({ ...batch, steps }, listener);
    if (batch.seen.end >= telling.place.seen.end) moveOn(telling, { seen: batch.seen });
  }
}

function moveOn(telling: Telling, place: FeedPlace): void {
  // Who has left has not got all of it.
  if (telling.listener.closed) return;
  telling.place = place;
  telling.listener.mark(place);
}

async function tellBatch({ steps, before, seen }: FeedBatch, listener: Listener): Promise<void> {
  const resumes = resumesIn(steps, before, seen);
  await tellSlices(steps, listener, (_, index) => ({ seen: resumes[index] ?? before }));
}

/**
 * What a listener has got after each of the steps. They are in another order than their transactions: it has got all up to one
 * once nothing before that is left to be told.
 */
function resumesIn(steps: readonly FeedStep[], before: FeedSnapshot, seen: FeedSnapshot): FeedSnapshot[] {
  const firstAfter: number[] = [];
  let first = Infinity;
  for (const [index, { xid }] of [...steps.entries()].toReversed()) {
    firstAfter[index] = first;
    first = Math.min(first, xid);
  }
  let resume = before;
  let last = -1;
  return steps.map(({ xid }, index) => {
    if (index === steps.length - 1) return seen;
    // What belongs to a later reading is told early, and once more there.
    if (xid < seen.end) last = Math.max(last, xid);
    if (last >= resume.end && last < (firstAfter[index] ?? 0)) resume = seen.upTo(last);
    return resume;
  });
}

async function tellSlices(
  steps: readonly FeedStep[],
  listener: Listener,
  resume: (step: FeedStep, index: number) => FeedPlace,
): Promise<void> {
  for (const [index, step] of steps.entries()) {
    if (index > 0 && index % SLICE === 0) await listener.ready();
    if (listener.closed) return;
    listener.tell(step, resume(step, index));
  }
  await listener.ready();
}
