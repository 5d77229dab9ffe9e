/**
 * Thrown by a handler that can never succeed with this message (an unknown order, a violated rule). The message becomes a dead
 * letter at once, with this error's message as the recorded reason. Any other error is retried.
 */
export class PermanentError extends Error {
  override readonly name = 'PermanentError';
}

/**
 * An operator has asked for something that is invalid or impossible. Nothing has changed. The message says what is wrong with the input. Any
 * other error, such as a plain RangeError or TypeError, is a bug or an outage.
 */
export class InvalidInputError extends RangeError {
  override readonly name = 'InvalidInputError';
}

/** Describes an error and its causes, without repeating a cause and without any payload. */
export function describeError(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return describeError(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  const own = error.message === '' ? ((error as NodeJS.ErrnoException).code ?? error.name) : error.message;
  if (error.cause === undefined || error.cause === error) return own;
  const cause = describeError(error.cause);
  // An error that wraps another often repeats its words.
  return own.endsWith(cause) ? own : `${own}: ${cause}`;
}

/** The code of an error that persists until Kafka or this client is configured differently: a wrong password, an unknown authority. */
export const REFUSED = 'KAFKA_REFUSED';

/** Whether Kafka refuses the connections of this client, as opposed to an outage. */
export function isRefused(error: unknown): boolean {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: unknown };
  return code === REFUSED || (cause !== undefined && cause !== error && isRefused(cause));
}
