import { type EntityManager } from 'typeorm';
import { type DeadJob, type JobFilter } from './dead-job.js';
import { DeadJobStore } from './dead-job-store.js';
import { detailOfJson, EditRefusedError } from './edit.js';
import { type LetterChange } from './letter-changes.js';
import { type Selection } from './letter-store.js';
import { describeError } from '../errors.js';
import { type JobCheck } from '../jobs/job-queue.js';
import { jsonOf } from '../jobs/new-job.js';
import { Audit } from '../operations/audit.js';
import { type LetterAction } from '../operations/operator.js';

/** Retries and discards dead jobs in a transaction, together with their audit entries. */
export class JobChanges {
  readonly store: DeadJobStore;
  private readonly audit: Audit;

  constructor(schema: string) {
    this.store = new DeadJobStore(schema);
    this.audit = new Audit(schema);
  }

  /**
   * Changes those of the chosen jobs that are still dead and match the filter, and returns them as they were. Locks the audit, then the
   * jobs. `tx` must not have locked any of them before.
   */
  async apply(
    tx: EntityManager,
    change: LetterChange,
    filter: Selection<JobFilter>,
    chosen: readonly string[],
    by: LetterAction & { readonly operation?: string | undefined },
  ): Promise<DeadJob[]> {
    await this.audit.lock(tx);
    const jobs = await this.store.take(tx, filter, chosen);
    if (jobs.length === 0) return [];
    await this.store[change](
      tx,
      jobs.map(({ id }) => id),
    );
    const { actor, reason, operation } = by;
    await this.audit.write(tx, { actor, action: change, box: 'jobs', reason, operation }, jobs);
    return jobs;
  }

  /** Replaces the data of one job and retries it. Returns it as it was; undefined if it is no longer dead. @throws EditRefusedError */
  async edit(
    tx: EntityManager,
    id: string,
    data: unknown,
    checkOf: (queue: string) => JobCheck | undefined,
    { actor, reason }: LetterAction,
  ): Promise<DeadJob | undefined> {
    await this.audit.lock(tx);
    const [job] = await this.store.take(tx, {}, [id]);
    if (!job) return undefined;
    const original = await this.store.dataOf(tx, id);
    const json = checkedJson(job, data, original, checkOf(job.queue));
    await this.store.edit(tx, id, json);
    await this.store.retry(tx, [id]);
    const detail = detailOfJson(original, JSON.parse(json));
    await this.audit.write(tx, { actor, action: 'edit', box: 'jobs', reason, detail }, [job]);
    return job;
  }
}

function checkedJson({ id, queue }: DeadJob, data: unknown, original: unknown, check: JobCheck | undefined): string {
  const wrong = check?.(data, original);
  if (wrong !== undefined) throw new EditRefusedError(`The handler of ${queue} does not accept the data: ${wrong}`);
  try {
    return jsonOf(data, `job ${id} of ${queue}`);
  } catch (error) {
    throw new EditRefusedError(describeError(error), { cause: error });
  }
}
