/** A failure we foresee. Its message says what is wrong and what to do, so it is shown without a stack. */
export class Trouble extends Error {
  override readonly name = 'Trouble';
}

/** What to show a person: foreseen failures in our words, anything else with its stack, for then it is a bug of ours. */
export function describe(error: unknown): string {
  if (error instanceof Trouble) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
