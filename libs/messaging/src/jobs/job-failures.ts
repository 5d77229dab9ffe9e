import { describeError } from '../errors.js';
import { type Failure, failureOf } from '../postgres/failures.js';
import { type JobQueue } from './job-queue.js';
import { type ClaimedJob } from './job-store.js';
import { backOffMs } from '../waiting.js';

/** The attempt took longer than its queue allows. It counts as an attempt. */
export class TimedOutError extends Error {
  override readonly name = 'TimedOutError';

  constructor(timeoutMs: number) {
    super(`timed out after ${timeoutMs} ms`);
  }
}

/** The process is shutting down. */
export class HandedBackError extends Error {
  override readonly name = 'HandedBackError';

  constructor() {
    super('the process is shutting down');
  }
}

/** Another process runs the job, or may run it by now. */
export class JobLeaseLostError extends Error {
  override readonly name = 'JobLeaseLostError';

  constructor() {
    super('its lease expired, so another process may be running it');
  }
}

/** The `@JobDead` method failed, so the job was not marked dead. The database was reachable. */
export class JobDeadMethodError extends Error {
  override readonly name = 'JobDeadMethodError';

  constructor(cause: unknown) {
    super(`the @JobDead method failed: ${describeError(cause)}`, { cause });
  }
}

/** Classifies an error of a job: like an error of a message, or as an attempt that was abandoned, which says nothing about the job. */
export function failureOfJob(error: unknown): Failure | 'handed-back' | 'lease-lost' {
  if (error instanceof HandedBackError) return 'handed-back';
  if (error instanceof JobLeaseLostError) return 'lease-lost';
  if (error instanceof TimedOutError) return 'attempt';
  return failureOf(error);
}

/** The state of a job after a failed attempt. Without `delayMs` the job is dead. */
export interface AfterFailure {
  readonly attempts: number;
  readonly setbacks: number;
  readonly delayMs: number | undefined;
}

/** Bounds the wait after a setback, so that jobs resume within a minute of the environment's recovery. */
const MAX_SETBACK_DELAY_MS = 60_000;

/** Decides what happens to the job. A `setback` is the environment's fault: it only lengthens the wait. */
export function afterFailure(
  verdict: 'setback' | 'never' | 'attempt',
  { attempts, setbacks }: Pick<ClaimedJob, 'attempts' | 'setbacks'>,
  { maxAttempts, backOff: { firstMs, maxMs } }: JobQueue,
): AfterFailure {
  // A job without attempts left was claimed only to be marked dead, so a setback while doing that says nothing about the job.
  if (verdict === 'setback' && attempts < maxAttempts) {
    const longestMs = Math.max(firstMs, Math.min(maxMs, MAX_SETBACK_DELAY_MS));
    return { attempts, setbacks: setbacks + 1, delayMs: backOffMs(setbacks, firstMs, longestMs) };
  }
  const counted = Math.min(attempts + 1, Math.max(attempts, maxAttempts));
  const dead = verdict !== 'attempt' || counted >= maxAttempts;
  return { attempts: counted, setbacks: 0, delayMs: dead ? undefined : backOffMs(counted - 1, firstMs, maxMs) };
}
