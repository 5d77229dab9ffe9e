/** What a database error means for the request it ended: the server cannot be reached, or the transaction may be repeated. */
export type DatabaseTrouble = 'database-unavailable' | 'try-again';

// Node's codes of connections that could not be made or broke.
const brokenConnection = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

// https://www.postgresql.org/docs/current/errcodes-appendix.html: 08 connection, 28 authorisation and 3D catalogue (the
// connection could not be opened), 53 resources, 57P operator intervention (shutdown, crash, starting up), 25006 a server
// that became a replica, 25P03/25P04 a session that the server ended for being idle or too long.
const serverUnavailable = /^(08...|28...|3D000|53...|57P0[1-5]|25006|25P0[34])$/;

// 40001 serialisation, 40P01 deadlock, 55P03 lock timeout, 57014 statement timeout.
const worthRepeating = /^(40001|40P01|55P03|57014)$/;

// pg and pg-pool give these errors no code. The last but one comes when the connection broke between two statements.
const connectionMessages = [
  /^Connection terminated/,
  /^timeout expired$/,
  /^timeout exceeded when trying to connect$/,
  /^Query read timeout$/,
  /^Client (has encountered a connection error|was closed) and is not queryable$/,
  /^Cannot use a pool after calling end on the pool$/,
  /^Query runner already released\b/,
  /^Database connection provided by a query runner was already released\b/,
  /^Driver not Connected$/,
];

/**
 * Tells a database that is away, or a transaction that lost a race, from every other error; looks through TypeORM's
 * QueryFailedError, causes and AggregateErrors (a host name with several addresses).
 */
export function databaseTrouble(error: unknown, depth = 0): DatabaseTrouble | undefined {
  if (typeof error !== 'object' || error === null || depth > 5) return undefined;
  const { code, severity, message, driverError, cause, errors } = error as Record<string, unknown>;

  if (typeof code === 'string') {
    if (worthRepeating.test(code)) return 'try-again';
    if (brokenConnection.has(code) || serverUnavailable.test(code)) return 'database-unavailable';
    // The server ended the session with it, or let none begin (a database that takes no connections: 55000).
    if (severity === 'FATAL' || severity === 'PANIC') return 'database-unavailable';
  }
  if (typeof message === 'string' && connectionMessages.some((known) => known.test(message))) {
    return 'database-unavailable';
  }
  for (const inner of [driverError, cause, ...(Array.isArray(errors) ? (errors as unknown[]) : [])]) {
    const trouble = databaseTrouble(inner, depth + 1);
    if (trouble) return trouble;
  }
  return undefined;
}

/** The words of an error for one line of the log. An AggregateError (a name with several addresses) has none of its own. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message || (error instanceof AggregateError ? error.errors.map(reasonOf).join('; ') : error.name);
}
