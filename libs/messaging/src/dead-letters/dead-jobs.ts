import { Inject, Injectable } from '@nestjs/common';
import { type EntityManager } from 'typeorm';
import { Audit } from '../operations/audit.js';
import { isUuid } from '../message/column-text.js';
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

const JOB = 'id, queue, attempts, error, created_at as "createdAt", dead_at as "diedAt"';

/**
 * The dead jobs, and the operations of an operator on them. Each operation leaves an entry per job in `messaging_audit`.
 *
 * @hideconstructor
 */
@Injectable()
export class DeadJobs {
  private readonly jobs: string;
  private readonly audit: Audit;

  constructor(
    @Inject(MESSAGING_OPTIONS) { schema }: MessagingOptions,
    private readonly dataSources: DataSources,
    private readonly dueWork: DueWork,
  ) {
    this.jobs = `${quoteIdentifier(schema)}.jobs`;
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
    const retried = await this.change('retry', ids, action, async (tx, dead) => {
      await tx.query(
        `update ${this.jobs} set dead_at = null, attempts = 0, run_at = clock_timestamp() where id = any($1::uuid[])`,
        [dead],
      );
    });
    // Other processes find the jobs with their next poll.
    if (retried > 0) this.dueWork.found('jobs');
    return retried;
  }

  /**
   * Deletes the jobs in one transaction, and returns how many of them were dead. They never run again. The audit entries describe
   * the jobs without their data.
   * @throws RangeError for an invalid id, an empty actor or a blank reason
   */
  async discard(ids: readonly string[], action: LetterAction & { readonly reason: string }): Promise<number> {
    checkReason(action.reason);
    return this.change('discard', ids, action, async (tx, dead) => {
      await tx.query(`delete from ${this.jobs} where id = any($1::uuid[])`, [dead]);
    });
  }

  private async change(
    action: 'retry' | 'discard',
    ids: readonly string[],
    { actor, reason }: LetterAction,
    apply: (tx: EntityManager, ids: readonly string[]) => Promise<void>,
  ): Promise<number> {
    checkIds(ids);
    checkAction({ actor, reason });
    return operatorTransaction(this.dataSources.default, async (tx) => {
      await this.audit.lock(tx);
      const dead: DeadJob[] = await tx.query(
        `select ${JOB} from ${this.jobs} where id = any($1::uuid[]) and dead_at is not null order by id for update`,
        [ids],
      );
      if (dead.length === 0) return 0;
      await apply(
        tx,
        dead.map(({ id }) => id),
      );
      await this.audit.write(tx, { actor, action, box: 'jobs', reason }, dead);
      return dead.length;
    });
  }
}

function checkIds(ids: readonly string[]): void {
  for (const id of ids) if (!isUuid(id)) throw new RangeError(`${JSON.stringify(id)} is not a job id`);
}
