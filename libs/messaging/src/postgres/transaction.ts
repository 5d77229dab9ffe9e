import { type DataSource, type EntityManager, type QueryRunner } from 'typeorm';
import { describeError } from '../errors.js';

/** For one statement that may wait for another transaction's row. Set within the statement, so that no session keeps it. */
export const LOCK_TIMEOUT = '1s';

/** The database was unavailable or became so. The outcome of the work then says nothing about the work itself. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';

  constructor(cause: unknown) {
    super(`the database connection was lost (${describeError(cause)})`, { cause });
  }
}

/** The parts used of a client of node-postgres, the driver below TypeORM. */
interface PgClient {
  readonly readyForQuery?: boolean;
  getTransactionStatus?(): string | null;
  end?(): Promise<void>;
}

/**
 * Runs the work in a transaction of its own, on one connection of the pool. If the work throws, the transaction is rolled back
 * and the error rethrown unchanged.
 * @throws InterruptedError if no connection was available or it was lost before the end, in which case the transaction may have
 * committed
 */
export async function inTransaction<T>(dataSource: DataSource, work: (tx: EntityManager) => Promise<T>): Promise<T> {
  const runner = dataSource.createQueryRunner();
  try {
    const client = await begin(runner);
    try {
      const result = await work(runner.manager);
      await checkSound(runner, client);
      await runner.commitTransaction();
      return result;
    } catch (error) {
      await rollBack(runner, client, error);
      throw error;
    }
  } finally {
    await runner.release().catch(() => undefined);
  }
}

/**
 * Runs the work within the transaction. If it throws, its writes are rolled back to a savepoint, the error is returned and the
 * transaction stays usable. A database error that the work has swallowed counts as thrown.
 * @throws if the connection is lost
 */
export async function failureWithin(
  tx: EntityManager,
  work: () => Promise<void>,
): Promise<{ readonly error: unknown } | undefined> {
  await tx.query('savepoint work');
  try {
    await work();
    await tx.query('release savepoint work');
    return undefined;
  } catch (error) {
    await tx.query('rollback to savepoint work');
    return { error };
  }
}

async function begin(runner: QueryRunner): Promise<PgClient> {
  try {
    const client = (await runner.connect()) as PgClient;
    await runner.startTransaction();
    return client;
  } catch (error) {
    throw new InterruptedError(error);
  }
}

/**
 * Throws if the transaction is aborted. After a failed statement whose error was swallowed, PostgreSQL would answer COMMIT with
 * a rollback but no error, and the message would be lost. The driver knows the status once the last statement was answered.
 */
async function checkSound(runner: QueryRunner, client: PgClient): Promise<void> {
  if (client.readyForQuery === true && client.getTransactionStatus?.() === 'T') return;
  await runner.query('select 1');
}

/** Rolls back. If even that fails, the lost connection was the cause of the error. */
async function rollBack(runner: QueryRunner, client: PgClient, error: unknown): Promise<void> {
  try {
    await runner.rollbackTransaction();
  } catch {
    // Back in the pool, the connection would be reused with its transaction still open.
    client.end?.().catch(() => undefined);
    throw new InterruptedError(error);
  }
}
