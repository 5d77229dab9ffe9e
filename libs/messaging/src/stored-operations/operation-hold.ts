import { type DataSource } from 'typeorm';
import { type OperationStore } from './operation-store.js';

export interface OperationTiming {
  /** How long a process that has died keeps others from continuing its operation. */
  readonly leaseMs: number;
  readonly renewEveryMs: number;
  /** The wait after an error. */
  readonly retryMs: number;
}

export const OPERATION_TIMING: OperationTiming = { leaseMs: 10_000, renewEveryMs: 3000, retryMs: 5000 };

/**
 * The right to run one operation, which is renewed until {@link end}. The process relies on it for a shorter time than the database
 * grants it, measured on a monotonic clock from before the request was sent. Whatever a process saves after that is refused.
 */
export class OperationHold {
  private readonly lost = new AbortController();
  /** Aborts when the right is lost, may be lost, or the process stops. */
  readonly signal: AbortSignal;
  private readonly renewals: NodeJS.Timeout;
  private expiry: NodeJS.Timeout | undefined;
  private until = -Infinity;

  constructor(
    private readonly store: OperationStore,
    private readonly db: DataSource,
    private readonly held: { readonly id: string; readonly runner: string; readonly sinceMs: number },
    private readonly timing: OperationTiming,
    stopping: AbortSignal,
  ) {
    this.signal = AbortSignal.any([stopping, this.lost.signal]);
    this.extend(held.sinceMs);
    this.renewals = setInterval(() => void this.renew(), timing.renewEveryMs);
  }

  get isLost(): boolean {
    return this.lost.signal.aborted;
  }

  /**
   * Whether this process certainly has the right now. Unlike {@link signal}, it does not depend on a timer, which is late after the
   * process was paused.
   */
  readonly mayGoOn = (): boolean => !this.signal.aborted && performance.now() < this.until;

  end(): void {
    clearInterval(this.renewals);
    clearTimeout(this.expiry);
  }

  /** Never throws. Without an answer, the right expires. */
  private async renew(): Promise<void> {
    const sentAt = performance.now();
    const { id, runner } = this.held;
    const renewed = await this.store.renew(this.db, id, runner, this.timing.leaseMs).catch(() => undefined);
    if (renewed === false) this.lost.abort();
    else if (renewed === true) this.extend(sentAt);
  }

  private extend(fromMs: number): void {
    clearTimeout(this.expiry);
    this.until = fromMs + this.timing.leaseMs;
    this.expiry = setTimeout(() => this.lost.abort(), this.until - performance.now());
  }
}
