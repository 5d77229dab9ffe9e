import { type DataSource } from 'typeorm';
import { JobDeadMethodError } from './job-failures.js';
import { type JobQueue } from './job-queue.js';
import { type ClaimedJob, type JobStore, type PutBack } from './job-store.js';
import { inTransaction, LOCK_TIMEOUT } from '../postgres/transaction.js';

/** Records that an attempt failed. A job's death is recorded together with what its `@JobDead` method writes (P1). Returns false if the lease was lost. */
export async function recordFailure(
  store: JobStore,
  dataSource: DataSource,
  job: ClaimedJob,
  { dead }: JobQueue,
  failed: PutBack,
): Promise<boolean> {
  if (!dead || failed.delayMs !== undefined) return store.putBack(dataSource, job, failed);
  const { id, queue, data } = job;
  return inTransaction(dataSource, async (tx) => {
    await tx.query(`select set_config('lock_timeout', '${LOCK_TIMEOUT}', true)`);
    if (!(await store.putBack(tx, job, failed))) return false;
    try {
      await dead(tx, { id, queue, data, attempt: failed.attempts }, failed.error);
    } catch (error) {
      throw new JobDeadMethodError(error);
    }
    return true;
  });
}
