import { Inject, Injectable } from '@nestjs/common';
import { type EntityManager } from 'typeorm';
import { type Causes } from './cause.js';
import { type DeadJob, type JobFilter, type WholeDeadJob } from './dead-job.js';
import { JobChanges } from './job-changes.js';
import { checkJobFilter, cursorOf, jobPlaceOf } from './letter-choice.js';
import { type LetterChange } from './letter-changes.js';
import { AfterCommit } from '../postgres/after-commit.js';
import { DueWork } from '../poll/due-work.js';
import { JobHandlers } from '../jobs/job-handlers.js';
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

/**
 * The dead jobs, and the operations of an operator on them. Each operation leaves an entry per job in `messaging_audit`.
 *
 * @hideconstructor
 */
@Injectable()
export class DeadJobs {
  private readonly changes: JobChanges;
  private readonly wakeWorker = () => this.dueWork.found('jobs');

  constructor(
    @Inject(MESSAGING_OPTIONS) { schema }: MessagingOptions,
    private readonly dataSources: DataSources,
    private readonly dueWork: DueWork,
    private readonly afterCommit: AfterCommit,
    private readonly handlers: JobHandlers,
  ) {
    this.changes = new JobChanges(schema);
  }

  /**
   * Lists the matching jobs by time of death, newest or oldest first. A job that is dead from the first page to the last is listed
   * exactly once. Like `DeadLetters.list`, it may return a page with few or no jobs and a cursor.
   * @throws InvalidInputError for a limit that is not 1 to 500, or an invalid cursor, id, date or text
   */
  async list(
    filter: JobFilter = {},
    page: LetterPage & { readonly order?: 'newest' | 'oldest' | undefined } = {},
  ): Promise<Page<DeadJob>> {
    checkJobFilter(filter);
    const limit = limitOf(page);
    const { rows, lookedUpTo } = await this.changes.store.list(this.dataSources.default, filter, {
      limit: limit + 1,
      oldestFirst: page.order === 'oldest',
      after: jobPlaceOf(page.cursor),
    });
    const { items, nextCursor } = toPage(rows, limit, cursorOf, lookedUpTo);
    return { items: items.map(({ diedAtMicros: _, ...job }) => job), nextCursor };
  }

  /**
   * Groups the matching jobs by the cause of their deaths, like `DeadLetters.causes`. The `types` of a cause are queues.
   * @throws InvalidInputError for an invalid id, date or text
   */
  async causes(filter: JobFilter = {}): Promise<Causes> {
    checkJobFilter(filter);
    return this.changes.store.causes(this.dataSources.default, filter);
  }

  /** Returns a dead job, or undefined if no dead job has this id (any more). @throws InvalidInputError for an invalid id */
  async find(id: string): Promise<WholeDeadJob | undefined> {
    checkJobFilter({ ids: [id] });
    return this.changes.store.find(this.dataSources.default, id);
  }

  /**
   * Retries the jobs in one transaction, counting attempts from zero, and returns how many of them were dead.
   * @throws InvalidInputError for an invalid id or an empty actor
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
   * @throws InvalidInputError for an invalid id, an empty actor or a blank reason
   */
  async discard(ids: readonly string[], action: LetterAction & { readonly reason: string }): Promise<number> {
    checkReason(action.reason);
    return this.changeAll('discard', ids, action);
  }

  /**
   * Retries one job in the caller's transaction, counting attempts from zero, and returns it as it was. Returns undefined if it is no
   * longer dead. `tx` must not have locked jobs or the audit before. From then on it waits for a lock at most five seconds,
   * or until the statement timeout if that is shorter.
   * @throws InvalidInputError for an invalid id, actor or reason; Error without an open transaction; any database error
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

  /**
   * Replaces the data of one job and retries it in the caller's transaction, like {@link retryOne}. Its id stays. The data may be any
   * JSON, unless this process has a handler whose `check` refuses it. The audit entry has the original data, the edited data and their
   * difference (RFC 6902).
   * @throws EditRefusedError for data that is refused, and whenever {@link retryOne} throws. The transaction then has to be rolled back.
   */
  async edit(
    tx: EntityManager,
    id: string,
    data: unknown,
    action: LetterAction & { readonly reason: string },
  ): Promise<DeadJob | undefined> {
    checkJobFilter({ ids: [id] });
    checkReason(action.reason);
    checkAction(action);
    const queryRunner = await beginOperatorAction(tx);
    const checkOf = (queue: string) => this.handlers.find().find(({ name }) => name === queue)?.check;
    const job = await this.changes.edit(tx, id, data, checkOf, action);
    if (job) this.afterCommit.run(queryRunner, this.wakeWorker);
    return job;
  }

  private async changeAll(change: LetterChange, ids: readonly string[], action: LetterAction): Promise<number> {
    checkJobFilter({ ids });
    checkAction(action);
    return operatorTransaction(this.dataSources.default, async (tx) => {
      const jobs = await this.changes.apply(tx, change, {}, ids, action);
      return jobs.length;
    });
  }

  private async changeOne(
    tx: EntityManager,
    change: LetterChange,
    id: string,
    action: LetterAction,
  ): Promise<DeadJob | undefined> {
    checkJobFilter({ ids: [id] });
    checkAction(action);
    const queryRunner = await beginOperatorAction(tx);
    const [job] = await this.changes.apply(tx, change, {}, [id], action);
    if (job && change === 'retry') this.afterCommit.run(queryRunner, this.wakeWorker);
    return job;
  }
}
