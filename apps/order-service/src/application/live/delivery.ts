import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { Feed } from './feed.js';
import { FeedHistory, type FeedStep, type HistoryPage, type SubscriberBatch } from './ports.js';
import { isScanOf, type ResumePoint, type Scan, scanFrom, type Snapshot, type WatchedOrders } from './resume-point.js';
import { type Subscriber } from './subscribers.js';

const AGAIN_MS = 1000;
/** In transactions. Beyond it, reading all orders of a customer is cheaper than all commits, which bounds the cost of a resume. */
const LONG_AGO = 10_000;
/** Steps per turn, a quarter of a megabyte at most: nothing is flushed earlier, and a client with too much buffered is cut off. */
const SLICE = 100;

/** Receives the steps. No member throws. */
export interface Listener {
  /** Sends a step. A client that has received it and resumes from `resume` misses nothing. */
  send(step: FeedStep, resume: ResumePoint): void;
  /** Advances the resume point without a step. */
  mark(resume: ResumePoint): void;
  /** Waits until the client has caught up, because unsent steps are buffered in memory. */
  ready(): Promise<void>;
  /** Ends the stream, because it cannot be continued from here. The client learns whether it can resume when it reconnects. */
  end(): void;
  /** Reports that the client has received what it missed before the stream began. */
  caughtUp(): void;
  readonly closed: boolean;
}

interface Recipient {
  readonly watched: WatchedOrders;
  readonly listener: Listener;
  /** Advances with each step sent, so that an error does not lose it. */
  point: ResumePoint;
}

/** Sends a listener the steps it missed, then new ones, without a gap between the two. */
@Injectable()
export class Delivery {
  private readonly logger = new Logger('OrderFeed');

  constructor(
    private readonly feed: Feed,
    private readonly history: FeedHistory,
  ) {}

  /**
   * Subscribes to new steps. Returns undefined if `since` comes from another database, or from commits that a restored database does
   * not have, because steps might be lost after it.
   * @throws FeedClosed, or an error if the database cannot be read
   */
  async join(watched: WatchedOrders, since: ResumePoint | undefined): Promise<Subscriber | undefined> {
    const subscriber = await this.feed.subscribe(watched, since);
    if (!subscriber) return undefined;
    const furthest = Math.max(since?.seen.end ?? 0, since?.scan?.upTo.end ?? 0);
    if (furthest <= subscriber.from.end) return subscriber;
    subscriber.end();
    return undefined;
  }

  /** Counts the steps that a resuming subscriber missed, up to `limit`. */
  async missed({ watched, since, from }: Subscriber, limit: number): Promise<number> {
    if (!since) return 0;
    const { scan } = since;
    if (!scan || !isScanOf(watched, scan)) return this.missedSince(watched, since.seen, from, limit);
    const inScan = await this.countScan(watched, since.seen, scan, limit);
    return inScan < limit ? inScan + (await this.missedSince(watched, scan.upTo, from, limit)) : inScan;
  }

  private async missedSince(watched: WatchedOrders, seen: Snapshot, upTo: Snapshot, limit: number): Promise<number> {
    const scan = scanInstead(watched, seen, upTo);
    const customerId = 'customerId' in watched ? watched.customerId : undefined;
    return scan ? this.countScan(watched, seen, scan, limit) : this.history.countSince(seen, customerId, limit);
  }

  private countScan(watched: WatchedOrders, seen: Snapshot, scan: Scan, limit: number): Promise<number> {
    return 'customerId' in watched
      ? this.history.countOfCustomer(watched.customerId, seen, scan, limit)
      : this.history.countOfOrder(scan.orderId, seen, scan, limit);
  }

  /** Sends steps at the listener's pace, until it closes or the feed ends the subscription. Survives an outage of the database. */
  async serve(subscriber: Subscriber, listener: Listener): Promise<void> {
    const { watched, since } = subscriber;
    let upTo = subscriber.from;
    const recipient: Recipient = { watched, listener, point: since ?? { seen: upTo } };
    if (!since) listener.mark(recipient.point);
    // A new client of a single order first receives its current state.
    let newest = since === undefined && 'orderId' in watched ? watched.orderId : undefined;
    while (!listener.closed && !subscriber.isOver) {
      try {
        if (newest !== undefined) await this.sendNewest(newest, recipient);
        newest = undefined;
        await this.catchUp(recipient, upTo);
        listener.caughtUp();
        await sendKept(subscriber, upTo, recipient);
        upTo = subscriber.from;
      } catch (error) {
        if (listener.closed || subscriber.isOver) break;
        this.logger.warn(`A client of the order feed cannot catch up yet: ${(error as Error).message}`);
        await delay(AGAIN_MS * (0.5 + Math.random()));
      }
    }
    if (!listener.closed) listener.end();
  }

  private async sendNewest(orderId: string, { point, listener }: Recipient): Promise<void> {
    const step = await this.history.newestOf(orderId);
    if (step) listener.send(step, point);
  }

  /** Sends the steps before `upTo`, and possibly later ones. */
  private async catchUp(recipient: Recipient, upTo: Snapshot): Promise<void> {
    const { watched, point } = recipient;
    if (point.scan && isScanOf(watched, point.scan)) await this.scan(recipient, point.scan);
    const { seen } = recipient.point;
    if (seen === upTo) return;
    const scan = scanInstead(watched, seen, upTo);
    await (scan ? this.scan(recipient, scan) : this.readInCommitOrder(recipient));
  }

  private async readInCommitOrder(recipient: Recipient): Promise<void> {
    const { watched, listener } = recipient;
    const customerId = 'customerId' in watched ? watched.customerId : undefined;
    for (let isWhole = false; !isWhole && !listener.closed;) {
      const before = recipient.point.seen;
      const batch = await this.history.since(before, customerId);
      await sendBatch({ ...batch, before }, listener);
      advance(recipient, { seen: batch.seen });
      ({ isWhole } = batch);
    }
  }

  /** Reads order by order. The id of each step contains the point in the scan, so that a client can resume from there. */
  private async scan(recipient: Recipient, begin: Scan): Promise<void> {
    const { watched, listener } = recipient;
    const { seen } = recipient.point;
    for (let scan: Scan | undefined = begin; scan && !listener.closed;) {
      const { upTo, over }: Scan = scan;
      const { steps, next }: HistoryPage = await ('customerId' in watched
        ? this.history.ofCustomer(watched.customerId, seen, scan)
        : this.history.ofOrder(scan.orderId, seen, scan));
      await sendSlices(steps, listener, ({ orderId, position }) => ({ seen, scan: { over, upTo, orderId, position } }));
      scan = next && { over, upTo, ...next };
      advance(recipient, scan ? { seen, scan } : { seen: upTo });
    }
  }
}

/** Returns the scan that takes the place of reading in commit order, if there is one. */
function scanInstead(watched: WatchedOrders, seen: Snapshot, upTo: Snapshot): Scan | undefined {
  if ('orderId' in watched) return { ...scanFrom('order', upTo), orderId: watched.orderId };
  const isLongAgo = 'customerId' in watched && upTo.end - seen.end > LONG_AGO;
  return isLongAgo ? scanFrom('customer', upTo) : undefined;
}

/** Sends the buffered steps and then new ones, until the buffer overflows or the listener closes. */
async function sendKept(subscriber: Subscriber, from: Snapshot, recipient: Recipient): Promise<void> {
  const { listener, point } = recipient;
  const reached = point.seen;
  while (!listener.closed) {
    const batch = await subscriber.take(from);
    if (!batch) return;
    // Catching up may have covered some of the buffered steps.
    const steps = batch.steps.filter(({ xid }) => !reached.sees(xid));
    await sendBatch({ ...batch, steps }, listener);
    if (batch.seen.end >= recipient.point.seen.end) advance(recipient, { seen: batch.seen });
  }
}

function advance(recipient: Recipient, point: ResumePoint): void {
  // A closed listener has not received all of it.
  if (recipient.listener.closed) return;
  recipient.point = point;
  recipient.listener.mark(point);
}

async function sendBatch({ steps, before, seen }: SubscriberBatch, listener: Listener): Promise<void> {
  const resumes = resumesIn(steps, before, seen);
  await sendSlices(steps, listener, (_, index) => ({ seen: resumes[index] ?? before }));
}

/**
 * Returns what a listener has received after each step. Steps are not in the order of their transactions, so it has received everything
 * up to a transaction once no step of an earlier one is left.
 */
function resumesIn(steps: readonly FeedStep[], before: Snapshot, seen: Snapshot): Snapshot[] {
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
  resume: (step: FeedStep, index: number) => ResumePoint,
): Promise<void> {
  for (const [index, step] of steps.entries()) {
    if (index > 0 && index % SLICE === 0) await listener.ready();
    if (listener.closed) return;
    listener.send(step, resume(step, index));
  }
  await listener.ready();
}
