import { QueryFailedError, QueryRunnerAlreadyReleasedError, QueryRunnerProviderAlreadyReleasedError } from 'typeorm';
import { describeError } from './errors.js';
import { type Failure, failureOf } from './failures.js';
import { type JobQueue } from './job-handlers.js';
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
  return isLostConnection(error) ? 'away' : failureOf(error);
}

/** Attempts after a failure, and the wait until the next one; without a wait the job is dead. */
export function afterFailure(
  failure: Failure,
  attempts: number,
  { maxAttempts, backOff }: JobQueue,
): { attempts: number; delayMs: number | undefined } {
  const counts = failure === 'attempt' || failure === 'never';
  const now = counts && attempts < maxAttempts ? attempts + 1 : attempts;
  const dead = failure === 'never' || now >= maxAttempts;
  return { attempts: now, delayMs: dead ? undefined : backOffMs(Math.max(0, now - 1), backOff.firstMs, backOff.maxMs) };
}

/**
 * A statement of the handler's own that PostgreSQL did not answer: pg's error has no SQLSTATE then. Or the connection broke between
 * two of a transaction, and TypeORM has no more of it.
 */
function isLostConnection(error: unknown): boolean {
  if (error instanceof QueryRunnerAlreadyReleasedError || error instanceof QueryRunnerProviderAlreadyReleasedError)
    return true;
  if (!(error instanceof QueryFailedError)) return false;
  const { code } = error.driverError as { code?: unknown };
  return typeof code !== 'string' || !/^[0-9A-Z]{5}$/.test(code);
}
