import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { OrderFeed } from './feed.js';
import { type FeedPlace, type FeedWalk, isWalkOf, walkFrom, type Watched } from './place.js';
import { type FeedSnapshot } from './resume-point.js';
import { type FeedPart, type FeedStep, OrderFeedHistory } from './ports.js';
import { type FeedBatch, type FeedSubscription } from './subscription.js';

const AGAIN_MS = 1000;
/** In transactions. Beyond it, reading all orders of a customer is cheaper than all commits, which bounds the cost of a resume. */
const LONG_AGO = 10_000;
/** Steps per turn, a quarter of a megabyte at most: nothing is flushed earlier, and a client with too much buffered is cut off. */
const SLICE = 100;

/** Receives the steps. No member throws. */
export interface Listener {
  /** Sends a step. A client that has received it and resumes from `resume` misses nothing. */
  send(step: FeedStep, resume: FeedPlace): void;
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

interface Delivery {
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
  async serve({ subscription, since }: Followed, listener: Listener): Promise<void> {
    const { watched } = subscription;
    let upTo = subscription.from;
    const delivery: Delivery = { watched, listener, place: since ?? { seen: upTo } };
    if (!since) listener.mark(delivery.place);
    // A new client of a single order first receives its current state.
    let newest = since === undefined && 'orderId' in watched ? watched.orderId : undefined;
    while (!listener.closed && !subscription.isOver) {
      try {
        if (newest !== undefined) await this.sendNewest(newest, delivery);
        newest = undefined;
        await this.catchUp(delivery, upTo);
        await sendKept(subscription, upTo, delivery);
        upTo = subscription.from;
      } catch (error) {
        this.logger.warn(`A client of the order feed cannot catch up yet: ${(error as Error).message}`);
        await delay(AGAIN_MS * (0.5 + Math.random()));
      }
    }
    if (!listener.closed) listener.end();
  }

  private async sendNewest(orderId: string, { place, listener }: Delivery): Promise<void> {
    const step = await this.history.newestOf(orderId);
    if (step) listener.send(step, place);
  }

  /** Sends the steps before `upTo`, and possibly later ones. */
  private async catchUp(delivery: Delivery, upTo: FeedSnapshot): Promise<void> {
    const { watched, place } = delivery;
    if (place.walk && isWalkOf(watched, place.walk)) await this.walk(delivery, place.walk);
    const { seen } = delivery.place;
    if (seen === upTo) return;
    if ('orderId' in watched) await this.walk(delivery, { ...walkFrom('order', upTo), orderId: watched.orderId });
    else if ('customerId' in watched && upTo.end - seen.end > LONG_AGO)
      await this.walk(delivery, walkFrom('customer', upTo));
    else await this.readCommits(delivery);
  }

  /** Reads in commit order. */
  private async readCommits(delivery: Delivery): Promise<void> {
    const { watched, listener } = delivery;
    const customerId = 'customerId' in watched ? watched.customerId : undefined;
    for (let isWhole = false; !isWhole && !listener.closed;) {
      const before = delivery.place.seen;
      const reading = await this.history.since(before, customerId);
      await sendBatch({ ...reading, before }, listener);
      advance(delivery, { seen: reading.seen });
      ({ isWhole } = reading);
    }
  }

  /** Reads order by order. The id of each step contains the point in the walk, so that a client can resume from there. */
  private async walk(delivery: Delivery, begin: FeedWalk): Promise<void> {
    const { watched, listener } = delivery;
    const { seen } = delivery.place;
    for (let walk: FeedWalk | undefined = begin; walk && !listener.closed;) {
      const { upTo, over }: FeedWalk = walk;
      const { steps, next }: FeedPart = await ('customerId' in watched
        ? this.history.ofCustomer(watched.customerId, seen, walk)
        : this.history.ofOrder(walk.orderId, seen, walk));
      await sendSlices(steps, listener, ({ orderId, position }) => ({ seen, walk: { over, upTo, orderId, position } }));
      walk = next && { over, upTo, ...next };
      advance(delivery, walk ? { seen, walk } : { seen: upTo });
    }
  }
}

/** Sends the buffered steps and then new ones, until the buffer overflows or the listener closes. */
async function sendKept(subscription: FeedSubscription, from: FeedSnapshot, delivery: Delivery): Promise<void> {
  const { listener, place } = delivery;
  const reached = place.seen;
  while (!listener.closed) {
    const batch = await subscription.take(from);
    if (!batch) return;
    // Catching up may have covered some of the buffered steps.
    const steps = batch.steps.filter(({ xid }) => !reached.sees(xid));
    await sendBatch({ ...batch, steps }, listener);
    if (batch.seen.end >= delivery.place.seen.end) advance(delivery, { seen: batch.seen });
  }
}

function advance(delivery: Delivery, place: FeedPlace): void {
  // A closed listener has not received all of it.
  if (delivery.listener.closed) return;
  delivery.place = place;
  delivery.listener.mark(place);
}

async function sendBatch({ steps, before, seen }: FeedBatch, listener: Listener): Promise<void> {
  const resumes = resumesIn(steps, before, seen);
  await sendSlices(steps, listener, (_, index) => ({ seen: resumes[index] ?? before }));
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

async function sendSlices(
  steps: readonly FeedStep[],
  listener: Listener,
  resume: (step: FeedStep, index: number) => FeedPlace,
): Promise<void> {
  for (const [index, step] of steps.entries()) {
    if (index > 0 && index % SLICE === 0) await listener.ready();
    if (listener.closed) return;
    listener.send(step, resume(step, index));
  }
  await listener.ready();
}
