/**
 * What an error of PostgreSQL or of the way to it says about the work that met it.
 *
 * - `unavailable`: the server cannot be reached, or cannot work: no connection, no resources, read-only, damaged files.
 * - `timed-out`: the statement took too long and was cancelled.
 * - `contended`: another transaction was in the way: a deadlock, a lock timeout, a serialization failure.
 * - `stale`: a prepared statement no longer matches its table, or the server does not know it.
 * - `never`: data that cannot be stored or read as it is.
 * - `rejected`: every other error of a statement. A deployment, or another message, may make it succeed later.
 */
export type DatabaseError = 'unavailable' | 'timed-out' | 'contended' | 'stale' | 'never' | 'rejected';

/** What follows from an error for each kind of work. */
export interface Consequence {
  /** The problem that an HTTP request ends with; without one it is an internal error. */
  readonly http?: 'database-unavailable' | 'try-again';
  /**
   * For a message and a job: a `setback` is the environment's fault, and does not count as an attempt; `attempt` counts; `never`
   * makes it dead at once.
   */
  readonly work: 'setback' | 'attempt' | 'never';
  /** A setback that keeps meeting the same message or job, while others succeed, counts as an attempt after all. */
  readonly mayBeItsOwn?: true;
}

/** The one table that HTTP, the inbox and the jobs go by. */
export const CONSEQUENCES: Readonly<Record<DatabaseError, Consequence>> = {
  unavailable: { http: 'database-unavailable', work: 'setback', mayBeItsOwn: true },
  'timed-out': { http: 'try-again', work: 'setback', mayBeItsOwn: true },
  // The lock may be held for an hour, by somebody who has nothing to do with the messages that succeed meanwhile.
  contended: { http: 'try-again', work: 'setback' },
  stale: { http: 'try-again', work: 'setback' },
  never: { work: 'never' },
  rejected: { work: 'attempt' },
};

/** By SQLSTATE (PostgreSQL's manual, appendix A), the first match counts. Classes that are not listed are `rejected`. */
const SQLSTATES: readonly (readonly [RegExp, DatabaseError])[] = [
  // Connections: exceptions, authorization, a database that is not there, an unknown end of a statement.
  [/^(08...|28...|3D000|40003)$/, 'unavailable'],
  // A foreign server that does not answer.
  [/^HV00N$/, 'unavailable'],
  // No memory, disk or connection; shutdown, crash, start-up, a dropped database, an idle session.
  [/^(53...|57P0[1-5])$/, 'unavailable'],
  // Errors of the system, such as I/O; damaged data, damaged indexes; an unusable configuration file.
  [/^(58...|XX00[12]|F0...)$/, 'unavailable'],
  // A server that became a replica; sessions that the server ended because they were idle, or open for too long.
  [/^(25006|25P0[34])$/, 'unavailable'],
  // A statement timeout, or an operator who cancelled the statement.
  [/^57014$/, 'timed-out'],
  // Serialization failure, deadlock, lock timeout, an object in use, an old snapshot.
  [/^(40001|40P01|55P03|55006|72000)$/, 'contended'],
  // A prepared statement that is unknown, or known already: behind a pooler that does not track them.
  [/^(26000|42P05)$/, 'stale'],
  // Data exceptions, a missing value, what exceeds a limit of the program: an index row too large, a stack too deep.
  [/^(22...|23502|54...)$/, 'never'],
];

/** Node's codes of connections that could not be made, or broke. */
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

/** pg, pg-pool and TypeORM give these errors no code. The "released" ones come when the connection broke between two statements. */
const CONNECTION_MESSAGES = [
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

/** With a digit, which every SQLSTATE of an error has: EPIPE is none. */
const SQLSTATE = /^(?=.*[0-9])[0-9A-Z]{5}$/;
const MAX_DEPTH = 8;

/** What is read of an error: PostgreSQL's fields as pg has them, and what other errors wrap. */
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
 * What a thrown error says about the database; undefined when it did not come from there. Looks through TypeORM's
 * QueryFailedError, causes and AggregateErrors. Of several errors a setback outweighs the others.
 *
 * A socket error is the database's only where a statement met it: a handler has other sockets too. With `anySocket`, for callers
 * that have no others, each one is.
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

/** Whether it is the error of a prepared statement that has to be prepared again. */
export function isStaleStatement(error: unknown): boolean {
  return databaseErrorOf(error) === 'stale';
}

function classOf(fields: Fields, socketsCount: boolean): DatabaseError | undefined {
  const { code, message } = fields;
  if (typeof code === 'string') {
    if (socketsCount && BROKEN_CONNECTION.has(code)) return 'unavailable';
    if (SQLSTATE.test(code)) return classOfSqlState(code, fields);
  }
  return typeof message === 'string' && CONNECTION_MESSAGES.some((known) => known.test(message))
    ? 'unavailable'
    : undefined;
}

function classOfSqlState(code: string, { severity, routine, message }: Fields): DatabaseError {
  const known = SQLSTATES.find(([pattern]) => pattern.test(code))?.[1];
  if (known && CONSEQUENCES[known].work === 'setback') return known;
  // The server ended the session with it, or let none begin, as a database does that takes no connections (55000).
  if (severity === 'FATAL' || severity === 'PANIC') return 'unavailable';
  // "cached plan must not change result type", in any language. The code's other errors are of missing features.
  if (code === '0A000' && (routine === 'RevalidateCachedQuery' || String(message).startsWith('cached plan must not')))
    return 'stale';
  // Two changed the catalogue at the same time. PostgreSQL does not translate it.
  if (code === 'XX000' && /^tuple concurrently (updated|deleted)$/.test(String(message))) return 'contended';
  return known ?? 'rejected';
}

/** The error and what it wraps, each once. */
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
