import { quoteIdentifier } from '../postgres/schema.js';

/** Longer than any lease and any wait. If `runner_until` is further away, the database's clock was set back. */
const LONGEST_WAIT = `interval '5 min'`;

/** The condition that an operation is open and has no live runner. messaging_operations_open serves it. */
export const IS_IDLE = `finished_at is null
      and (runner_until < clock_timestamp() or runner_until > clock_timestamp() + ${LONGEST_WAIT})`;

/** Returns the column of the poll's statement for whether an open operation has no live runner. */
export function idleOperations(schema: string): string {
  return `exists (select from ${quoteIdentifier(schema)}.messaging_operations where ${IS_IDLE})`;
}
