import { type Logger } from '@nestjs/common';
import { type DataSource } from 'typeorm';
import { describeError } from '../errors.js';
import { type WorkClock } from '../operations/health.js';
import { JobLeaseLostError } from './job-failures.js';
import { type JobQueue } from './job-queue.js';
import { type ClaimedJob, type JobStore } from './job-store.js';
import { type WatchedAttempt } from '../postgres/setbacks.js';

/** How long a lease lasts, and how often it is renewed. */
export interface JobTiming {
  /** Also how long the jobs of a process that was killed stay leased. */
  readonly leaseMs: number;
  readonly renewEveryMs: number;
}

/** Two renewals may fail before another process may take the jobs over. */
export const JOB_TIMING: JobTiming = { leaseMs: 30_000, renewEveryMs: 10_000 };

/** For how many lease lengths a lost claim is remembered. Another process may claim its jobs first. */
const FORGIVEN_LEASES = 3;

/** A job that this process runs, from the claim until its outcome is recorded in the database. */
export interface InFlightJob {
  readonly job: ClaimedJob;
  readonly queue: JobQueue;
  /** Aborts when the attempt is abandoned, with one of the errors of job-failures.ts as the reason. */
  readonly abort: AbortController;
  readonly progress: WorkClock;
  readonly watched: WatchedAttempt;
  /** When the lease ends by this process's clock, counted from before the claim or renewal was sent. */
  leasedUntil: number;
  /** The lease could not be renewed because the database did not answer. */
  renewalFailed: boolean;
  /** The handler has ended, and only its outcome remains to be recorded. */
  ended: boolean;
}

/** Renews the leases of the jobs in flight, and abandons a job once its lease is lost. */
export class JobLeases {
  private readonly held = new Set<InFlightJob>();
  private timer: NodeJS.Timeout | undefined;
  private renewing = false;

  constructor(
    private readonly store: JobStore,
    private readonly dataSource: DataSource,
    private readonly timing: JobTiming,
    private readonly logger: Logger,
  ) {}

  /** Renews the job's lease from now on. */
  hold(inFlight: InFlightJob): void {
    this.held.add(inFlight);
    this.timer ??= setInterval(() => void this.renew(), this.timing.renewEveryMs);
  }

  release(inFlight: InFlightJob): void {
    this.held.delete(inFlight);
    if (this.held.size === 0) this.stop();
  }

  /** Stops renewing. Leases that are still held expire. */
  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private async renew(): Promise<void> {
    const now = performance.now();
    const held = [...this.held];
    for (const { leasedUntil, ended, abort } of held)
      if (leasedUntil < now && !ended) abort.abort(new JobLeaseLostError());
    // Renewals must not pile up behind one that is still waiting for an answer over a silent connection.
    if (this.renewing || held.length === 0) return;
    this.renewing = true;
    try {
      const jobs = held.map(({ job }) => job);
      const kept = await this.store.renew(this.dataSource, jobs, this.timing.leaseMs);
      for (const inFlight of held) {
        inFlight.renewalFailed = false;
        if (kept.has(inFlight.job.id)) inFlight.leasedUntil = now + this.timing.leaseMs;
        else if (!inFlight.ended) inFlight.abort.abort(new JobLeaseLostError());
      }
    } catch (error) {
      for (const inFlight of held) inFlight.renewalFailed = true;
      this.logger.warn(`Cannot renew the leases of ${held.length} jobs: ${describeError(error)}`);
    } finally {
      this.renewing = false;
    }
  }
}

/** Leases that may expire through no fault of their jobs, each remembered for some time. */
export class ForgivenLeases {
  /** The time until which each of them is remembered. */
  private readonly until = new Map<string, number>();
  /** Those that belong to claims whose answers were lost. */
  private readonly lostClaims = new Set<string>();

  constructor(private readonly leaseMs: number) {}

  get all(): string[] {
    return [...this.until.keys()];
  }

  get unanswered(): string[] {
    return [...this.lostClaims];
  }

  /** The lease expired because the database did not answer. */
  forgive(lease: string): void {
    this.until.set(lease, performance.now() + FORGIVEN_LEASES * this.leaseMs);
  }

  /** The claim may have succeeded, or may still succeed. Nobody runs its jobs then. */
  claimUnanswered(lease: string): void {
    this.forgive(lease);
    this.lostClaims.add(lease);
  }

  forgetOld(): void {
    const now = performance.now();
    for (const [lease, until] of this.until) {
      if (until > now) continue;
      this.until.delete(lease);
      this.lostClaims.delete(lease);
    }
  }
}
