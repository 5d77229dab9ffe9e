import { describeError } from './errors.js';
import { type Failure, failureOf } from './failures.js';
import { type JobQueue } from './job-handlers.js';
import { type ClaimedJob } from './job-store.js';
import { backOffMs } from './waiting.js';

/** The attempt took longer than its queue allows. It counts. */
export class TimedOutError extends Error {
  override readonly name = 'TimedOutError';

  constructor(timeoutMs: number) {
    super(`not done after ${timeoutMs} ms`);
  }
}

/** The process stops. */
export class HandedBackError extends Error {
  override readonly name = 'HandedBackError';

  constructor() {
    super('the process stops');
  }
}

/** Another process has the job, or may have it by now. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';

  constructor() {
    super('its lease ran out, and may be held by another process');
  }
}

/** The method that hears of dead jobs has failed, and so the job is not dead. The database is there. */
export class UnheardError extends Error {
  override readonly name = 'UnheardError';

  constructor(cause: unknown) {
    super(`who hears of dead jobs has failed: ${describeError(cause)}`, { cause });
  }
}

/** What an error means for the job: as for a message, or nothing, as it was given up. */
export function failureOfJob(error: unknown): Failure | 'handed-back' | 'lease-lost' {
  if (error instanceof HandedBackError) return 'handed-back';
  if (error instanceof LeaseLostError) return 'lease-lost';
  if (error instanceof TimedOutError) return 'attempt';
  return failureOf(error);
}

/** What a failed attempt leaves behind; without a wait the job is dead. */
export interface AfterFailure {
  readonly attempts: number;
  readonly setbacks: number;
  readonly delayMs: number | undefined;
}

/** Jobs that waited for the environment go on within a minute of its recovery. */
const MOST_SETBACK_MS = 60_000;

/** What becomes of the job: a `setback` was the environment's fault, and only lengthens the wait. */
export function afterFailure(
  verdict: 'setback' | 'never' | 'attempt',
  { attempts, setbacks }: Pick<ClaimedJob, 'attempts' | 'setbacks'>,
  { maxAttempts, backOff: { firstMs, maxMs } }: JobQueue,
): AfterFailure {
  // One without an attempt left was claimed to be marked dead: a setback of that is none of the job's.
  if (verdict === 'setback' && attempts < maxAttempts) {
    const mostMs = Math.max(firstMs, Math.min(maxMs, MOST_SETBACK_MS));
    return { attempts, setbacks: setbacks + 1, delayMs: backOffMs(setbacks, firstMs, mostMs) };
  }
  const now = Math.min(attempts + 1, Math.max(attempts, maxAttempts));
  const dead = verdict !== 'attempt' || now >= maxAttempts;
  return { attempts: now, setbacks: 0, delayMs: dead ? undefined : backOffMs(now - 1, firstMs, maxMs) };
}
