/**
 * The class of an error of PostgreSQL, or of the connection to it, by what it says about the work that failed.
 *
 * - `unavailable`: the server cannot be reached, or cannot work: no connection, no resources, read-only, damaged files.
 * - `timed-out`: the statement took too long and was cancelled.
 * - `contended`: another transaction interfered: a deadlock, a lock timeout, a serialization failure.
 * - `stale`: a prepared statement no longer matches its table, or the server does not know it.
 * - `never`: the data cannot be stored or read in its present form.
 * - `rejected`: any other statement error. A deployment, or another message, may make it succeed later.
 */
export type DatabaseError = 'unavailable' | 'timed-out' | 'contended' | 'stale' | 'never' | 'rejected';

/** The consequences of an error, by kind of work. */
export interface Consequence {
  /** The problem code that an HTTP request ends with. Without one, it is an internal error. */
  readonly http?: 'database-unavailable' | 'try-again';
  /**
   * The consequence for a message or a job. A `setback` is the environment's fault and does not count as an attempt. An `attempt`
   * counts. `never` makes it a dead letter or dead job at once.
   */
  readonly work: 'setback' | 'attempt' | 'never';
  /** Whether the setback counts as an attempt after all if it keeps affecting the same message or job while others succeed. */
  readonly mayBeItsOwn?: true;
}

/** The table that HTTP, the inbox and the jobs share. */
export const CONSEQUENCES: Readonly<Record<DatabaseError, Consequence>> = {
  unavailable: { http: 'database-unavailable', work: 'setback', mayBeItsOwn: true },
  'timed-out': { http: 'try-again', work: 'setback', mayBeItsOwn: true },
  // Without `mayBeItsOwn`, because an unrelated transaction may hold the lock for an hour while other messages succeed.
  contended: { http: 'try-again', work: 'setback' },
  stale: { http: 'try-again', work: 'setback' },
  never: { work: 'never' },
  rejected: { work: 'attempt' },
};

/** Classes by SQLSTATE (PostgreSQL's manual, appendix A). The first match counts; anything not listed is `rejected`. */
const SQLSTATES: readonly (readonly [RegExp, DatabaseError])[] = [
  // Connection exceptions, authorization, a missing database, a statement whose completion is unknown.
  [/^(08...|28...|3D000|40003)$/, 'unavailable'],
  // An unreachable foreign server.
  [/^HV00N$/, 'unavailable'],
  // Out of memory, disk space or connections; shutdown, crash, start-up, a dropped database, an idle session.
  [/^(53...|57P0[1-5])$/, 'unavailable'],
  // System errors, such as I/O; corrupted data or indexes; an invalid configuration file.
  [/^(58...|XX00[12]|F0...)$/, 'unavailable'],
  // A server that became a replica; transactions that the server ended because they were idle or open for too long.
  [/^(25006|25P0[34])$/, 'unavailable'],
  // A statement timeout, or a statement that an operator cancelled.
  [/^57014$/, 'timed-out'],
  // Serialization failure, deadlock, lock timeout, object in use, snapshot too old.
  [/^(40001|40P01|55P03|55006|72000)$/, 'contended'],
  // A prepared statement that does not exist or already exists, behind a pooler that does not track them.
  [/^(26000|42P05)$/, 'stale'],
  // Data exceptions, a null in a not-null column, exceeded program limits: an index row too large, a stack too deep.
  [/^(22...|23502|54...)$/, 'never'],
];

/** Node's codes for connections that failed or broke. */
const BROKEN_CONNECTION = new Set([
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

/** Node's codes for a TLS connection that could not be established: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const TLS_FAILURE = /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|INVALID_CA)/;

/** Errors of pg, pg-pool and TypeORM that have no code. The "released" ones mean that the connection broke between statements. */
const CONNECTION_MESSAGES = [
  /^Connection terminated/,
  /^The server does not support SSL connections$/,
  /^There was an error establishing an SSL connection$/,
  /^timeout expired$/,
  /^timeout exceeded when trying to connect$/,
  /^Query read timeout$/,
  /^Client (has encountered a connection error|was closed) and is not queryable$/,
  /^Cannot use a pool after calling end on the pool$/,
  /^Query runner already released\b/,
  /^Database connection provided by a query runner was already released\b/,
  /^Driver not Connected$/,
];

/** Requires a digit, which every error's SQLSTATE has, so that EPIPE does not match. */
const SQLSTATE = /^(?=.*[0-9])[0-9A-Z]{5}$/;
const MAX_DEPTH = 8;

/** The fields read from an error: PostgreSQL's fields as pg exposes them, and the wrapped errors. */
interface Fields {
  readonly code?: unknown;
  readonly severity?: unknown;
  readonly routine?: unknown;
  readonly message?: unknown;
  readonly driverError?: unknown;
  readonly cause?: unknown;
  readonly errors?: unknown;
}

/**
 * Classifies a thrown error; undefined if it did not come from the database. Looks into TypeORM's QueryFailedError, causes and
 * AggregateErrors. If there are several database errors, a setback takes precedence.
 *
 * A socket error counts as a database error only if a statement caused it, because a handler may use other sockets too. With
 * `anySocket`, for callers that use no others, every socket error counts.
 */
export function databaseErrorOf(error: unknown, { anySocket = false } = {}): DatabaseError | undefined {
  let found: DatabaseError | undefined;
  for (const { fields, inQuery } of causesOf(error)) {
    const one = classOf(fields, anySocket || inQuery);
    if (one === undefined) continue;
    if (CONSEQUENCES[one].work === 'setback') return one;
    if (found === undefined || one === 'never') found = one;
  }
  return found;
}

/** Whether the error means that a prepared statement has to be prepared again. */
export function isStaleStatement(error: unknown): boolean {
  return databaseErrorOf(error) === 'stale';
}

function classOf(fields: Fields, socketsCount: boolean): DatabaseError | undefined {
  const { code, message } = fields;
  if (typeof code === 'string') {
    if (socketsCount && (BROKEN_CONNECTION.has(code) || TLS_FAILURE.test(code))) return 'unavailable';
    if (SQLSTATE.test(code)) return classOfSqlState(code, fields);
  }
  return typeof message === 'string' && CONNECTION_MESSAGES.some((known) => known.test(message))
    ? 'unavailable'
    : undefined;
}

function classOfSqlState(code: string, { severity, routine, message }: Fields): DatabaseError {
  const known = SQLSTATES.find(([pattern]) => pattern.test(code))?.[1];
  if (known && CONSEQUENCES[known].work === 'setback') return known;
  // The error ended the session or kept it from starting, as in a database that accepts no connections (55000).
  if (severity === 'FATAL' || severity === 'PANIC') return 'unavailable';
  // "cached plan must not change result type", in any language. Other errors with this code mean an unsupported feature.
  if (code === '0A000' && (routine === 'RevalidateCachedQuery' || String(message).startsWith('cached plan must not')))
    return 'stale';
  // A standby refuses some things with the code of an unsupported feature or a wrong state, as English messages show.
  if (
    /^(0A000|55000)$/.test(code) &&
    /\b(during recovery|in a hot standby|recovery is in progress)$/.test(String(message))
  )
    return 'unavailable';
  // Two sessions changed the catalogue concurrently. PostgreSQL does not translate this message.
  if (code === 'XX000' && /^tuple concurrently (updated|deleted)$/.test(String(message))) return 'contended';
  return known ?? 'rejected';
}

/** Yields the error and the errors that it wraps, each once. */
export function* causesOf(
  error: unknown,
  inQuery = false,
  depth = 0,
  seen = new Set<unknown>(),
): Generator<{ fields: Fields; inQuery: boolean }> {
  if (typeof error !== 'object' || error === null || depth > MAX_DEPTH || seen.has(error)) return;
  seen.add(error);
  const fields = error as Fields;
  yield { fields, inQuery };
  const { driverError, cause, errors } = fields;
  yield* causesOf(driverError, true, depth + 1, seen);
  yield* causesOf(cause, inQuery, depth + 1, seen);
  if (Array.isArray(errors)) for (const one of errors) yield* causesOf(one, inQuery, depth + 1, seen);
}
