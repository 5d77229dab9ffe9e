import { causesOf } from './database-errors.js';

/** PostgreSQL's in_failed_sql_transaction: an earlier statement of the transaction failed, and its error explains why. */
const TRANSACTION_FAILED = '25P02';

/**
 * Waits until every promise has settled, and only then throws the error that explains the failure, which is the first one that
 * another error did not cause. Use it for statements that share a transaction: if one fails while another is still unsent, the
 * unsent statement would go out after the ROLLBACK and auto-commit.
 */
export async function allDone<T extends readonly unknown[]>(
  work: readonly [...{ readonly [K in keyof T]: Promise<T[K]> }],
): Promise<T>;
export async function allDone<T>(work: readonly Promise<T>[]): Promise<T[]>;
export async function allDone(work: readonly Promise<unknown>[]): Promise<unknown[]> {
  const failures: unknown[] = [];
  const done = work.map(async (promise) => {
    try {
      return await promise;
    } catch (error) {
      failures.push(error);
      return undefined;
    }
  });
  const results = await Promise.all(done);
  // The results of statements sent together may arrive in any order, but only one of the statements ended the transaction.
  if (failures.length > 0) throw failures.find((error) => !isConsequence(error)) ?? failures[0];
  return results;
}

function isConsequence(error: unknown): boolean {
  return [...causesOf(error)].some(({ fields }) => fields.code === TRANSACTION_FAILED);
}
