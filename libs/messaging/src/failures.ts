import { ValidationError } from 'class-validator';
import { PermanentError } from './errors.js';
import { InterruptedError } from './inbox-transaction.js';

/**
 * What an error means for the message: `away`: nothing, the database is not there; `contended`: nothing, others were in the
 * way; `never`: it cannot succeed; `attempt`: it failed, and may succeed later.
 */
export type Failure = 'away' | 'contended' | 'never' | 'attempt';

/** Serialization failure, deadlock, lock timeout; connection exceptions, shutdown, insufficient resources (PostgreSQL, appendix A). */
const NOT_THE_HANDLERS = /^(40001|40P01|55P03|08[0-9A-Z]{3}|57P0[123]|53[0-9A-Z]{3})$/;

export function failureOf(error: unknown): Failure {
  const chain = [...causesOf(error)];
  if (chain.some((cause) => cause instanceof InterruptedError)) return 'away';
  if (chain.some((cause) => NOT_THE_HANDLERS.test(codeOf(cause)))) return 'contended';
  return chain.some(isPermanent) ? 'never' : 'attempt';
}

/** The error, and what it says it comes from, each once. */
function* causesOf(error: unknown, seen = new Set<unknown>()): Generator {
  if (typeof error !== 'object' || error === null || seen.has(error)) return;
  seen.add(error);
  yield error;
  const { cause, driverError, errors } = error as { cause?: unknown; driverError?: unknown; errors?: unknown };
  yield* causesOf(cause, seen);
  yield* causesOf(driverError, seen);
  if (Array.isArray(errors)) for (const one of errors) yield* causesOf(one, seen);
}

function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : '';
}

/** Data that a pipe refused (400 Bad Request, 422) is refused again. */
function isPermanent(error: unknown): boolean {
  if (error instanceof PermanentError || error instanceof ValidationError) return true;
  if (Array.isArray(error)) return error.length > 0 && error.every((one) => one instanceof ValidationError);
  const { getStatus } = error as { getStatus?: unknown };
  if (typeof getStatus !== 'function') return false;
  const status: unknown = getStatus.call(error);
  return status === 400 || status === 422;
}
