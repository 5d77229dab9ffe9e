import { type Cursor } from './cursor.js';
import { describeError } from './errors.js';
import { type Incident } from './incidents.js';

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
  /** Whether the outbox has messages beyond what the lease row calls published: the safety poll, in the statement that renews. */
  readonly pending: boolean;
  /** What is published, as the lease row has it now; given with a token. */
  readonly progress?: Cursor;
  /** What the database keeps for later, and is due: whoever works it off is woken, and polls no more than this. */
  readonly due: DueNow;
}

export interface DueNow {
  /** Messages parked in the inbox are due. */
  readonly parked: boolean;
  /** There are parked messages, due or not. */
  readonly anyParked: boolean;
  readonly jobs: boolean;
  /** The number of the last thing that a person did to a dead letter. */
  readonly lastAction: string | undefined;
  /** The incidents that nobody has acknowledged. */
  readonly incidents: readonly Incident[];
}

export interface LeaseStore {
  /**
   * Takes the lease when it is free or expired, renews it when `holder` has it, and then records its `progress`. Without a
   * holder it only looks at what is due.
   */
  holdLease(holder: string | undefined, leaseMs: number, progress?: Cursor): Promise<LeaseAnswer>;
  releaseLease(holder: string, progress?: Cursor): Promise<void>;
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
  private again = false;
  /** What is published in this term; its holder sets it, every renewal records it. Undefined while another leads. */
  progress: Cursor | undefined;

  /**
   * `onRenewed` is called after every renewal, with its answer, and after one that failed. Without a holder the lease is
   * never ours.
   */
  constructor(
    private readonly store: LeaseStore,
    private readonly holder: string | undefined,
    private readonly onRenewed: (answer: LeaseAnswer | undefined) => void,
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

  /** Renews now, or once more after the renewal under way, whose statement may not know yet; then every second. */
  renew(): Promise<void> {
    clearTimeout(this.timer);
    if (this.renewal) this.again = true;
    this.renewal ??= this.renewUntilCurrent().finally(() => {
      this.renewal = undefined;
    });
    return this.renewal;
  }

  private async renewUntilCurrent(): Promise<void> {
    let sentAt: number;
    do {
      this.again = false;
      sentAt = performance.now();
      await this.renewOnce(sentAt);
    } while (this.again && !this.stopped && !this.failed);
    if (this.stopped || this.failed) return;
    // Counted from the sending: a slow answer does not stretch the time between two renewals.
    const waitMs = Math.max(0, sentAt + this.timing.renewEveryMs - performance.now());
    this.timer = setTimeout(() => void this.renew(), waitMs);
  }

  private async renewOnce(sentAt: number): Promise<void> {
    try {
      const before = this.current;
      const answer = await this.store.holdLease(this.holder, this.timing.leaseMs, this.progress);
      // A new term begins where the last one ended, whoever's that was.
      if (answer.token === undefined || answer.token !== before) this.progress = answer.progress;
      this.current = answer.token;
      this.deadline = answer.token === undefined ? -Infinity : sentAt + this.timing.leaseMs;
      this.onRenewed(answer);
    } catch (error) {
      this.failed = new Error(`the relay's lease cannot be renewed: ${describeError(error)}`, { cause: error });
      this.onRenewed(undefined);
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
    if (this.holder !== undefined && held && !this.failed) await this.store.releaseLease(this.holder, this.progress);
  }
}
