import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { OrderChanges } from './order-changes.js';
import { type FeedSnapshot } from './order-feed-snapshot.js';
import { type FeedStep, OrderFeedSource } from './order-feed-store.js';
import { FeedSubscription, type Watched } from './order-feed-subscription.js';

/** For notices that got lost, or never arrive (a pooler in transaction mode). */
const POLL_MS = 1000;
/** Between two readings: what is committed meanwhile goes together. */
const PACE_MS = 5;
/** How often a follower that gets nothing learns how far the feed has come, so that a resume after hours is short. */
const MARK_EVERY_MS = 15_000;
const MOST_BACK_OFF_MS = 3000;

/**
 * Tells followers of orders what happens to them, within milliseconds of the commit. One reading serves all followers of the
 * process, on one connection. It reads only while there are any: an idle process asks the database nothing.
 *
 * While the database is away the followers wait, and then get all that they missed.
 */
@Injectable()
export class OrderFeed extends OrderChanges implements OnApplicationShutdown {
  private readonly logger = new Logger('OrderFeed');
  private readonly everybody = new Set<FeedSubscription>();
  private readonly byOrder = new Followers();
  private readonly byCustomer = new Followers();
  private readonly ofAll = new Set<FeedSubscription>();
  private joining: Joining[] = [];
  private seen: FeedSnapshot | undefined;
  private running: Promise<void> | undefined;
  private wakeUp: (() => void) | undefined;
  private isWoken = false;
  private stopping = false;
  private failures = 0;
  private markAt = 0;

  constructor(private readonly source: OrderFeedSource) {
    super();
    source.onAnnounced(() => this.wake());
  }

  override committed(): void {
    this.wake();
    this.source.announce();
  }

  /**
   * Follows what is committed from now on. The subscription has to be ended.
   * @throws when the database cannot be read
   */
  async subscribe(watched: Watched): Promise<FeedSubscription> {
    const subscription = new FeedSubscription(watched, () => this.remove(subscription));
    const joined = new Promise<void>((resolve, reject) => this.joining.push({ subscription, resolve, reject }));
    this.wake();
    this.running ??= this.run();
    await joined;
    return subscription;
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopping = true;
    this.wake();
    await this.running;
    await this.source.close();
  }

  private wake(): void {
    this.isWoken = true;
    this.wakeUp?.();
  }

  private async run(): Promise<void> {
    while (!this.stopping && this.everybody.size + this.joining.length > 0) {
      const { joining } = this;
      this.joining = [];
      this.isWoken = false;
      try {
        const isWhole = await this.read();
        this.failures = 0;
        if (!isWhole) {
          this.joining.unshift(...joining);
          continue;
        }
        for (const { subscription, resolve } of joining) {
          this.add(subscription);
          resolve();
        }
        await this.pause(PACE_MS, { wakeable: false });
        await this.pause(POLL_MS);
      } catch (error) {
        // Those too who came meanwhile: the next try may take as long.
        for (const { reject } of [...joining, ...this.joining.splice(0)]) reject(error as Error);
        await this.backOff(error);
      }
    }
    // Nobody follows: what happens now is nobody's.
    this.seen = undefined;
    this.running = undefined;
    for (const { reject } of this.joining.splice(0)) reject(new Error('The service stops'));
  }

  /** False when there is more to be read. */
  private async read(): Promise<boolean> {
    const before = this.seen;
    if (!before) {
      this.seen = await this.source.now();
      return true;
    }
    const { steps, seen, isWhole } = await this.source.since(before);
    this.seen = seen;
    this.deal(steps, before, seen);
    if (performance.now() >= this.markAt) {
      this.markAt = performance.now() + MARK_EVERY_MS;
      for (const subscription of this.everybody) subscription.mark(seen);
    }
    return isWhole;
  }

  private deal(steps: readonly FeedStep[], before: FeedSnapshot, seen: FeedSnapshot): void {
    const dealt = new Map<FeedSubscription, FeedStep[]>();
    for (const step of steps) {
      for (const followers of [this.byOrder.of(step.orderId), this.byCustomer.of(step.customerId), this.ofAll])
        for (const follower of followers) {
          const own = dealt.get(follower);
          if (own) own.push(step);
          else dealt.set(follower, [step]);
        }
    }
    for (const [follower, own] of dealt) follower.deliver({ steps: own, before, seen });
  }

  private add(subscription: FeedSubscription): void {
    const { watched } = subscription;
    if (this.seen) subscription.begin(this.seen);
    this.everybody.add(subscription);
    if ('orderId' in watched) this.byOrder.add(watched.orderId, subscription);
    else if ('customerId' in watched) this.byCustomer.add(watched.customerId, subscription);
    else this.ofAll.add(subscription);
  }

  private remove(subscription: FeedSubscription): void {
    const { watched } = subscription;
    this.everybody.delete(subscription);
    if ('orderId' in watched) this.byOrder.delete(watched.orderId, subscription);
    else if ('customerId' in watched) this.byCustomer.delete(watched.customerId, subscription);
    else this.ofAll.delete(subscription);
    if (this.everybody.size === 0) this.wake();
  }

  private async backOff(error: unknown): Promise<void> {
    const waitMs = Math.min(MOST_BACK_OFF_MS, 100 * 2 ** Math.min(this.failures++, 10)) * (0.5 + Math.random() / 2);
    this.logger.warn(`Followers of orders wait: ${(error as Error).message}. Trying again in ${Math.round(waitMs)} ms`);
    await this.pause(waitMs);
  }

  private async pause(ms: number, { wakeable } = { wakeable: true }): Promise<void> {
    if (this.stopping || (wakeable && this.isWoken)) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      if (wakeable) {
        this.wakeUp = () => {
          clearTimeout(timer);
          resolve();
        };
      }
    });
    this.wakeUp = undefined;
  }
}

/** A follower that is one once all was read that is there now. */
interface Joining {
  readonly subscription: FeedSubscription;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

class Followers {
  private readonly sets = new Map<string, Set<FeedSubscription>>();

  of(id: string): Iterable<FeedSubscription> {
    return this.sets.get(id) ?? [];
  }

  add(id: string, subscription: FeedSubscription): void {
    const set = this.sets.get(id) ?? new Set();
    this.sets.set(id, set.add(subscription));
  }

  delete(id: string, subscription: FeedSubscription): void {
    const set = this.sets.get(id);
    set?.delete(subscription);
    if (set?.size === 0) this.sets.delete(id);
  }
}
