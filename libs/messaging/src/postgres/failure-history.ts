/** A failed attempt at a message or job. */
export interface FailedAttempt {
  readonly at: Date;
  /** The first 1,000 characters of the error. */
  readonly error: string;
}

/** How many failed attempts a row keeps, and how much of each error, so that a row stays below some 20 kB. */
const KEPT = 20;
const MAX_ERROR = 1000;

/** Returns the SQL of a history with one more failed attempt, without the oldest one if it is full. `error` is a text that is not null. */
export function withFailure(history: string, error: string): string {
  return `case when jsonb_array_length(${history}) >= ${KEPT} then ${history} - 0 else ${history} end || ${firstFailure(error)}`;
}

/** Returns the SQL of a history with one failed attempt. `error` is a text that is not null. */
export function firstFailure(error: string): string {
  return `jsonb_build_array(jsonb_build_object('at', clock_timestamp(), 'error', left(${error}, ${MAX_ERROR})))`;
}

/** A history as the driver returns it. */
export type StoredHistory = readonly { readonly at: string; readonly error: string }[];

export function historyOf(stored: StoredHistory): FailedAttempt[] {
  return stored.map(({ at, error }) => ({ at: new Date(at), error }));
}
