import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { type DataSource } from 'typeorm';
import { seekStrays } from '../postgres/due-range.js';
import { type DueWork } from '../poll/due-work.js';
import { describeError, PermanentError } from '../errors.js';
import { Gather } from '../postgres/gather.js';
import { type ComponentHealth, WorkClock } from '../operations/health.js';
import {
  afterFailure,
  type AfterFailure,
  failureOfJob,
  HandedBackError,
  JobDeadMethodError,
  JobLeaseLostError,
  TimedOutError,
} from './job-failures.js';
import { type Failure, isSetback, mayBeItsOwn } from '../postgres/failures.js';
import { inTransaction, LOCK_TIMEOUT } from '../postgres/transaction.js';
import { type JobQueue } from './job-handlers.js';
import { type ClaimedJob, type JobStore, type PutBack } from './job-store.js';
import { Setbacks, type WatchedAttempt } from '../postgres/setbacks.js';
import { backOffMs, pause, settlesWithin, STOP_MS, WakeUpCall } from '../waiting.js';

/** How long a lease lasts, and how often it is renewed. */
export interface JobTiming {
  /** Also how long the jobs of a process that was killed stay leased. */
  readonly leaseMs: number;
  readonly renewEveryMs: number;
}

/** Two renewals may fail before another process may take the jobs over. */
export const JOB_TIMING: JobTiming = { leaseMs: 30_000, renewEveryMs: 10_000 };

/** How long a handler may run before health reports it as stuck. */
const HANDLER_STALLS_AFTER_MS = 30_000;
/** How long shutdown waits for the database to take back the jobs that were abandoned. */
const HAND_BACK_MS = 1000;
const CLAIM_AGAIN_MS = 1000;
/** How often a worker looks for jobs that are too far in the future because the database's clock was set back. */
const BRING_FORWARD_EVERY_MS = 10_000;
/** For how many lease lengths a lost claim is remembered. Another process may claim its jobs first. */
const FORGIVEN_LEASES = 3;
/** How often a worker looks for jobs that were committed long after their time, in a table with many dead rows. */
const STRAYS_EVERY_MS = 25_000;
/** How many jobs that wait for a retry have a timer of their own. The poll finds the others, up to a second later. */
const MAX_TIMERS = 1000;

/** What the jobs of a queue reveal about the environment. */
class QueueSetbacks {
  /** How many jobs this process has finished. */
  done = 0;
  readonly seen: Setbacks;

  constructor(warn: (line: string) => void) {
    this.seen = new Setbacks(() => this.done, warn);
  }
}

/** A job that this process runs, from the claim until its outcome is recorded in the database. */
interface InFlightJob {
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
  private readonly recording = new WorkClock();
  private readonly inFlight = new Map<InFlightJob, Promise<void>>();
  /** Queues that may have more due jobs than there was room for. */
  private readonly backlogs = new Set<string>();
  private readonly timers = new Set<NodeJS.Timeout>();
  /** Removals of finished jobs. The outcome of each is whether the lease was still held. */
  private readonly removals: Gather<ClaimedJob, boolean>;
  private readonly counts = { done: 0, failedAttempts: 0, setbacks: 0, dead: 0 };
  private readonly setbacks = new Map<string, QueueSetbacks>();
  /** Leases that may expire through no fault of their jobs, and the time until which each of them is remembered. */
  private readonly forgiven = new Map<string, number>();
  /** Those of the forgiven leases that belong to claims whose answers were lost. */
  private readonly unanswered = new Set<string>();
  private clockChecks: NodeJS.Timeout | undefined;
  private clockCheck: Promise<void> | undefined;
  /** Aborts when the worker stops claiming jobs. */
  private readonly stopping = new AbortController();
  /** Aborts when the worker also stops recording the outcomes of jobs in flight. */
  private readonly stopped = new AbortController();
  private renewals: NodeJS.Timeout | undefined;
  private renewing = false;
  private running: Promise<void> | undefined;
  private seekingStrays: Promise<void> | undefined;

  constructor(
    private readonly store: JobStore,
    private readonly dataSource: DataSource,
    private readonly dueWork: DueWork,
    queues: readonly JobQueue[],
    private readonly timing = JOB_TIMING,
  ) {
    this.queues = new Map(queues.map((queue) => [queue.name, queue]));
    for (const { name } of queues) {
      this.setbacks.set(name, new QueueSetbacks((line) => this.logger.warn(`${name}: ${line}`)));
    }
    this.removals = new Gather({
      writeAll: async (done) => {
        const removed = await store.remove(dataSource, done);
        return done.map(({ id }) => removed.has(id));
      },
    });
  }

  start(): void {
    if (this.running || this.queues.size === 0) return;
    this.dueWork.on('jobs', () => this.wake());
    const checkClock = () => void (this.clockCheck = this.bringForward());
    checkClock();
    this.clockChecks = setInterval(checkClock, BRING_FORWARD_EVERY_MS);
    this.running = this.run();
    this.seekingStrays = this.seekStrays();
  }

  /** Waits up to 4 s for the jobs in flight, and hands the others back to other processes with their attempts unchanged. */
  async stop(): Promise<void> {
    if (!this.running) return;
    this.stopping.abort();
    for (const timer of this.timers) clearTimeout(timer);
    clearInterval(this.clockChecks);
    this.wake();
    await settlesWithin(STOP_MS, this.idle());
    for (const { abort } of this.inFlight.keys()) abort.abort(new HandedBackError());
    if (!(await settlesWithin(HAND_BACK_MS, this.idle())))
      this.logger.warn(
        `${this.inFlight.size} jobs were not handed back; they run elsewhere once their leases have expired`,
      );
    this.stopped.abort();
    clearInterval(this.renewals);
  }

  health(): ComponentHealth {
    const slow = [...this.inFlight.keys()].map(({ progress }) => progress.report(HANDLER_STALLS_AFTER_MS));
    const setbacks = [...this.setbacks.values()].map(({ seen }) => seen.report());
    const worst = [this.claiming.report(), this.recording.report(), ...slow, ...setbacks].find(
      ({ healthy }) => !healthy,
    );
    return { healthy: true, ...worst, running: this.inFlight.size, ...this.counts };
  }

  private async idle(): Promise<void> {
    await this.running;
    await Promise.all([this.clockCheck, this.seekingStrays]);
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

  /** Never throws. */
  private async bringForward(): Promise<void> {
    const waits = new Map([...this.queues.values()].map(({ name, backOff }) => [name, backOff.maxMs]));
    try {
      const count = await this.store.bringForward(this.dataSource, waits, this.timing.leaseMs);
      if (count === 0) return;
      this.wake();
      this.logger.warn(`The database's clock was set back; ${count} jobs were brought forward`);
    } catch (error) {
      this.logger.warn(`Cannot search for jobs that are too far in the future: ${describeError(error)}`);
    }
  }

  /** Never throws. */
  private async seekStrays(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      await seekStrays(
        (block) => this.store.wakeStrays(this.dataSource, block, [...this.queues.keys()]),
        () => this.wake(),
        signal,
      ).catch((error: unknown) =>
        this.logger.warn(`Cannot search for jobs that were committed late: ${describeError(error)}`),
      );
      await pause(STRAYS_EVERY_MS, signal);
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
      this.forgetOldLeases();
      if (this.unanswered.size > 0)
        await store.handBackClaims(dataSource, [...this.queues.keys()], [...this.unanswered], leaseMs);
      leasedUntil = performance.now() + leaseMs;
      jobs = await store.claim(dataSource, lease, leaseMs, room, [...this.forgiven.keys()]);
      this.claiming.done();
    } catch (error) {
      // The claim may have succeeded, or may still succeed. Nobody runs its jobs then.
      this.forgive(lease);
      this.unanswered.add(lease);
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

  private forgive(lease: string): void {
    this.forgiven.set(lease, performance.now() + FORGIVEN_LEASES * this.timing.leaseMs);
  }

  private forgetOldLeases(): void {
    const now = performance.now();
    for (const [lease, until] of this.forgiven) {
      if (until > now) continue;
      this.forgiven.delete(lease);
      this.unanswered.delete(lease);
    }
  }

  private busy(queue: string): number {
    return [...this.inFlight.keys()].filter(({ job }) => job.queue === queue).length;
  }

  /** Returns how many jobs each queue has room for. A queue without room is noted as a backlog and claimed again when it has some. */
  private room(): Map<string, number> {
    const room = new Map<string, number>();
    this.backlogs.clear();
    for (const { name, concurrency } of this.queues.values()) {
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
    const watched = this.setbacksOf(job).seen.started(job.id);
    const progress = new WorkClock();
    const inFlight = { job, queue, abort, progress, watched, leasedUntil, renewalFailed: false, ended: false };
    progress.begun();
    const done = this.runToCompletion(inFlight).finally(() => {
      this.inFlight.delete(inFlight);
      if (this.inFlight.size === 0) {
        clearInterval(this.renewals);
        this.renewals = undefined;
      }
      if (this.backlogs.has(job.queue)) this.wake();
    });
    this.inFlight.set(inFlight, done);
    this.renewals ??= setInterval(() => void this.renew(), this.timing.renewEveryMs);
  }

  /** Never throws. */
  private async runToCompletion(inFlight: InFlightJob): Promise<void> {
    const { job } = inFlight;
    try {
      await this.attempt(inFlight);
    } catch (error) {
      inFlight.ended = true;
      await this.failed(inFlight, error);
      return;
    }
    inFlight.ended = true;
    const removed = await this.recordOutcome(() => this.removals.write(job));
    if (!removed) return;
    this.counts.done++;
    const ofQueue = this.setbacksOf(job);
    ofQueue.done++;
    ofQueue.seen.forget(job.id);
  }

  private setbacksOf({ queue }: ClaimedJob): QueueSetbacks {
    const known = this.setbacks.get(queue);
    if (!known) throw new Error(`No handler for the jobs of ${queue}`);
    return known;
  }

  /** Ends with the handler or when the attempt is abandoned. A handler that ignores its signal keeps running unattended. */
  private async attempt({ job, queue, abort }: InFlightJob): Promise<void> {
    const { id, data, attempts } = job;
    // Its last attempt was counted by a claim. Had it been recorded as a failure, the job would already be dead.
    if (attempts >= queue.maxAttempts)
      throw new PermanentError('no attempts left: the last process to run it crashed or lost its database connection');
    const { signal } = abort;
    const abandoned = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
    const timer = setTimeout(() => abort.abort(new TimedOutError(queue.timeoutMs)), queue.timeoutMs);
    const handled = (async () => queue.handle({ id, queue: queue.name, data, attempt: attempts + 1 }, signal))();
    handled.catch(() => undefined);
    abandoned.catch(() => undefined);
    try {
      await Promise.race([handled, abandoned]);
    } finally {
      clearTimeout(timer);
    }
  }

  private async failed(inFlight: InFlightJob, error: unknown): Promise<void> {
    const { job, queue } = inFlight;
    const name = `Job ${job.id} of ${job.queue}`;
    const text = describeError(error);
    const failure = failureOfJob(error);
    if (failure === 'lease-lost') {
      // If the lease expired because the database did not answer, that is not the job's fault.
      if (inFlight.renewalFailed) this.forgive(job.lease);
      this.logger.warn(`${name} was abandoned: ${text}`);
      return;
    }
    if (failure === 'handed-back') {
      await this.recordOutcome(() => this.store.handBack(this.dataSource, [job]).then(() => true));
      return;
    }
    let verdict = this.verdictOn(inFlight, failure, text);
    let next = afterFailure(verdict, job, queue);
    const written = await this.recordOutcome(
      () => this.putBack(job, queue, { ...next, error: text }),
      (recordError) => {
        // While the database is unavailable, the errors of a handler say little about its job.
        if (verdict !== 'attempt' || recordError instanceof JobDeadMethodError) return;
        verdict = 'setback';
        next = afterFailure(verdict, job, queue);
      },
    );
    if (written) this.reportFailure(job, verdict, next, error);
  }

  private verdictOn({ job, watched }: InFlightJob, failure: Failure, text: string): 'setback' | 'never' | 'attempt' {
    const { seen } = this.setbacksOf(job);
    if (failure === 'never' || failure === 'attempt') return failure;
    if (isSetback(failure) && mayBeItsOwn(failure)) return seen.countsAsAttempt(watched, text) ? 'attempt' : 'setback';
    seen.record(text);
    return 'setback';
  }

  private reportFailure(
    job: ClaimedJob,
    verdict: 'setback' | 'never' | 'attempt',
    { attempts, delayMs }: AfterFailure,
    error: unknown,
  ): void {
    const name = `Job ${job.id} of ${job.queue}`;
    const text = describeError(error);
    if (verdict === 'attempt') this.counts.failedAttempts++;
    if (verdict === 'setback') this.counts.setbacks++;
    if (delayMs === undefined) {
      this.counts.dead++;
      this.setbacksOf(job).seen.forget(job.id);
      this.logger.error(`${name} is dead after ${attempts} attempts: ${text}`, (error as Error).stack);
      return;
    }
    const wait = `Retrying in ${Math.round(delayMs)} ms`;
    // During a brownout every job has setbacks, and `setbacks` logs one line for all of them.
    if (verdict === 'setback') this.logger.debug(`${name} had a setback: ${text}. ${wait}`);
    else this.logger.warn(`${name} failed ${attempts} times: ${text}. ${wait}`);
    this.wakeIn(delayMs);
  }

  /** Records that an attempt failed. A job's death is recorded together with what its `@JobDead` method writes (P1). */
  private async putBack(job: ClaimedJob, { dead }: JobQueue, failed: PutBack): Promise<boolean> {
    if (!dead || failed.delayMs !== undefined) return this.store.putBack(this.dataSource, job, failed);
    const { id, queue, data } = job;
    return inTransaction(this.dataSource, async (tx) => {
      await tx.query(`select set_config('lock_timeout', '${LOCK_TIMEOUT}', true)`);
      if (!(await this.store.putBack(tx, job, failed))) return false;
      try {
        await dead(tx, { id, queue, data, attempt: failed.attempts }, failed.error);
      } catch (error) {
        throw new JobDeadMethodError(error);
      }
      return true;
    });
  }

  /**
   * Records in the database how a job ended, and retries until that succeeds. Meanwhile the job stays in flight and its lease is
   * renewed, so that a short outage does not repeat a call. Returns false if the lease was lost or the process is shutting down.
   */
  private async recordOutcome(write: () => Promise<boolean>, onError?: (error: unknown) => void): Promise<boolean> {
    for (let failures = 0; ; failures++) {
      try {
        const written = await write();
        this.recording.done();
        return written;
      } catch (error) {
        this.recording.failed(describeError(error));
        this.logger.warn(`Cannot record the outcome of a job: ${describeError(error)}`);
        onError?.(error);
      }
      await pause(backOffMs(failures, 200, 3000), this.stopped.signal);
      if (this.stopped.signal.aborted) return false;
    }
  }

  private async renew(): Promise<void> {
    const now = performance.now();
    const held = [...this.inFlight.keys()];
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
