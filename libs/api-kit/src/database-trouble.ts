import { CONSEQUENCES, databaseErrorOf } from '@twinbox/messaging/database-errors';

/** What a database error means for the request it ended: the server cannot be reached, or the transaction may be repeated. */
export type DatabaseTrouble = 'database-unavailable' | 'try-again';

/**
 * Tells a database that is away, or a transaction that may be repeated, from every other error: by the table that consumers and
 * jobs go by too.
 */
export function databaseTrouble(error: unknown): DatabaseTrouble | undefined {
  const known = databaseErrorOf(error, { anySocket: true });
  return known && CONSEQUENCES[known].http;
}

/** The words of an error for one line of the log. An AggregateError (a name with several addresses) has none of its own. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message || (error instanceof AggregateError ? error.errors.map(reasonOf).join('; ') : error.name);
}
