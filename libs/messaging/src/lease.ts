import { describeError } from './errors.js';

/** In milliseconds. */
export interface LeaseTiming {
  readonly leaseMs: number;
  readonly renewEveryMs: number;
}

/** Long enough to survive a hiccup, short enough that a standby publishes within 5 s of the leader's death. */
export const LEASE_TIMING: LeaseTiming = { leaseMs: 4000, renewEveryMs: 1000 };

export interface LeaseAnswer {
  /** The fencing token while the lease is ours; it grows with every change of the holder. */
  readonly token: string | undefined;
  /** Whether the outbox has unpublished messages: the safety poll, in the statement that renews. */
  readonly pending: boolean;
}

export interface LeaseStore {
  /** Takes the lease when it is free or expired, renews it when `holder` has it. */
  holdLease(holder: string, leaseMs: number): Promise<LeaseAnswer>;
  releaseLease(holder: string): Promise<void>;
}

/**
 * The right to publish for one schema, held by one relay at a time (P3). The database decides who gets it, by its own clock;
 * the holder believes in it for a shorter time, counted on a monotonic clock from before the renewal was sent, so that a
 * holder that was paused or cut off stops before another begins.
 */
export class Lease {
  private deadline = -Infinity;
  private current: string | undefined;
  private timer: NodeJS.Timeout | undefined;
  private renewal: Promise<void> | undefined;
  private stopped = false;
  private failed: Error | undefined;

  /** `onRenewed` is called after every renewal that left work to do or changed the holder, and after one that failed. */
  constructor(
    private readonly store: LeaseStore,
    private readonly holder: string,
    private readonly onRenewed: () => void,
    private readonly timing = LEASE_TIMING,
  ) {}

  /** The fencing token while the lease is certainly ours, else undefined. Costs no query: ask before every send. */
  get token(): string | undefined {
    return performance.now() < this.deadline ? this.current : undefined;
  }

  /** Why the lease can no longer be renewed: the connection is gone and a new one is needed. */
  get failure(): Error | undefined {
    return this.failed;
  }

  /** Renews now, or joins the renewal under way, and from then on every second. */
  renew(): Promise<void> {
    clearTimeout(this.timer);
    this.renewal ??= this.renewOnce().finally(() => {
      this.renewal = undefined;
      if (!this.stopped && !this.failed) this.timer = setTimeout(() => void this.renew(), this.timing.renewEveryMs);
    });
    return this.renewal;
  }

  private async renewOnce(): Promise<void> {
    const sentAt = performance.now();
    try {
      const before = this.current;
      const { token, pending } = await this.store.holdLease(this.holder, this.timing.leaseMs);
      this.current = token;
      this.deadline = token === undefined ? -Infinity : sentAt + this.timing.leaseMs;
      if (pending || before !== token) this.onRenewed();
    } catch (error) {
      this.failed = new Error(`the relay's lease cannot be renewed: ${describeError(error)}`, { cause: error });
      this.onRenewed();
    }
  }

  /** Ends renewing and hands the lease back, so that a standby takes over at once. */
  async release(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.renewal;
    const held = this.current !== undefined;
    this.deadline = -Infinity;
    this.current = undefined;
    if (held && !this.failed) await this.store.releaseLease(this.holder);
  }
}
