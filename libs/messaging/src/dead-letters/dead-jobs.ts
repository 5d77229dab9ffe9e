import { Inject, Injectable } from '@nestjs/common';
import { type EntityManager } from 'typeorm';
import { Audit } from '../operations/audit.js';
import { isUuid } from '../message/column-text.js';
import { AfterCommit } from '../postgres/after-commit.js';
import { DueWork } from '../poll/due-work.js';
import { MESSAGING_OPTIONS, type MessagingOptions } from '../messaging-options.js';
import {
  checkAction,
  checkReason,
  type LetterAction,
  type LetterPage,
  type Page,
  toPage,
  limitOf,
  beginOperatorAction,
  operatorTransaction,
} from '../operations/operator.js';
import { DataSources } from '../postgres/data-sources.js';
import { quoteIdentifier } from '../postgres/schema.js';

/** A job that is not retried automatically any more. */
export interface DeadJob {
  readonly id: string;
  readonly queue: string;
  readonly attempts: number;
  readonly error: string;
  readonly createdAt: Date;
  readonly diedAt: Date;
}

/** A dead job with all its details. */
export interface WholeDeadJob extends DeadJob {
  readonly data: unknown;
}

type JobChange = 'retry' | 'discard';

const JOB = 'id, queue, attempts, error, created_at as "createdAt", dead_at as "diedAt"';

/**
 * The dead jobs, and the operations of an operator on them. Each operation leaves an entry per job in `messaging_audit`.
 *
 * @hideconstructor
 */
@Injectable()
export class DeadJobs {
  private readonly jobs: string;
  private readonly statements: Readonly<Record<JobChange, string>>;
  private readonly audit: Audit;
  private readonly wakeWorker = () => this.dueWork.found('jobs');

  constructor(
    @Inject(MESSAGING_OPTIONS) { schema }: MessagingOptions,
    private readonly dataSources: DataSources,
    private readonly dueWork: DueWork,
    private readonly afterCommit: AfterCommit,
  ) {
    this.jobs = `${quoteIdentifier(schema)}.jobs`;
    this.statements = {
      retry: `update ${this.jobs} set dead_at = null, attempts = 0, run_at = clock_timestamp() where id = any($1::uuid[])`,
      discard: `delete from ${this.jobs} where id = any($1::uuid[])`,
    };
    this.audit = new Audit(schema);
  }

  /**
   * Lists the dead jobs ordered by id, which for UUIDv7s means oldest first.
   * @throws RangeError for a limit that is not 1 to 500, an invalid cursor, or a queue with a zero byte
   */
  async list(
    { queue }: { readonly queue?: string | undefined } = {},
    { limit: wanted, cursor }: LetterPage = {},
  ): Promise<Page<DeadJob>> {
    const limit = limitOf({ limit: wanted });
    if (cursor !== undefined) checkIds([cursor]);
    if (queue?.includes('\0')) throw new RangeError('A filter must not contain a zero byte');
    // jobs_dead
    const rows: DeadJob[] = await this.dataSources.default.query(
      `select ${JOB} from ${this.jobs}
        where dead_at is not null and ($1::text is null or queue = $1) and ($2::uuid is null or id > $2)
        order by id limit $3`,
      [queue ?? null, cursor ?? null, limit + 1],
    );
    return toPage(rows, limit, ({ id }) => id);
  }

  /** Returns a dead job, or undefined if no dead job has this id (any more). @throws RangeError for an invalid id */
  async find(id: string): Promise<WholeDeadJob | undefined> {
    checkIds([id]);
    const [job]: WholeDeadJob[] = await this.dataSources.default.query(
      `select ${JOB}, data from ${this.jobs} where id = $1 and dead_at is not null`,
      [id],
    );
    return job;
  }

  /**
   * Retries the jobs in one transaction, counting attempts from zero, and returns how many of them were dead.
   * @throws RangeError for an invalid id or an empty actor
   */
  async retry(ids: readonly string[], action: LetterAction): Promise<number> {
    const retried = await this.changeAll('retry', ids, action);
    // Other processes find the jobs with their next poll.
    if (retried > 0) this.wakeWorker();
    return retried;
  }

  /**
   * Deletes the jobs in one transaction, and returns how many of them were dead. They never run again. The audit entries describe
   * the jobs without their data.
   * @throws RangeError for an invalid id, an empty actor or a blank reason
   */
  async discard(ids: readonly string[], action: LetterAction & { readonly reason: string }): Promise<number> {
    checkReason(action.reason);
    return this.changeAll('discard', ids, action);
  }

  /**
   * Retries one job in the caller's transaction, counting attempts from zero, and returns it as it was. Returns undefined if it is no
   * longer dead. `tx` must not have locked jobs or the audit before. It waits at most five seconds for a lock from then on.
   * @throws RangeError for an invalid id, actor or reason; Error without an open transaction; any database error
   */
  async retryOne(tx: EntityManager, id: string, action: LetterAction): Promise<DeadJob | undefined> {
    return this.changeOne(tx, 'retry', id, action);
  }

  /** Deletes one job in the caller's transaction, like {@link retryOne}. It never runs again. */
  async discardOne(
    tx: EntityManager,
    id: string,
    action: LetterAction & { readonly reason: string },
  ): Promise<DeadJob | undefined> {
    checkReason(action.reason);
    return this.changeOne(tx, 'discard', id, action);
  }

  private async changeAll(change: JobChange, ids: readonly string[], action: LetterAction): Promise<number> {
    checkIds(ids);
    checkAction(action);
    return operatorTransaction(this.dataSources.default, async (tx) => {
      const jobs = await this.apply(tx, change, ids, action);
      return jobs.length;
    });
  }

  private async changeOne(
    tx: EntityManager,
    change: JobChange,
    id: string,
    action: LetterAction,
  ): Promise<DeadJob | undefined> {
    checkIds([id]);
    checkAction(action);
    const queryRunner = await beginOperatorAction(tx);
    const [job] = await this.apply(tx, change, [id], action);
    if (job && change === 'retry') this.afterCommit.run(queryRunner, this.wakeWorker);
    return job;
  }

  /** Changes those of the jobs that are still dead, and returns them as they were. */
  private async apply(
    tx: EntityManager,
    change: JobChange,
    ids: readonly string[],
    { actor, reason }: LetterAction,
  ): Promise<DeadJob[]> {
    await this.audit.lock(tx);
    const dead: DeadJob[] = await tx.query(
      `select ${JOB} from ${this.jobs} where id = any($1::uuid[]) and dead_at is not null order by id for update`,
      [ids],
    );
    if (dead.length === 0) return [];
    await tx.query(this.statements[change], [dead.map(({ id }) => id)]);
    await this.audit.write(tx, { actor, action: change, box: 'jobs', reason }, dead);
    return dead;
  }
}

function checkIds(ids: readonly string[]): void {
  for (const id of ids) if (!isUuid(id)) throw new RangeError(`${JSON.stringify(id)} is not a job id`);
}
