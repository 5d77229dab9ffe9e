import { type FeedSnapshot } from './resume-point.js';
import { type FeedStep } from './ports.js';
import { type FeedSubscription } from './subscription.js';

/** Indexes subscriptions, so that the cost of a step depends on those it matches and not on all. */
export class OrderFeedFollowers {
  private readonly everybody = new Set<FeedSubscription>();
  private readonly byOrder = new Map<string, Set<FeedSubscription>>();
  private readonly byCustomer = new Map<string, Set<FeedSubscription>>();
  private readonly ofAll = new Set<FeedSubscription>();

  get size(): number {
    return this.everybody.size;
  }

  add(subscription: FeedSubscription): void {
    const { watched } = subscription;
    this.everybody.add(subscription);
    if ('orderId' in watched) addTo(this.byOrder, watched.orderId, subscription);
    else if ('customerId' in watched) addTo(this.byCustomer, watched.customerId, subscription);
    else this.ofAll.add(subscription);
  }

  remove(subscription: FeedSubscription): void {
    const { watched } = subscription;
    this.everybody.delete(subscription);
    if ('orderId' in watched) removeFrom(this.byOrder, watched.orderId, subscription);
    else if ('customerId' in watched) removeFrom(this.byCustomer, watched.customerId, subscription);
    else this.ofAll.delete(subscription);
  }

  /** Delivers to each subscription its steps of those committed between the two snapshots. */
  distribute(steps: readonly FeedStep[], before: FeedSnapshot, seen: FeedSnapshot): void {
    const batches = new Map<FeedSubscription, FeedStep[]>();
    for (const step of steps) {
      for (const followers of [this.byOrder.get(step.orderId), this.byCustomer.get(step.customerId), this.ofAll])
        for (const follower of followers ?? []) {
          const own = batches.get(follower);
          if (own) own.push(step);
          else batches.set(follower, [step]);
        }
    }
    for (const [follower, own] of batches) follower.deliver({ steps: own, before, seen });
  }

  end(): void {
    for (const subscription of this.everybody) subscription.end();
  }

  mark(seen: FeedSnapshot): void {
    for (const subscription of this.everybody) subscription.mark(seen);
  }
}

function addTo(sets: Map<string, Set<FeedSubscription>>, id: string, subscription: FeedSubscription): void {
  const set = sets.get(id) ?? new Set();
  sets.set(id, set.add(subscription));
}

function removeFrom(sets: Map<string, Set<FeedSubscription>>, id: string, subscription: FeedSubscription): void {
  const set = sets.get(id);
  set?.delete(subscription);
  if (set?.size === 0) sets.delete(id);
}
