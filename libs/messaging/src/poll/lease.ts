import { type Attention } from '../operations/attention.js';
import { Cursor } from '../log/cursor.js';
import { describeError } from '../errors.js';
import { type Incident } from '../operations/incident.js';
import { beforeWaiting, recordedPosition } from '../log/lease-progress.js';
import { type Pause } from '../operations/known-pauses.js';
import { judge, type Known, type LogState, type WentBack } from '../log/log-origin.js';

/** Durations in milliseconds. */
export interface LeaseTiming {
  readonly leaseMs: number;
  readonly renewEveryMs: number;
}

/** Long enough to survive a hiccup, short enough that a standby publishes within 5 s of the leader's death. */
export const LEASE_TIMING: LeaseTiming = { leaseMs: 4000, renewEveryMs: 1000 };

export interface LeaseAnswer {
  /** The fencing token while we hold the lease. It grows with every change of the holder. */
  readonly token: string | undefined;
  /** Whether the outbox has messages beyond the recorded progress. This is the safety poll, part of the renewing statement. */
  readonly pending: boolean;
  /** The published part of the log as the lease row now records it; present with a token. */
  readonly progress?: Cursor;
  /** The row's own position, which is before that of `progress` while an aggregate type is blocked. The same if omitted. */
  readonly position?: number;
  /** The log that the row's progress belongs to; null if the previous version recorded it. Present with a token. */
  readonly origin?: string | null;
  /** The current log. */
  readonly log?: LogState;
  /** How far the database's clock is ahead of this process's, beyond what the round trip explains. */
  readonly clockAheadMs?: number;
  /** The oldest message that is unpublished according to the lease row. */
  readonly unpublished?: Unpublished | undefined;
  /** The deferred work that is due. Its workers are woken by it and do not poll themselves. */
  readonly due: DueNow;
}

export interface Unpublished {
  /** Seconds since the message was written. */
  readonly seconds: number;
  /** Whether any process holds the lease. */
  readonly leased: boolean;
}

export interface DueNow {
  /** Whether parked messages of the inbox are due. */
  readonly parked: boolean;
  /** Whether there may be parked messages, due or not. */
  readonly anyParked: boolean;
  readonly jobs: boolean;
  /** Changes whenever an operator has released parked messages; see `latestReleaseId` of the audit trail. */
  readonly latestReleaseId: string | undefined;
  /** The unacknowledged incidents. */
  readonly incidents: readonly Incident[];
  /** Whether an open operation has no live runner. */
  readonly operations: boolean;
  /** What needs an operator's attention; undefined if this poll has not checked it. */
  readonly attention?: Attention | undefined;
  /** What an operator has paused. */
  readonly pauses: readonly Pause[];
}

export interface LeaseStore {
  /**
   * Takes the lease if it is free or expired, or renews it if `holder` has it. A renewal also records `progress`, unless the row or
   * the log differs from `known`, or the sequence has not reached that position. Without a holder it only checks what is due.
   */
  holdLease(holder: string | undefined, leaseMs: number, progress?: Cursor, known?: KnownLease): Promise<LeaseAnswer>;
  releaseLease(holder: string, progress?: Cursor, known?: KnownLease): Promise<void>;
}

/** What the holder knows about its lease row. */
export interface KnownLease extends Omit<Known, 'reach'> {
  readonly token: string;
  /** The progress that the row records. Its gaps are not sent again while they are unchanged. */
  readonly progress: Cursor;
}

/**
 * The right to publish for one schema, held by one relay at a time (P3). The database grants it by its own clock. The holder
 * relies on it for a shorter time, measured on a monotonic clock from before the renewal was sent, so that a holder that was
 * paused or cut off stops before another relay starts.
 */
export class Lease {
  private deadline = -Infinity;
  /** The fencing token of the latest answer, even if the deadline has passed. */
  private grantedToken: string | undefined;
  private timer: NodeJS.Timeout | undefined;
  private renewal: Promise<void> | undefined;
  private stopped = false;
  private lost = false;
  private failed: Error | undefined;
  private again = false;
  private clockAhead = 0;
  private latestLog: LogState | undefined;
  private unansweredProgress: Cursor | undefined;
  /** What has been published in this term. The leader sets it and every renewal records it. Undefined while another process leads. */
  published: Cursor | undefined;
  /**
   * Counts the terms on this connection. A new term starts with every takeover, and whenever the holder's knowledge is no longer valid,
   * so the number may change while the fencing token stays the same.
   */
  termNumber = 0;
  /** Set when positions went back. Nothing is recorded until {@link startOver}. */
  recovering: WentBack | undefined;

  /**
   * `onRenewed` is called with the answer of every renewal, and without one if the renewal failed. Without a holder the lease is
   * never taken. `known` is what the process knew about the row on its last connection, so that it notices an older copy of the
   * database.
   */
  constructor(
    private readonly store: LeaseStore,
    private readonly holder: string | undefined,
    private readonly onRenewed: (answer: LeaseAnswer | undefined) => void,
    private readonly timing = LEASE_TIMING,
    private known?: KnownLease,
  ) {}

  /**
   * The database's fencing token while we certainly hold the lease, else undefined. It costs no query, so check it before every send.
   * A renewal that failed is as final as a lost connection: behind a pooler, a fail-over may show only as its error.
   */
  get fencingToken(): string | undefined {
    return !this.lost && !this.failed && performance.now() < this.deadline ? this.grantedToken : undefined;
  }

  /** Why the lease can no longer be renewed on this connection. A new connection is needed then. */
  get failure(): Error | undefined {
    return this.failed;
  }

  /** The row as this process last recorded it or took it over. If the answer to a recording was lost, it has the lower position. */
  get row(): KnownLease | undefined {
    const { known, unansweredProgress } = this;
    if (!known || !unansweredProgress) return known;
    return { ...known, position: Math.min(known.position, recordedPosition(unansweredProgress)) };
  }

  /** The log as of the last poll. */
  get log(): LogState | undefined {
    return this.latestLog;
  }

  /** How far the database's clock is ahead of this process's; negative when it is behind. */
  get clockAheadMs(): number {
    return this.clockAhead;
  }

  /** Starts a term that is recorded again, once the messages from before positions went back are published. */
  startOver(): void {
    if (!this.recovering || !this.known) return;
    const { fromStart } = this.recovering;
    this.published = fromStart ? Cursor.START : this.known.progress;
    this.recovering = undefined;
    this.termNumber++;
  }

  /**
   * Stops relying on the lease, because the connection on which it was granted is lost. After a fail-over another server's clock decides
   * when the lease ends, and it may be ahead. What is published from now on could not be recorded anyway.
   */
  lose(): void {
    this.lost = true;
  }

  /** Renews now, or once more after a renewal in progress, which may have read too early. From then on renews every second. */
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
    // Measured from the send, so that a slow answer does not stretch the interval between two renewals.
    const waitMs = Math.max(0, sentAt + this.timing.renewEveryMs - performance.now());
    this.timer = setTimeout(() => void this.renew(), waitMs);
  }

  private async renewOnce(sentAt: number): Promise<void> {
    try {
      const sent = this.recovering ? undefined : this.published;
      const known = this.grantedToken === undefined ? undefined : this.known;
      const { termNumber } = this;
      this.unansweredProgress = sent;
      const answer = await this.store.holdLease(this.holder, this.timing.leaseMs, sent, known);
      this.clockAhead = answer.clockAheadMs ?? 0;
      this.latestLog = answer.log;
      this.unansweredProgress = undefined;
      this.follow(answer, sent, termNumber);
      this.grantedToken = answer.token;
      this.deadline = answer.token === undefined ? -Infinity : sentAt + this.timing.leaseMs;
      this.onRenewed(answer);
    } catch (error) {
      this.failed = new Error(`cannot renew the relay lease: ${describeError(error)}`, { cause: error });
      this.onRenewed(undefined);
    }
  }

  /** Starts a new term where the last one ended, whichever process held it, or continues the current term. */
  private follow(
    { token, progress, origin, log, ...row }: LeaseAnswer,
    sent: Cursor | undefined,
    sentIn: number,
  ): void {
    const sameHolder = token !== undefined && token === this.grantedToken;
    if (token === undefined || progress === undefined || log === undefined) {
      if (!sameHolder) this.beginTerm(progress);
      return;
    }
    const { position = progress.position } = row;
    const { known } = this;
    const isAsKnown = known?.position === position || (sent !== undefined && recordedPosition(sent) === position);
    const sameLocation = known?.log.location === log.location;
    // At the same location another leader may have started over. In a copy of the log, a lower position can only be an older one.
    const sameOrigin = known?.log.origin === log.origin;
    const noOtherHolder = known !== undefined && BigInt(token) <= BigInt(known.token) + 1n;
    const comparable = sameHolder || (!sameLocation && sameOrigin && noOtherHolder);
    // A term that started during the renewal has not been recorded yet, so the answer says nothing about it.
    const isOfTerm = !sameHolder || sentIn === this.termNumber;
    if (isOfTerm && !(sameHolder && this.recovering && sameLocation && isAsKnown)) {
      const reach = isAsKnown ? progress.position : known?.progress.position;
      const relied =
        known && comparable
          ? { ...known, position: isAsKnown ? position : known.position, reach: reach ?? position }
          : undefined;
      const cursor = sameHolder ? sent?.position : undefined;
      const found = { position, reach: progress.position, origin: origin ?? null };
      const seenBeyond = !sameHolder && sameLocation && sameOrigin && known.log.rowsBeyond;
      const verdict = judge(relied, cursor, found, log, seenBeyond);
      if (!sameHolder || !verdict.continues) this.beginTerm(progress, verdict.wentBack);
    }
    this.known = { token, position, progress, log };
  }

  private beginTerm(progress: Cursor | undefined, wentBack?: WentBack): void {
    // Waiting messages were committed earlier, so they are read again and published first.
    this.published = wentBack && progress ? beforeWaiting(progress) : progress;
    this.recovering = wentBack;
    this.termNumber++;
  }

  /** Stops renewing and releases the lease, so that a standby takes over at once. */
  async release(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.renewal;
    const held = this.grantedToken !== undefined;
    this.deadline = -Infinity;
    this.grantedToken = undefined;
    if (this.holder !== undefined && held && !this.failed) {
      const progress = this.recovering ? undefined : this.published;
      await this.store.releaseLease(this.holder, progress, this.known);
    }
  }
}
