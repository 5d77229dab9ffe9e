import { ValidationError } from 'class-validator';
import { causesOf, CONSEQUENCES, type DatabaseError, databaseErrorOf } from './database-errors.js';
import { PermanentError } from '../errors.js';
import { InterruptedError } from './transaction.js';

/**
 * What an error means for the message. `away`: nothing, because the connection was lost. `never`: the message cannot succeed.
 * `attempt`: it failed, and may succeed later. All others are setbacks: the environment's fault, not the message's.
 */
export type Failure = 'away' | Setback | 'never' | 'attempt';

export type Setback = Extract<DatabaseError, 'unavailable' | 'timed-out' | 'contended' | 'stale'>;

export function failureOf(error: unknown): Failure {
  const chain = Array.from(causesOf(error), ({ fields }) => fields);
  if (chain.some((cause) => cause instanceof InterruptedError)) return 'away';
  const database = databaseErrorOf(error);
  if (database && isSetback(database)) return database;
  return database === 'never' || chain.some(isPermanent) ? 'never' : 'attempt';
}

export function isSetback(failure: Failure | DatabaseError): failure is Setback {
  return failure in CONSEQUENCES && CONSEQUENCES[failure as DatabaseError].work === 'setback';
}

/** Whether the work may cause the setback itself. If so, a setback that affects nothing else counts as an attempt. */
export function mayBeItsOwn(failure: Setback): boolean {
  return CONSEQUENCES[failure].mayBeItsOwn ?? false;
}

/** Whether a retry cannot succeed. Data that a pipe has rejected (400 or 422) would be rejected again. */
function isPermanent(error: unknown): boolean {
  if (error instanceof PermanentError || error instanceof ValidationError) return true;
  if (Array.isArray(error)) return error.length > 0 && error.every((one) => one instanceof ValidationError);
  const { getStatus } = error as { getStatus?: unknown };
  if (typeof getStatus !== 'function') return false;
  const status: unknown = getStatus.call(error);
  return status === 400 || status === 422;
}
