/** An expected failure. Its message says what is wrong and what to do, so it is printed without a stack. */
export class OperationalError extends Error {
  override readonly name = 'OperationalError';
}

/** Returns the text to print for an error: only the message of an expected failure; anything else is a bug and has its stack. */
export function describeError(error: unknown): string {
  if (error instanceof OperationalError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
