import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { OrderFeed } from './order-feed.js';
import { type FeedPlace, type FeedWalk, isWalkOf, walkFrom, type Watched } from './order-feed-place.js';
import { type FeedSnapshot } from './order-feed-snapshot.js';
import { type FeedPart, type FeedStep, OrderFeedHistory } from './order-feed-store.js';
import { type FeedBatch, type FeedSubscription } from './order-feed-subscription.js';

const AGAIN_MS = 1000;
/** In transactions. Beyond it, reading all orders of a customer is cheaper than all commits, which bounds the cost of a resume. */
const LONG_AGO = 10_000;
/** Steps per turn, a quarter of a megabyte at most: nothing is flushed earlier, and a client with too much buffered is cut off. */
const SLICE = 100;

/** Receives the steps. No member throws. */
export interface Listener {
  /** Sends a step. A client that has received it and resumes from `resume` misses nothing. */
  tell(step: FeedStep, resume: FeedPlace): void;
  /** Advances the place to resume from without a step. */
  mark(resume: FeedPlace): void;
  /** Waits until the client has caught up, because unsent steps are buffered in memory. */
  ready(): Promise<void>;
  /** Ends the stream, because it cannot be continued from here. The client learns whether it can resume when it reconnects. */
  end(): void;
  readonly closed: boolean;
}

export interface Followed {
  readonly subscription: FeedSubscription;
  /** Undefined for a client that does not resume. */
  readonly since: FeedPlace | undefined;
}

interface Telling {
  readonly watched: Watched;
  readonly listener: Listener;
  /** Advances with each step sent, so that an error does not lose the place. */
  place: FeedPlace;
}

/** Sends a listener the steps it missed, then new ones, without a gap between the two. */
@Injectable()
export class OrderFeedFollower {
  private readonly logger = new Logger('OrderFeed');

  constructor(
    private readonly feed: OrderFeed,
    private readonly history: OrderFeedHistory,
  ) {}

  /**
   * Subscribes to new steps. Returns undefined if `since` comes from another database, or from commits that a restored database does
   * not have, because steps might be lost after it.
   * @throws FeedClosed, or an error if the database cannot be read
   */
  async join(watched: Watched, since: FeedPlace | undefined): Promise<Followed | undefined> {
    const subscription = await this.feed.subscribe(watched, since);
    if (!subscription) return undefined;
    const furthest = Math.max(since?.seen.end ?? 0, since?.walk?.upTo.end ?? 0);
    if (furthest <= subscription.from.end) return { subscription, since };
    subscription.end();
    return undefined;
  }

  /** Sends steps at the listener's pace, until it closes or the feed ends its subscription. Survives an outage of the database. */
  async tell({ subscription, since }: Followed, listener: Listener): Promise<void> {
    const { watched } = subscription;
    let upTo = subscription.from;
    const telling: Telling = { watched, listener, place: since ?? { seen: upTo } };
    if (!since) listener.mark(telling.place);
    // A new client of a single order first receives its current state.
    let newest = since === undefined && 'orderId' in watched ? watched.orderId : undefined;
    while (!listener.closed && !subscription.isOver) {
      try {
        if (newest !== undefined) await this.tellNewest(newest, telling);
        newest = undefined;
        await this.catchUp(telling, upTo);
        await tellKept(subscription, upTo, telling);
        upTo = subscription.from;
      } catch (error) {
        this.logger.warn(`A client of the order feed cannot catch up yet: ${(error as Error).message}`);
        await delay(AGAIN_MS * (0.5 + Math.random()));
      }
    }
    if (!listener.closed) listener.end();
  }

  private async tellNewest(orderId: string, { place, listener }: Telling): Promise<void> {
    const step = await this.history.newestOf(orderId);
    if (step) listener.tell(step, place);
  }

  /** Sends the steps before `upTo`, and possibly later ones. */
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

  /** Reads in commit order. */
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

  /** Reads order by order. The id of each step contains the point in the walk, so that a client can resume from there. */
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

/** Sends the buffered steps and then new ones, until the buffer overflows or the listener closes. */
async function tellKept(subscription: FeedSubscription, from: FeedSnapshot, telling: Telling): Promise<void> {
  const { listener, place } = telling;
  const reached = place.seen;
  while (!listener.closed) {
    const batch = await subscription.take(from);
    if (!batch) return;
    // Catching up may have covered some of the buffered steps.
    const steps = batch.steps.filter(({ xid }) => !reached.sees(xid));
    await tellBatch({ ...batch, steps }, listener);
    if (batch.seen.end >= telling.place.seen.end) moveOn(telling, { seen: batch.seen });
  }
}

function moveOn(telling: Telling, place: FeedPlace): void {
  // A closed listener has not received all of it.
  if (telling.listener.closed) return;
  telling.place = place;
  telling.listener.mark(place);
}

async function tellBatch({ steps, before, seen }: FeedBatch, listener: Listener): Promise<void> {
  const resumes = resumesIn(steps, before, seen);
  await tellSlices(steps, listener, (_, index) => ({ seen: resumes[index] ?? before }));
}

/**
 * Returns what a listener has received after each step. Steps are not in the order of their transactions, so it has received everything
 * up to a transaction once no step of an earlier one is left.
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
    // A step that belongs to a later reading was sent early, and is sent again there.
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
