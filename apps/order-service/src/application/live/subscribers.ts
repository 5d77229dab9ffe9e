import { type FeedStep, type SubscriberBatch } from './ports.js';
import { type ResumePoint, Snapshot, type WatchedOrders } from './resume-point.js';

/** In steps. A subscriber that falls further behind must read what it missed from the database. */
const MAX_KEPT = 1000;

/** Buffers steps for one subscriber, which takes them at its own pace. A slow subscriber neither delays others nor fills the memory. */
export class Subscriber {
  private kept: SubscriberBatch[] = [];
  private count = 0;
  private wake: (() => void) | undefined;
  private ended = false;
  /** Everything it does not see is buffered, will be delivered, or was taken. */
  private beginning = Snapshot.NOTHING;
  private latest = Snapshot.NOTHING;

  /** `since` is where a client resumes; undefined for one that does not. */
  constructor(
    readonly watched: WatchedOrders,
    private readonly leave: () => void,
    readonly since?: ResumePoint,
  ) {}

  /** The subscriber must read everything before this snapshot itself. */
  get from(): Snapshot {
    return this.beginning;
  }

  /** Whether nothing more will be delivered, because the subscriber left or the feed cannot continue. */
  get isOver(): boolean {
    return this.ended;
  }

  begin(seen: Snapshot): void {
    this.beginning = seen;
    this.latest = seen;
  }

  deliver(batch: SubscriberBatch): void {
    this.latest = batch.seen;
    this.kept.push(batch);
    this.count += batch.steps.length;
    if (this.count > MAX_KEPT) {
      this.kept = [];
      this.count = 0;
      this.beginning = batch.seen;
    }
    this.wake?.();
  }

  /** Reports that there were no more steps for the subscriber up to here. */
  mark(seen: Snapshot): void {
    const last = this.kept.at(-1);
    const before = this.latest;
    this.latest = seen;
    // Replaced, because marks would pile up for a subscriber that takes none.
    if (last?.steps.length === 0) this.kept.splice(-1, 1, { ...last, seen });
    else this.kept.push({ steps: [], before, seen });
    this.wake?.();
  }

  /**
   * Waits for the next batch, for a subscriber that has received everything before `from`. Returns undefined if it has
   * ended, or if its own `from` has advanced, so that it must read up to there.
   */
  async take(from: Snapshot): Promise<SubscriberBatch | undefined> {
    while (!this.ended && from === this.beginning) {
      const batch = this.kept.shift();
      if (batch) {
        this.count -= batch.steps.length;
        return batch;
      }
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      this.wake = undefined;
    }
    return undefined;
  }

  /** Must be called when the subscriber leaves. */
  end(): void {
    this.ended = true;
    this.leave();
    this.wake?.();
  }
}

/** Indexes subscribers, so that the cost of a step depends on those it matches and not on all. */
export class Subscribers {
  private readonly everybody = new Set<Subscriber>();
  private readonly byOrder = new Map<string, Set<Subscriber>>();
  private readonly byCustomer = new Map<string, Set<Subscriber>>();
  private readonly ofAll = new Set<Subscriber>();

  get size(): number {
    return this.everybody.size;
  }

  add(subscriber: Subscriber): void {
    const { watched } = subscriber;
    this.everybody.add(subscriber);
    if ('orderId' in watched) addTo(this.byOrder, watched.orderId, subscriber);
    else if ('customerId' in watched) addTo(this.byCustomer, watched.customerId, subscriber);
    else this.ofAll.add(subscriber);
  }

  remove(subscriber: Subscriber): void {
    const { watched } = subscriber;
    this.everybody.delete(subscriber);
    if ('orderId' in watched) removeFrom(this.byOrder, watched.orderId, subscriber);
    else if ('customerId' in watched) removeFrom(this.byCustomer, watched.customerId, subscriber);
    else this.ofAll.delete(subscriber);
  }

  distribute(steps: readonly FeedStep[], before: Snapshot, seen: Snapshot): void {
    const batches = new Map<Subscriber, FeedStep[]>();
    for (const step of steps) {
      for (const subscribers of [this.byOrder.get(step.orderId), this.byCustomer.get(step.customerId), this.ofAll])
        for (const subscriber of subscribers ?? []) {
          const own = batches.get(subscriber);
          if (own) own.push(step);
          else batches.set(subscriber, [step]);
        }
    }
    for (const [subscriber, own] of batches) subscriber.deliver({ steps: own, before, seen });
  }

  end(): void {
    for (const subscriber of this.everybody) subscriber.end();
  }

  mark(seen: Snapshot): void {
    for (const subscriber of this.everybody) subscriber.mark(seen);
  }
}

function addTo(sets: Map<string, Set<Subscriber>>, id: string, subscriber: Subscriber): void {
  const set = sets.get(id) ?? new Set();
  sets.set(id, set.add(subscriber));
}

function removeFrom(sets: Map<string, Set<Subscriber>>, id: string, subscriber: Subscriber): void {
  const set = sets.get(id);
  set?.delete(subscriber);
  if (set?.size === 0) sets.delete(id);
}
