import { type Attention } from './attention.js';
import { Cursor } from './cursor.js';
import { describeError } from './errors.js';
import { type Incident } from './incidents.js';
import { beforeWaiting, recordedPosition } from './lease-progress.js';
import { judge, type Known, type LogState, type WentBack } from './log-origin.js';

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
  /** The row's own position: before that of `progress` while an aggregate type waits; the same unless given. */
  readonly position?: number;
  /** The log that the row's progress was recorded in; null when the previous version recorded it. Given with a token. */
  readonly origin?: string | null;
  /** The log as it is now. */
  readonly log?: LogState;
  /** How far the database's clock is ahead of this process's, beyond what the round trip explains. */
  readonly clockAheadMs?: number;
  /** The oldest message that the lease row does not call published. */
  readonly unpublished?: Unpublished | undefined;
  /** What the database keeps for later, and is due: whoever works it off is woken, and polls no more than this. */
  readonly due: DueNow;
}

export interface Unpublished {
  /** Since it was written. */
  readonly seconds: number;
  /** Whether the lease is some process's. */
  readonly leased: boolean;
}

export interface DueNow {
  /** Messages parked in the inbox are due. */
  readonly parked: boolean;
  /** There may be parked messages, due or not. */
  readonly anyParked: boolean;
  readonly jobs: boolean;
  /** The number of the last thing that a person did to a dead letter. */
  readonly lastAction: string | undefined;
  /** The incidents that nobody has acknowledged. */
  readonly incidents: readonly Incident[];
  /** What waits for a person; undefined unless the poll has looked. */
  readonly attention?: Attention | undefined;
}

export interface LeaseStore {
  /**
   * Takes the lease when it is free or expired, renews it when `holder` has it, and then records its `progress`, unless the
   * row or the log is not the one that is `known`, or the sequence has not come that far. Without a holder it only looks at
   * what is due.
   */
  holdLease(holder: string | undefined, leaseMs: number, progress?: Cursor, known?: KnownLease): Promise<LeaseAnswer>;
  releaseLease(holder: string, progress?: Cursor, known?: KnownLease): Promise<void>;
}

/** What the holder knows of its lease row. */
export interface KnownLease extends Omit<Known, 'reach'> {
  readonly token: string;
  /** What the row records. Its gaps are not sent again while they are the same. */
  readonly progress: Cursor;
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
  private clockAhead = 0;
  private latest: LogState | undefined;
  private unanswered: Cursor | undefined;
  /** What is published in this term; its holder sets it, every renewal records it. Undefined while another leads. */
  progress: Cursor | undefined;
  /** Counts the terms: one begins with every take-over, and whenever what the holder knew is no longer true. */
  term = 0;
  /** Positions went back: nothing is recorded until {@link startOver}. */
  recovering: WentBack | undefined;

  /**
   * `onRenewed` is called after every renewal, with its answer, and after one that failed. Without a holder the lease is
   * never ours. `known` is what the process knew of the row on its last connection: an older copy of the database is noticed.
   */
  constructor(
    private readonly store: LeaseStore,
    private readonly holder: string | undefined,
    private readonly onRenewed: (answer: LeaseAnswer | undefined) => void,
    private readonly timing = LEASE_TIMING,
    private known?: KnownLease,
  ) {}

  /** The fencing token while the lease is certainly ours, else undefined. Costs no query: ask before every send. */
  get token(): string | undefined {
    return performance.now() < this.deadline ? this.current : undefined;
  }

  /** Why the lease can no longer be renewed: the connection is gone and a new one is needed. */
  get failure(): Error | undefined {
    return this.failed;
  }

  /** The row as this process last recorded or took it over; as it may be, where the answer to the last recording was lost. */
  get row(): KnownLease | undefined {
    const { known, unanswered } = this;
    if (!known || !unanswered) return known;
    return { ...known, position: Math.min(known.position, recordedPosition(unanswered)) };
  }

  /** The log as the last poll found it. */
  get log(): LogState | undefined {
    return this.latest;
  }

  /** How far the database's clock is ahead of this process's; negative when it is behind. */
  get clockAheadMs(): number {
    return this.clockAhead;
  }

  /** What was left from before positions went back is published: a term begins that is recorded again. */
  startOver(): void {
    if (!this.recovering || !this.known) return;
    const { fromStart } = this.recovering;
    this.progress = fromStart ? Cursor.START : this.known.progress;
    this.recovering = undefined;
    this.term++;
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
      const sent = this.recovering ? undefined : this.progress;
      const known = this.current === undefined ? undefined : this.known;
      const { term } = this;
      this.unanswered = sent;
      const answer = await this.store.holdLease(this.holder, this.timing.leaseMs, sent, known);
      this.clockAhead = answer.clockAheadMs ?? 0;
      this.latest = answer.log;
      this.unanswered = undefined;
      this.follow(answer, sent, term);
      this.current = answer.token;
      this.deadline = answer.token === undefined ? -Infinity : sentAt + this.timing.leaseMs;
      this.onRenewed(answer);
    } catch (error) {
      this.failed = new Error(`the relay's lease cannot be renewed: ${describeError(error)}`, { cause: error });
      this.onRenewed(undefined);
    }
  }

  /** A new term begins where the last one ended, whoever's that was; one that goes on knows what it has recorded. */
  private follow(
    { token, progress, origin, log, ...row }: LeaseAnswer,
    sent: Cursor | undefined,
    sentIn: number,
  ): void {
    const sameHolder = token !== undefined && token === this.current;
    if (token === undefined || progress === undefined || log === undefined) {
      if (!sameHolder) this.beginTerm(progress);
      return;
    }
    const { position = progress.position } = row;
    const { known } = this;
    const asKnown = known?.position === position || (sent !== undefined && recordedPosition(sent) === position);
    const samePlace = known?.log.place === log.place;
    // Another leader may have begun again in this log; in a copy of it, a lower position can only be an older one.
    const sameLog = known?.log.log === log.log;
    const nobodyBetween = known !== undefined && BigInt(token) <= BigInt(known.token) + 1n;
    const comparable = sameHolder || (!samePlace && sameLog && nobodyBetween);
    // A term that began while the renewal was under way has yet to be recorded: the answer says nothing of it.
    const isOfTerm = !sameHolder || sentIn === this.term;
    if (isOfTerm && !(sameHolder && this.recovering && samePlace && asKnown)) {
      const reach = asKnown ? progress.position : known?.progress.position;
      const relied =
        known && comparable
          ? { ...known, position: asKnown ? position : known.position, reach: reach ?? position }
          : undefined;
      const cursor = sameHolder ? sent?.position : undefined;
      const found = { position, reach: progress.position, origin: origin ?? null };
      const seenBeyond = !sameHolder && samePlace && sameLog && known.log.rowsBeyond;
      const verdict = judge(relied, cursor, found, log, seenBeyond);
      if (!sameHolder || !verdict.goesOn) this.beginTerm(progress, verdict.wentBack);
    }
    this.known = { token, position, progress, log };
  }

  private beginTerm(progress: Cursor | undefined, wentBack?: WentBack): void {
    // What waits was committed before: it is read again, and published first.
    this.progress = wentBack && progress ? beforeWaiting(progress) : progress;
    this.recovering = wentBack;
    this.term++;
  }

  /** Ends renewing and hands the lease back, so that a standby takes over at once. */
  async release(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.renewal;
    const held = this.current !== undefined;
    this.deadline = -Infinity;
    this.current = undefined;
    if (this.holder !== undefined && held && !this.failed) {
      const progress = this.recovering ? undefined : this.progress;
      await this.store.releaseLease(this.holder, progress, this.known);
    }
  }
}
