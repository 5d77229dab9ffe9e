import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { type DataSource } from 'typeorm';
import { type DueWork } from '../poll/due-work.js';
import { describeError } from '../errors.js';
import { type ComponentHealth, WorkClock } from '../operations/health.js';
import { attemptJob } from './job-attempt.js';
import { HandedBackError } from './job-failures.js';
import { type JobQueue } from './job-queue.js';
import { JobOutcomes } from './job-outcomes.js';
import { type ClaimedJob, type JobStore } from './job-store.js';
import { ForgivenLeases, type InFlightJob, JOB_TIMING, JobLeases } from './leases.js';
import { OverlookedJobs } from './overlooked-jobs.js';
import { POSTGRESQL } from '../tracing/attributes.js';
import { traceProcessing } from '../tracing/processing.js';
import { settlesWithin, STOP_MS, WakeUpCall } from '../waiting.js';

/** How long a handler may run before health reports it as stuck. */
const HANDLER_STALLS_AFTER_MS = 30_000;
/** How long shutdown waits for the database to take back the jobs that were abandoned. */
const HAND_BACK_MS = 1000;
const CLAIM_AGAIN_MS = 1000;
/** How many jobs that wait for a retry have a timer of their own. The poll finds the others, up to a second later. */
const MAX_TIMERS = 1000;

/**
 * Runs the jobs of the queues that this process handles, outside any transaction. A job is leased while it runs, and the worker renews
 * the lease. The lease of a process that was killed expires, and then another process runs the job. So a job runs at least once, and
 * its id makes the call idempotent. Nothing that a worker records about a job takes effect once it has lost the job's lease.
 *
 * A slow queue or a backlog does not delay other queues. An idle worker waits to be woken. It searches by itself, at a low rate, only
 * for jobs that were committed late and for jobs that are too far in the future because the database's clock was set back.
 */
export class JobWorker {
  private readonly logger = new Logger('Jobs');
  private readonly queues: ReadonlyMap<string, JobQueue>;
  private readonly call = new WakeUpCall();
  private readonly claiming = new WorkClock();
  private readonly inFlight = new Map<InFlightJob, Promise<void>>();
  /** Queues that may have more due jobs than there was room for. */
  private readonly backlogs = new Set<string>();
  private readonly timers = new Set<NodeJS.Timeout>();
  private readonly leases: JobLeases;
  private readonly forgiven: ForgivenLeases;
  private readonly outcomes: JobOutcomes;
  private readonly overlooked: OverlookedJobs;
  /** Aborts when the worker stops claiming jobs. */
  private readonly stopping = new AbortController();
  /** Aborts when the worker also stops recording the outcomes of jobs in flight. */
  private readonly stopped = new AbortController();
  private running: Promise<void> | undefined;

  constructor(
    private readonly store: JobStore,
    private readonly dataSource: DataSource,
    private readonly dueWork: DueWork,
    queues: readonly JobQueue[],
    private readonly timing = JOB_TIMING,
  ) {
    this.queues = new Map(queues.map((queue) => [queue.name, queue]));
    this.leases = new JobLeases(store, dataSource, timing, this.logger);
    this.forgiven = new ForgivenLeases(timing.leaseMs);
    this.outcomes = new JobOutcomes(store, dataSource, queues, {
      logger: this.logger,
      forgiven: this.forgiven,
      stopped: this.stopped.signal,
      retryIn: (ms) => this.wakeIn(ms),
    });
    this.overlooked = new OverlookedJobs(store, dataSource, queues, timing.leaseMs, {
      logger: this.logger,
      stopping: this.stopping.signal,
      wake: () => this.wake(),
    });
  }

  start(): void {
    if (this.running || this.queues.size === 0) return;
    this.dueWork.on('jobs', () => this.wake());
    this.dueWork.pauses.onChange(() => this.wake());
    this.overlooked.start();
    this.running = this.run();
  }

  /** Waits up to 4 s for the jobs in flight, and hands the others back to other processes with their attempts unchanged. */
  async stop(): Promise<void> {
    if (!this.running) return;
    this.stopping.abort();
    for (const timer of this.timers) clearTimeout(timer);
    this.overlooked.stop();
    this.wake();
    await settlesWithin(STOP_MS, this.idle());
    for (const { abort } of this.inFlight.keys()) abort.abort(new HandedBackError());
    if (!(await settlesWithin(HAND_BACK_MS, this.idle())))
      this.logger.warn(
        `${this.inFlight.size} jobs were not handed back; they run elsewhere once their leases have expired`,
      );
    this.stopped.abort();
    this.leases.stop();
  }

  /** What happened to the jobs of each queue since the start. */
  get counts(): JobOutcomes['counts'] {
    return this.outcomes.counts;
  }

  health(): ComponentHealth {
    const slow = [...this.inFlight.keys()].map(({ progress }) => progress.report(HANDLER_STALLS_AFTER_MS));
    const { recording, totals } = this.outcomes;
    const worst = [this.claiming.report(), recording.report(), ...slow, ...this.outcomes.setbackReports()].find(
      ({ healthy }) => !healthy,
    );
    return { healthy: true, ...worst, ...this.pausedHealth(), running: this.inFlight.size, ...totals };
  }

  /** The paused queues. The others may still make the jobs unhealthy. */
  private pausedHealth(): { readonly paused?: true; readonly pausedQueues?: Readonly<Record<string, object>> } {
    const { pauses } = this.dueWork;
    const paused = [...this.queues.keys()].flatMap((name) => {
      const health = pauses.healthOf('queue', name);
      return health ? [[name, { since: health.pausedSince, by: health.pausedBy }] as const] : [];
    });
    return paused.length === 0 ? {} : { paused: true, pausedQueues: Object.fromEntries(paused) };
  }

  private async idle(): Promise<void> {
    await this.running;
    await this.overlooked.idle();
    await Promise.all(this.inFlight.values());
  }

  private wake(): void {
    this.call.call();
  }

  private async run(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      await this.claim();
      await this.call.wait();
    }
  }

  private async claim(): Promise<void> {
    const room = this.room();
    if (room.size === 0) return;
    const { dataSource, store } = this;
    const { leaseMs } = this.timing;
    const lease = randomUUID();
    this.claiming.begun();
    let leasedUntil: number;
    let jobs: ClaimedJob[];
    try {
      this.forgiven.forgetOld();
      const { unanswered } = this.forgiven;
      if (unanswered.length > 0) await store.handBackClaims(dataSource, [...this.queues.keys()], unanswered, leaseMs);
      leasedUntil = performance.now() + leaseMs;
      jobs = await store.claim(dataSource, lease, leaseMs, room, this.forgiven.all);
      this.claiming.done();
    } catch (error) {
      this.forgiven.claimUnanswered(lease);
      this.claiming.failed(describeError(error));
      this.logger.warn(`Cannot claim jobs: ${describeError(error)}`);
      // Not left to the poll, which wakes the worker only if jobs are still due then. Health must also learn of the recovery.
      this.wakeIn(CLAIM_AGAIN_MS);
      return;
    }
    if (this.stopping.signal.aborted) {
      await this.store.handBack(this.dataSource, jobs).catch(() => undefined);
      return;
    }
    for (const job of jobs) {
      const left = (room.get(job.queue) ?? 0) - 1;
      room.set(job.queue, left);
      if (left === 0) this.backlogs.add(job.queue);
      this.startJob(job, leasedUntil);
    }
    // Jobs that ended before the answer arrived made room while no backlog was noted yet, and so did not wake the worker.
    if ([...this.backlogs].some((name) => this.busy(name) < (this.queues.get(name)?.concurrency ?? 0))) this.wake();
  }

  private busy(queue: string): number {
    return [...this.inFlight.keys()].filter(({ job }) => job.queue === queue).length;
  }

  /** Returns how many jobs each queue that is not paused has room for. A queue without room is noted as a backlog and claimed again when it has some. */
  private room(): Map<string, number> {
    const room = new Map<string, number>();
    this.backlogs.clear();
    for (const { name, concurrency } of this.queues.values()) {
      if (this.dueWork.pauses.stops('queue', name)) continue;
      const free = concurrency - this.busy(name);
      if (free > 0) room.set(name, free);
      else this.backlogs.add(name);
    }
    return room;
  }

  private startJob(job: ClaimedJob, leasedUntil: number): void {
    const queue = this.queues.get(job.queue);
    if (!queue) return;
    const abort = new AbortController();
    const watched = this.outcomes.started(job);
    const progress = new WorkClock();
    const inFlight = { job, queue, abort, progress, watched, leasedUntil, renewalFailed: false, ended: false };
    progress.begun();
    const done = this.runToCompletion(inFlight).finally(() => {
      this.inFlight.delete(inFlight);
      this.leases.release(inFlight);
      if (this.backlogs.has(job.queue)) this.wake();
    });
    this.inFlight.set(inFlight, done);
    this.leases.hold(inFlight);
  }

  /** Never throws. */
  private async runToCompletion(inFlight: InFlightJob): Promise<void> {
    const { job } = inFlight;
    const processed = () => ({ system: POSTGRESQL, name: job.queue, id: job.id, trace: job }) as const;
    await traceProcessing(processed, async (failed) => {
      try {
        await attemptJob(inFlight);
      } catch (error) {
        inFlight.ended = true;
        failed(error);
        await this.outcomes.failed(inFlight, error);
        return;
      }
      inFlight.ended = true;
      await this.outcomes.succeeded(inFlight);
    });
  }

  private wakeIn(ms: number): void {
    if (this.stopping.signal.aborted || this.timers.size >= MAX_TIMERS) return;
    // A little later than due, because the database's clock decides.
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      this.wake();
    }, ms + 5);
    this.timers.add(timer);
  }
}
