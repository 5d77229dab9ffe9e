import { CONSEQUENCES, databaseErrorOf } from '@twinbox/messaging/database-errors';

/** The code of the problem that a request gets for a database error: the database is unavailable, or the transaction may be repeated. */
export type DatabaseProblemCode = 'database-unavailable' | 'try-again';

/** Classifies a database error by the table that consumers and jobs use too. Returns undefined for any other error. */
export function classifyDatabaseError(error: unknown): DatabaseProblemCode | undefined {
  const known = databaseErrorOf(error, { anySocket: true });
  return known && CONSEQUENCES[known].http;
}

/** Returns the text of an error for a log line. An AggregateError (for a host with several addresses) has no message of its own. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message || (error instanceof AggregateError ? error.errors.map(reasonOf).join('; ') : error.name);
}
