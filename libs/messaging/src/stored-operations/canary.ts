import { type ItemOutcomes } from './operation-kind.js';

/** How long an operation waits for the items of one step. Longer than the wait between two attempts of an item. */
const LONGEST_WAIT_MS = 10 * 60 * 1000;

type CanaryVerdict =
  | { readonly is: 'passed' }
  | { readonly is: 'wait'; readonly waiting: number }
  | { readonly is: 'stop'; readonly problem: string; readonly failed: number };

/** Decides whether an operation with a canary may go on. The first new failure stops it, even while other items wait. */
export function canaryVerdict({ waiting, failed }: ItemOutcomes, sinceStepMs: number): CanaryVerdict {
  const [first] = failed;
  if (first) {
    const more = failed.length > 1 ? `, and ${failed.length - 1} more` : '';
    return { is: 'stop', problem: `${first.item} failed again: ${first.error}${more}`, failed: failed.length };
  }
  if (waiting === 0) return { is: 'passed' };
  if (sinceStepMs < LONGEST_WAIT_MS) return { is: 'wait', waiting };
  const problem =
    `${waiting} retried ${waiting === 1 ? 'item was' : 'items were'} neither processed nor failed within ` +
    `${LONGEST_WAIT_MS / 60_000} min. Look for an earlier dead letter of the same key, and for a pause`;
  return { is: 'stop', problem, failed: 0 };
}
