import { type DataSource, type EntityManager, type QueryRunner } from 'typeorm';
import { describeError } from './errors.js';

/** The database was away, or went away: whatever the work did or threw says nothing about the work. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';

  constructor(cause: unknown) {
    super(`the database connection was lost (${describeError(cause)})`, { cause });
  }
}

/** What is used of a client of node-postgres, the driver below TypeORM. */
interface PgClient {
  readonly readyForQuery?: boolean;
  getTransactionStatus?(): string | null;
  end?(): Promise<void>;
}

/**
 * Runs the work in a transaction of its own, on one connection of the pool. Its error is rolled back and thrown as it came.
 * @throws InterruptedError when there was no connection, or it did not live to the end: the commit may then have happened
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
 * Runs the work within the transaction, and gives what it threw: then what it did is taken back, and the transaction goes on.
 * An error of the database that the work has swallowed counts as thrown.
 * @throws when the connection is lost
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
 * A statement that failed and was caught has ended the transaction: PostgreSQL would answer the COMMIT with a rollback and no
 * error, and the message would be lost. The driver knows, once it has the answer to the last statement.
 */
async function checkSound(runner: QueryRunner, client: PgClient): Promise<void> {
  if (client.readyForQuery === true && client.getTransactionStatus?.() === 'T') return;
  await runner.query('select 1');
}

/** Only a connection that still answers was not the reason of the error. */
async function rollBack(runner: QueryRunner, client: PgClient, error: unknown): Promise<void> {
  try {
    await runner.rollbackTransaction();
  } catch {
    // Back in the pool it would be given to the next one, with the transaction still open.
    client.end?.().catch(() => undefined);
    throw new InterruptedError(error);
  }
}
