import { causesOf } from './database-errors.js';

/** PostgreSQL's in_failed_sql_transaction: an earlier statement of the transaction has failed, and its error says why. */
const TRANSACTION_IS_OVER = '25P02';

/**
 * Waits for all, and only then throws the error that explains the failure: the first one that is not just the consequence of
 * another. For what shares a transaction: one that fails early, while another is still to be sent, would have that sent behind
 * the rollback, where it commits by itself.
 */
export async function allDone<T extends readonly unknown[]>(
  work: readonly [...{ readonly [K in keyof T]: Promise<T[K]> }],
): Promise<T>;
export async function allDone<T>(work: readonly Promise<T>[]): Promise<T[]>;
export async function allDone(work: readonly Promise<unknown>[]): Promise<unknown[]> {
  const failures: unknown[] = [];
  const done = work.map(async (one) => {
    try {
      return await one;
    } catch (error) {
      failures.push(error);
      return undefined;
    }
  });
  const results = await Promise.all(done);
  // Statements sent together may be reported in any order, but only one of them has ended the transaction.
  if (failures.length > 0) throw failures.find((error) => !isConsequence(error)) ?? failures[0];
  return results;
}

function isConsequence(error: unknown): boolean {
  return [...causesOf(error)].some(({ fields }) => fields.code === TRANSACTION_IS_OVER);
}
