import { type Logger } from '@nestjs/common';
import { type DataSource } from 'typeorm';
import { describeError } from '../errors.js';
import { Gather } from '../postgres/gather.js';
import { WorkClock } from '../operations/health.js';
import { type JobCounts, noJobCounts } from '../operations/job-counts.js';
import { afterFailure, type AfterFailure, failureOfJob, JobDeadMethodError } from './job-failures.js';
import { type JobQueue } from './job-queue.js';
import { recordFailure } from './record-failure.js';
import { type ClaimedJob, type JobStore } from './job-store.js';
import { type ForgivenLeases, type InFlightJob } from './leases.js';
import { QueueSetbacks, type Verdict } from './queue-setbacks.js';
import { type WatchedAttempt } from '../postgres/setbacks.js';
import { backOffMs, pause } from '../waiting.js';

/** Records in the database how jobs ended. Nothing takes effect once a job's lease is lost. */
export class JobOutcomes {
  /** By queue. */
  readonly counts: ReadonlyMap<string, JobCounts>;
  readonly recording = new WorkClock();
  private readonly setbacks = new Map<string, QueueSetbacks>();
  /** Removals of finished jobs. The outcome of each is whether the lease was still held. */
  private readonly removals: Gather<ClaimedJob, boolean>;

  constructor(
    private readonly store: JobStore,
    private readonly dataSource: DataSource,
    queues: readonly JobQueue[],
    private readonly on: {
      readonly logger: Logger;
      readonly forgiven: ForgivenLeases;
      /** Aborts when outcomes are no longer recorded. */
      readonly stopped: AbortSignal;
      /** Called when a job gets another attempt, with the delay until then. */
      readonly retryIn: (ms: number) => void;
    },
  ) {
    this.counts = new Map(queues.map(({ name }) => [name, noJobCounts()]));
    for (const { name } of queues) {
      this.setbacks.set(name, new QueueSetbacks((line) => on.logger.warn(`${name}: ${line}`)));
    }
    this.removals = new Gather({
      writeAll: async (done) => {
        const removed = await store.remove(dataSource, done);
        return done.map(({ id }) => removed.has(id));
      },
    });
  }

  /** The counts of all queues together. */
  get totals(): JobCounts {
    const totals = noJobCounts();
    for (const { done, failedAttempts, setbacks, dead } of this.counts.values()) {
      totals.done += done;
      totals.failedAttempts += failedAttempts;
      totals.setbacks += setbacks;
      totals.dead += dead;
    }
    return totals;
  }

  /** Whether each queue has had only setbacks for some time. */
  setbackReports(): { readonly healthy: boolean; readonly problem?: string }[] {
    return [...this.setbacks.values()].map(({ seen }) => seen.report());
  }

  /** Called when an attempt begins. */
  started(job: ClaimedJob): WatchedAttempt {
    return this.setbacksOf(job).seen.started(job.id);
  }

  /** The handler has returned. Never throws. */
  async succeeded({ job }: InFlightJob): Promise<void> {
    const removed = await this.record(() => this.removals.write(job));
    if (!removed) return;
    this.countsOf(job).done++;
    const ofQueue = this.setbacksOf(job);
    ofQueue.done++;
    ofQueue.seen.forget(job.id);
  }

  /** The handler has thrown, or the attempt was abandoned. Never throws. */
  async failed(inFlight: InFlightJob, error: unknown): Promise<void> {
    const { job, queue } = inFlight;
    const text = describeError(error);
    const failure = failureOfJob(error);
    if (failure === 'lease-lost') {
      // If the lease expired because the database did not answer, that is not the job's fault.
      if (inFlight.renewalFailed) this.on.forgiven.forgive(job.lease);
      this.on.logger.warn(`${nameOf(job)} was abandoned: ${text}`);
      return;
    }
    if (failure === 'handed-back') {
      await this.record(() => this.store.handBack(this.dataSource, [job]).then(() => true));
      return;
    }
    let verdict = this.setbacksOf(job).verdictOn(inFlight.watched, failure, text);
    let next = afterFailure(verdict, job, queue);
    const written = await this.record(
      () => recordFailure(this.store, this.dataSource, job, queue, { ...next, error: text }),
      (recordError) => {
        // While the database is unavailable, the errors of a handler say little about its job.
        if (verdict !== 'attempt' || recordError instanceof JobDeadMethodError) return;
        verdict = 'setback';
        next = afterFailure(verdict, job, queue);
      },
    );
    if (written) this.report(job, verdict, next, error);
  }

  private setbacksOf({ queue }: ClaimedJob): QueueSetbacks {
    const known = this.setbacks.get(queue);
    if (!known) throw new Error(`No handler for the jobs of ${queue}`);
    return known;
  }

  private countsOf({ queue }: ClaimedJob): JobCounts {
    const known = this.counts.get(queue);
    if (!known) throw new Error(`No handler for the jobs of ${queue}`);
    return known;
  }

  private report(job: ClaimedJob, verdict: Verdict, { attempts, delayMs }: AfterFailure, error: unknown): void {
    const { logger, retryIn } = this.on;
    const counts = this.countsOf(job);
    const text = describeError(error);
    if (verdict === 'attempt') counts.failedAttempts++;
    if (verdict === 'setback') counts.setbacks++;
    if (delayMs === undefined) {
      counts.dead++;
      this.setbacksOf(job).seen.forget(job.id);
      logger.error(`${nameOf(job)} is dead after ${attempts} attempts: ${text}`, (error as Error).stack);
      return;
    }
    const wait = `Retrying in ${Math.round(delayMs)} ms`;
    // During a brownout every job has setbacks, and `setbacks` logs one line for all of them.
    if (verdict === 'setback') logger.debug(`${nameOf(job)} had a setback: ${text}. ${wait}`);
    else logger.warn(`${nameOf(job)} failed ${attempts} times: ${text}. ${wait}`);
    retryIn(delayMs);
  }

  /**
   * Retries until the write succeeds. Meanwhile the job stays in flight and its lease is renewed, so that a short outage does not
   * repeat a call. Returns false if the lease was lost or the process is shutting down.
   */
  private async record(write: () => Promise<boolean>, onError?: (error: unknown) => void): Promise<boolean> {
    const { logger, stopped } = this.on;
    for (let failures = 0; ; failures++) {
      try {
        const written = await write();
        this.recording.done();
        return written;
      } catch (error) {
        this.recording.failed(describeError(error));
        logger.warn(`Cannot record the outcome of a job: ${describeError(error)}`);
        onError?.(error);
      }
      await pause(backOffMs(failures, 200, 3000), stopped);
      if (stopped.aborted) return false;
    }
  }
}

function nameOf({ id, queue }: ClaimedJob): string {
  return `Job ${id} of ${queue}`;
}
