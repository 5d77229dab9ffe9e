import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { StepListener } from '../order-store.js';
import { FeedClosed, FeedSource, FeedWentBack } from './ports.js';
import { type ResumePoint, type Snapshot, type WatchedOrders } from './resume-point.js';
import { Subscriber, Subscribers } from './subscribers.js';

/** Covers notices that got lost or never arrive, as behind a pooler in transaction mode. */
const POLL_MS = 1000;
/** Between two readings, so that commits are read together. */
const PACE_MS = 5;
/** How often an idle subscriber gets a new resume point, so that a resume after hours is short. */
const MARK_EVERY_MS = 15_000;
const MAX_BACK_OFF_MS = 1000;

/**
 * Delivers steps to subscribers within milliseconds of the commit. One reading on one connection serves all subscribers of the process. A
 * process without subscribers sends no queries.
 *
 * While the database is down, subscribers wait, and then receive all they missed. If it comes back without steps that were already sent,
 * all subscriptions end, so that clients start again instead of waiting for steps that they take for received.
 */
@Injectable()
export class Feed extends StepListener implements OnApplicationShutdown {
  private readonly logger = new Logger('OrderFeed');
  private readonly subscribers = new Subscribers();
  private joining: Joining[] = [];
  private seen: Snapshot | undefined;
  private running: Promise<void> | undefined;
  private wakeUp: (() => void) | undefined;
  private isWoken = false;
  /** Set from a failed reading until the next attempt. */
  private readError: Error | undefined;
  private stopping = false;
  private failures = 0;
  private markAt = 0;

  constructor(private readonly source: FeedSource) {
    super();
    source.onAnnounced(() => this.wake());
  }

  override committed(): void {
    this.wake();
    this.source.announce();
  }

  /**
   * Follows what is committed from now on. The subscriber must be ended. Returns undefined if the database does not know `since`.
   * @throws FeedClosed, or an error if the database cannot be read
   */
  async subscribe(watched: WatchedOrders, since?: ResumePoint): Promise<Subscriber | undefined> {
    if (this.stopping) throw new FeedClosed();
    // Fails fast instead of waiting for the next attempt and its outcome.
    if (this.readError) throw this.readError;
    const subscriber = new Subscriber(watched, () => this.remove(subscriber), since);
    const joined = new Promise<void>((resolve, reject) => this.joining.push({ subscriber, resolve, reject }));
    this.wake();
    this.running ??= this.run();
    await joined;
    if (!since) return subscriber;
    try {
      if (await this.source.knows(since)) return subscriber;
    } catch (error) {
      subscriber.end();
      throw error;
    }
    subscriber.end();
    return undefined;
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
    while (!this.stopping && this.subscribers.size + this.joining.length > 0) {
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
        for (const { subscriber, resolve } of joining) {
          if (this.seen) subscriber.begin(this.seen);
          this.subscribers.add(subscriber);
          resolve();
        }
        await this.pause(PACE_MS, 'shutdown');
        await this.pause(POLL_MS, 'a wake-up');
      } catch (error) {
        if (error instanceof FeedWentBack) {
          this.restart(error);
          this.joining.unshift(...joining);
          continue;
        }
        // Includes those that joined meanwhile, because the next attempt may take as long.
        for (const { reject } of [...joining, ...this.joining.splice(0)]) reject(error as Error);
        await this.backOff(error);
      }
    }
    // Steps committed while there are no subscribers need not be read.
    this.seen = undefined;
    this.running = undefined;
    for (const { reject } of this.joining.splice(0)) reject(new FeedClosed());
  }

  /** Returns false if there is more to read. */
  private async read(): Promise<boolean> {
    const before = this.seen;
    if (!before) {
      this.seen = await this.source.now();
      return true;
    }
    const { steps, seen, isWhole } = await this.source.since(before);
    this.seen = seen;
    this.subscribers.distribute(steps, before, seen);
    if (performance.now() >= this.markAt) {
      this.markAt = performance.now() + MARK_EVERY_MS;
      this.subscribers.mark(seen);
    }
    return isWhole;
  }

  private restart({ message }: FeedWentBack): void {
    this.logger.warn(`${message}. Closing ${this.subscribers.size} streams so that their clients reload.`);
    this.seen = undefined;
    this.subscribers.end();
  }

  private remove(subscriber: Subscriber): void {
    this.subscribers.remove(subscriber);
    if (this.subscribers.size === 0) this.wake();
  }

  private async backOff(error: unknown): Promise<void> {
    const waitMs = Math.min(MAX_BACK_OFF_MS, 100 * 2 ** Math.min(this.failures++, 10)) * (0.5 + Math.random() / 2);
    this.logger.warn(`Cannot read the order feed: ${(error as Error).message}. Retrying in ${Math.round(waitMs)} ms.`);
    this.readError = error as Error;
    // Commits must not cut this short, or a failing database would never be left alone.
    await this.pause(waitMs, 'shutdown');
    this.readError = undefined;
  }

  private async pause(ms: number, unless: 'a wake-up' | 'shutdown'): Promise<void> {
    const isOver = () => this.stopping || (unless === 'a wake-up' && this.isWoken);
    if (isOver()) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wakeUp = () => {
        if (!isOver()) return;
        clearTimeout(timer);
        resolve();
      };
    });
    this.wakeUp = undefined;
  }
}

/** A subscriber that joins once everything committed now has been read. */
interface Joining {
  readonly subscriber: Subscriber;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}
