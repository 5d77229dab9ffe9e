import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { type DataSource } from 'typeorm';
import { seekStrays } from './due-range.js';
import { type DueWork } from './due-work.js';
import { describeError, PermanentError } from './errors.js';
import { Gather } from './gather.js';
import { type ComponentHealth, Progress } from './health.js';
import {
  afterFailure,
  type AfterFailure,
  failureOfJob,
  HandedBackError,
  LeaseLostError,
  TimedOutError,
  UnheardError,
} from './job-failures.js';
import { type Failure, isSetback, mayBeItsOwn } from './failures.js';
import { LOCK_TIMEOUT } from './inbox-store.js';
import { inTransaction } from './inbox-transaction.js';
import { type JobQueue } from './job-handlers.js';
import { type ClaimedJob, type JobStore, type PutBack } from './job-store.js';
import { Setbacks, type WatchedAttempt } from './setbacks.js';
import { backOffMs, pause, settlesWithin, STOP_MS, WakeUpCall } from './waiting.js';

/** In milliseconds. */
export interface JobTiming {
  /** A process that was killed holds its jobs for so long. */
  readonly leaseMs: number;
  readonly renewEveryMs: number;
}

/** Two renewals may fail before the jobs are another's. */
export const JOB_TIMING: JobTiming = { leaseMs: 30_000, renewEveryMs: 10_000 };

/** A handler may take its time before health calls it stuck. */
const HANDLER_STALLS_AFTER_MS = 30_000;
/** How long the database may take, at the stop, to hear of the jobs that were given up. */
const HAND_BACK_MS = 1000;
const CLAIM_AGAIN_MS = 1000;
/** How soon a worker notices jobs that a clock which was set back has put too far ahead. */
const BRING_FORWARD_EVERY_MS = 10_000;
/** So many lengths of a lease it is remembered that a claim was lost: others may claim its jobs first. */
const FORGIVEN_LEASES = 3;
/** How soon a job is found that was committed long after its time, in a table with many dead rows. */
const STRAYS_EVERY_MS = 25_000;
/** More jobs than this that wait for another attempt are found by the poll, up to a second later. */
const MOST_TIMERS = 1000;

/** What a queue's jobs tell of the environment. */
class QueueSetbacks {
  /** Jobs that this process has finished. */
  done = 0;
  readonly seen: Setbacks;

  constructor(warn: (line: string) => void) {
    this.seen = new Setbacks(() => this.done, warn);
  }
}

/** A job that this process runs, from the claim until the database knows how it ended. */
interface InHand {
  readonly job: ClaimedJob;
  readonly queue: JobQueue;
  /** Given up: the reason is one of the errors in job-failures.ts. */
  readonly abort: AbortController;
  readonly progress: Progress;
  readonly watched: WatchedAttempt;
  /** Counted from before the claim or renewal was sent, on our own clock. */
  leasedUntil: number;
  /** The lease could not be renewed because the database did not answer. */
  renewalFailed: boolean;
  /** The handler has ended: what is left is to say so. */
  ended: boolean;
}

/**
 * Runs the jobs of the queues that this process handles, outside of any transaction. A job is leased while it runs, and its
 * lease renewed; a process that is killed leaves a lease that runs out, and then another takes the job: so it is run at least
 * once, and its id is what makes the call idempotent. What a worker does with a job whose lease is another's has no effect.
 *
 * A queue that is slow, or has much to do, is in no other's way. An idle worker waits to be woken; only for jobs that were
 * committed late, or that a clock which was set back has put too far ahead, it looks by itself, at a low rate.
 */
export class JobWorker {
  private readonly logger = new Logger('Jobs');
  private readonly queues: ReadonlyMap<string, JobQueue>;
  private readonly call = new WakeUpCall();
  private readonly claiming = new Progress();
  private readonly settling = new Progress();
  private readonly inHand = new Map<InHand, Promise<void>>();
  /** Queues that may have more due than there was room for. */
  private readonly backlogs = new Set<string>();
  private readonly timers = new Set<NodeJS.Timeout>();
  /** Each answers whether the lease was still ours. */
  private readonly removals: Gather<ClaimedJob, boolean>;
  private readonly counts = { done: 0, failedAttempts: 0, setbacks: 0, dead: 0 };
  /** Of each queue, with how many of its jobs are done. */
  private readonly setbacks = new Map<string, QueueSetbacks>();
  /** Leases that may run out through no fault of their jobs, and when they are over in any case. */
  private readonly forgiven = new Map<string, number>();
  /** Of these, claims whose answers were lost. */
  private readonly unanswered = new Set<string>();
  private clockChecks: NodeJS.Timeout | undefined;
  private clockCheck: Promise<void> | undefined;
  /** No new jobs from now on. */
  private readonly stopping = new AbortController();
  /** And none in hand. */
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
      together: async (done) => {
        const removed = await store.remove(dataSource, done);
        return done.map(({ id }) => removed.has(id));
      },
    });
  }

  start(): void {
    if (this.running || this.queues.size === 0) return;
    this.dueWork.queues.push(...this.queues.keys());
    this.dueWork.on('jobs', () => this.wake());
    const checkClock = () => void (this.clockCheck = this.bringForward());
    checkClock();
    this.clockChecks = setInterval(checkClock, BRING_FORWARD_EVERY_MS);
    this.running = this.run();
    this.seekingStrays = this.seekStrays();
  }

  /**
   * Lets the jobs in hand finish for up to 4 s; the others are handed back for another process, with their attempts as they
   * were.
   */
  async stop(): Promise<void> {
    if (!this.running) return;
    this.stopping.abort();
    for (const timer of this.timers) clearTimeout(timer);
    clearInterval(this.clockChecks);
    this.wake();
    await settlesWithin(STOP_MS, this.idle());
    for (const { abort } of this.inHand.keys()) abort.abort(new HandedBackError());
    if (!(await settlesWithin(HAND_BACK_MS, this.idle())))
      this.logger.warn(`${this.inHand.size} jobs were not handed back: others run them once their leases are over`);
    this.stopped.abort();
    clearInterval(this.renewals);
  }

  health(): ComponentHealth {
    const slow = [...this.inHand.keys()].map(({ progress }) => progress.report(HANDLER_STALLS_AFTER_MS));
    const setbacks = [...this.setbacks.values()].map(({ seen }) => seen.report());
    const worst = [this.claiming.report(), this.settling.report(), ...slow, ...setbacks].find(
      ({ healthy }) => !healthy,
    );
    return { healthy: true, ...worst, running: this.inHand.size, ...this.counts };
  }

  private async idle(): Promise<void> {
    await this.running;
    await Promise.all([this.clockCheck, this.seekingStrays]);
    await Promise.all(this.inHand.values());
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
      this.logger.warn(`The database's clock was set back: ${count} jobs were brought forward`);
    } catch (error) {
      this.logger.warn(`Cannot look for jobs that are too far ahead: ${describeError(error)}`);
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
      ).catch((error: unknown) => this.logger.warn(`Cannot look for late jobs: ${describeError(error)}`));
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
      // It may have been carried out, or be carried out yet: then nobody runs its jobs.
      this.forgive(lease);
      this.unanswered.add(lease);
      this.claiming.failed(describeError(error));
      this.logger.warn(`Cannot look for jobs: ${describeError(error)}`);
      // Not left to the poll, which tells only of what is still due then: health has to know that it works again.
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
      this.take(job, leasedUntil);
    }
    // Jobs that ended while the answer was under way have made room, and found no backlog to look at.
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
    return [...this.inHand.keys()].filter(({ job }) => job.queue === queue).length;
  }

  /** How many jobs each queue has room for; a queue that has none looks again when it has. */
  private room(): Map<string, number> {
    const room = new Map<string, number>();
    this.backlogs.clear();
    for (const { name, concurrency } of this.queues.values()) {
      const places = concurrency - this.busy(name);
      if (places > 0) room.set(name, places);
      else this.backlogs.add(name);
    }
    return room;
  }

  private take(job: ClaimedJob, leasedUntil: number): void {
    const queue = this.queues.get(job.queue);
    if (!queue) return;
    const abort = new AbortController();
    const watched = this.setbacksOf(job).seen.begun(job.id);
    const progress = new Progress();
    const inHand = { job, queue, abort, progress, watched, leasedUntil, renewalFailed: false, ended: false };
    progress.begun();
    const done = this.runToItsEnd(inHand).finally(() => {
      this.inHand.delete(inHand);
      if (this.inHand.size === 0) {
        clearInterval(this.renewals);
        this.renewals = undefined;
      }
      if (this.backlogs.has(job.queue)) this.wake();
    });
    this.inHand.set(inHand, done);
    this.renewals ??= setInterval(() => void this.renew(), this.timing.renewEveryMs);
  }

  /** Never throws. */
  private async runToItsEnd(inHand: InHand): Promise<void> {
    const { job } = inHand;
    try {
      await this.attempt(inHand);
    } catch (error) {
      inHand.ended = true;
      await this.failed(inHand, error);
      return;
    }
    inHand.ended = true;
    const removed = await this.written(() => this.removals.write(job));
    if (!removed) return;
    this.counts.done++;
    const ofQueue = this.setbacksOf(job);
    ofQueue.done++;
    ofQueue.seen.ended(job.id);
  }

  private setbacksOf({ queue }: ClaimedJob): QueueSetbacks {
    const known = this.setbacks.get(queue);
    if (!known) throw new Error(`No handler for the jobs of ${queue}`);
    return known;
  }

  /** Ends with the handler, or when the attempt is given up: a handler that ignores its signal is left to itself. */
  private async attempt({ job, queue, abort }: InHand): Promise<void> {
    const { id, data, attempts } = job;
    // Put back it would be dead already.
    if (attempts >= queue.maxAttempts)
      throw new PermanentError('no attempt is left: its last process died, or lost the database, while running it');
    const { signal } = abort;
    const givenUp = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
    const timer = setTimeout(() => abort.abort(new TimedOutError(queue.timeoutMs)), queue.timeoutMs);
    const handled = (async () => queue.handle({ id, queue: queue.name, data, attempt: attempts + 1 }, signal))();
    handled.catch(() => undefined);
    givenUp.catch(() => undefined);
    try {
      await Promise.race([handled, givenUp]);
    } finally {
      clearTimeout(timer);
    }
  }

  private async failed(inHand: InHand, error: unknown): Promise<void> {
    const { job, queue } = inHand;
    const name = `Job ${job.id} of ${job.queue}`;
    const text = describeError(error);
    const failure = failureOfJob(error);
    if (failure === 'lease-lost') {
      // The lease ran out because the database did not answer: that is not the job's fault.
      if (inHand.renewalFailed) this.forgive(job.lease);
      this.logger.warn(`${name} is given up: ${text}`);
      return;
    }
    if (failure === 'handed-back') {
      await this.written(() => this.store.handBack(this.dataSource, [job]).then(() => true));
      return;
    }
    let verdict = this.verdictOn(inHand, failure, text);
    let next = afterFailure(verdict, job, queue);
    const written = await this.written(
      () => this.putBack(job, queue, { ...next, error: text }),
      (notWritten) => {
        // The database is away: what a handler throws meanwhile says little about its job.
        if (verdict !== 'attempt' || notWritten instanceof UnheardError) return;
        verdict = 'setback';
        next = afterFailure(verdict, job, queue);
      },
    );
    if (written) this.tellOf(job, verdict, next, error);
  }

  private verdictOn({ job, watched }: InHand, failure: Failure, text: string): 'setback' | 'never' | 'attempt' {
    const { seen } = this.setbacksOf(job);
    if (failure === 'never' || failure === 'attempt') return failure;
    if (isSetback(failure) && mayBeItsOwn(failure)) return seen.counts(watched, text) ? 'attempt' : 'setback';
    seen.met(text);
    return 'setback';
  }

  private tellOf(
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
      this.setbacksOf(job).seen.ended(job.id);
      this.logger.error(`${name} is dead after ${attempts} attempts: ${text}`, (error as Error).stack);
      return;
    }
    const wait = `Trying again in ${Math.round(delayMs)} ms`;
    // During a brownout every job meets setbacks: one line for all of them is logged by `setbacks`.
    if (verdict === 'setback') this.logger.debug(`${name} met a setback: ${text}. ${wait}`);
    else this.logger.warn(`${name} failed ${attempts} times: ${text}. ${wait}`);
    this.wakeIn(delayMs);
  }

  /** A job that dies does so together with what is written by whoever hears of it (P1). */
  private async putBack(job: ClaimedJob, { dead }: JobQueue, failed: PutBack): Promise<boolean> {
    if (!dead || failed.delayMs !== undefined) return this.store.putBack(this.dataSource, job, failed);
    const { id, queue, data } = job;
    return inTransaction(this.dataSource, async (tx) => {
      await tx.query(`select set_config('lock_timeout', '${LOCK_TIMEOUT}', true)`);
      if (!(await this.store.putBack(tx, job, failed))) return false;
      try {
        await dead(tx, { id, queue, data, attempt: failed.attempts }, failed.error);
      } catch (error) {
        throw new UnheardError(error);
      }
      return true;
    });
  }

  /**
   * Tells the database how a job ended, however long that takes: until then it is in hand and its lease renewed, so that a
   * short outage makes no call a second time. False when the lease is another's, or the process stops.
   */
  private async written(write: () => Promise<boolean>, onError?: (error: unknown) => void): Promise<boolean> {
    for (let failures = 0; ; failures++) {
      try {
        const written = await write();
        this.settling.done();
        return written;
      } catch (error) {
        this.settling.failed(describeError(error));
        this.logger.warn(`Cannot record the end of a job: ${describeError(error)}`);
        onError?.(error);
      }
      await pause(backOffMs(failures, 200, 3000), this.stopped.signal);
      if (this.stopped.signal.aborted) return false;
    }
  }

  private async renew(): Promise<void> {
    const now = performance.now();
    const held = [...this.inHand.keys()];
    for (const { leasedUntil, ended, abort } of held)
      if (leasedUntil < now && !ended) abort.abort(new LeaseLostError());
    // One that is still under way, over a silent connection, must not pile up others.
    if (this.renewing || held.length === 0) return;
    this.renewing = true;
    try {
      const jobs = held.map(({ job }) => job);
      const kept = await this.store.renew(this.dataSource, jobs, this.timing.leaseMs);
      for (const inHand of held) {
        inHand.renewalFailed = false;
        if (kept.has(inHand.job.id)) inHand.leasedUntil = now + this.timing.leaseMs;
        else if (!inHand.ended) inHand.abort.abort(new LeaseLostError());
      }
    } catch (error) {
      for (const inHand of held) inHand.renewalFailed = true;
      this.logger.warn(`Cannot renew the leases of ${held.length} jobs: ${describeError(error)}`);
    } finally {
      this.renewing = false;
    }
  }

  private wakeIn(ms: number): void {
    if (this.stopping.signal.aborted || this.timers.size >= MOST_TIMERS) return;
    // A little later, for the database's clock decides.
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      this.wake();
    }, ms + 5);
    this.timers.add(timer);
  }
}
