import { TokenUnavailable, TwinboxConnectionError, TwinboxProblem } from './errors.js';
import { backoff } from './wait.js';

/** The part of a request that decides whether it may be repeated. */
interface Repeated {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
}

/** Codes of answers with which the service, or the replica, has refused a request before it did anything. */
const NOTHING_CHANGED = new Set(['overloaded', 'service-stopping', 'keys-unavailable']);
/** DELETEs that are answered alike if there is nothing to remove. Resuming what is not paused is answered with 200. */
const REPEATABLE_DELETE = /\/admin\/messaging\/pauses\/[^/]+\/[^/?]+(?:\?|$)/;
const PRECONDITIONS = ['if-match', 'if-none-match', 'if-unmodified-since'];
const PAUSE = { first: 250, most: 5000 };

/** Whether the same request may succeed later. */
export function mayPass(error: unknown): error is TwinboxProblem | TwinboxConnectionError {
  if (error instanceof TwinboxProblem) return [429, 502, 503, 504].includes(error.status);
  return error instanceof TwinboxConnectionError;
}

/**
 * Whether a request may be repeated although an earlier attempt may have taken effect, without an answer about the effect of that attempt.
 *
 * - A request that was refused, or that got no token, had no effect.
 * - A GET has none, and a POST with an idempotency key has it once.
 * - A PUT is idempotent: it states the whole result. With a precondition, a repeated one would be answered with a conflict with itself.
 * - A repeated DELETE is answered with 404, except that of a pause, and a PATCH is not idempotent (RFC 9110, section 9.2.2; RFC 5789,
 *   section 2).
 */
export function isRepeatable({ method, url, headers }: Repeated, error: unknown): boolean {
  if (error instanceof TokenUnavailable) return true;
  if (error instanceof TwinboxProblem && (error.status === 429 || NOTHING_CHANGED.has(error.code))) return true;
  if (method === 'PUT') return !PRECONDITIONS.some((name) => headers.has(name));
  if (method === 'POST') return headers.has('idempotency-key');
  if (method === 'DELETE') return REPEATABLE_DELETE.test(url);
  return method === 'GET' || method === 'HEAD';
}

/** Returns how long to wait before the next attempt: at least as long as the service asks for. */
export function pauseBefore(failures: number, error: unknown): number {
  const asked = error instanceof TwinboxProblem ? (error.retryAfterMs ?? 0) : 0;
  // In addition, so that clients that were refused at the same moment do not all come back at the same moment.
  return asked + backoff(failures, PAUSE);
}
