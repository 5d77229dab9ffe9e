import { Inject, Injectable } from '@nestjs/common';
import { type EntityManager } from 'typeorm';
import { BatchedStatement } from '../postgres/batched-statement.js';
import { AfterCommit } from '../postgres/after-commit.js';
import { DueWork } from '../poll/due-work.js';
import { MESSAGING_OPTIONS, type MessagingOptions } from '../messaging-options.js';
import { type JobAddOptions, type JobRow, jobRows, type NewJob, type TracedJobRow } from './new-job.js';
import { prepared } from '../postgres/prepared.js';
import { quoteIdentifier } from '../postgres/schema.js';
import { POSTGRESQL } from '../tracing/attributes.js';
import { traceCreations } from '../tracing/creations.js';

/** What the statement that adds jobs has beside their other columns, and nothing if none of them is traced. */
const TRACE = { columns: ', traceparent, tracestate', values: ', $6::text[], $7::text[]' };
const NO_TRACE = { columns: '', values: '' };

/**
 * Defers calls to other systems, such as a notification or a charge. The caller's transaction only records the job, so the call is
 * made if and only if the transaction commits (P1). A worker makes it afterwards, outside any transaction, until it succeeds. See
 * `JobHandler`.
 *
 * @hideconstructor
 */
@Injectable()
export class Jobs {
  private readonly table: string;
  private readonly insert = new BatchedStatement<readonly TracedJobRow[], undefined>((tx, added) =>
    this.insertAll(tx, added),
  );
  private readonly wakeWorker = () => this.dueWork.found('jobs');

  constructor(
    @Inject(MESSAGING_OPTIONS) { schema }: MessagingOptions,
    private readonly afterCommit: AfterCommit,
    private readonly dueWork: DueWork,
  ) {
    this.table = `${quoteIdentifier(schema)}.jobs`;
  }

  /**
   * Adds a job in the caller's transaction and returns its id. Any process that has a handler for the queue runs the job. If this
   * process has one, it is woken right after the commit.
   *
   * Throws when `tx` has no open transaction, or when a job of another queue already has the id. Throws a PermanentError for input
   * that the table cannot store: more than `MAX_PAYLOAD_BYTES` of JSON; text with a zero byte or half of a surrogate pair; an id that
   * is not a UUID; a time outside the years 1 to 9999; a queue name or an aggregate id that is empty or longer than 255 characters.
   */
  async add(tx: EntityManager, queue: string, data: object, options: JobAddOptions = {}): Promise<string> {
    const [id = ''] = await this.addAll(tx, queue, [{ ...options, data }]);
    return id;
  }

  /** Adds several jobs in one statement, like {@link add}, and returns their ids in the order of `jobs`. */
  async addAll(tx: EntityManager, queue: string, jobs: readonly NewJob[]): Promise<string[]> {
    if (!tx.queryRunner?.isTransactionActive)
      throw new Error('Jobs.add must be called with the manager of an open transaction');
    if (jobs.length === 0) return [];

    const rows = jobRows(queue, jobs);
    await traceCreations({ system: POSTGRESQL, name: queue }, rows, async (traced) => this.insert.run(tx, traced));

    const now = Date.now();
    // The poll finds jobs for later, which can wait for another second.
    if (rows.some(({ runAt }) => runAt === undefined || runAt.getTime() <= now))
      this.afterCommit.run(tx.queryRunner, this.wakeWorker);
    return rows.map(({ id }) => id);
  }

  /**
   * Returns whether a job is waiting or running, that is, added and neither done nor dead. The answer holds until `tx` ends, because
   * the job's row stays locked and nobody can retry a dead job meanwhile. A job that another transaction has locked counts as waiting.
   */
  async isWaiting(tx: EntityManager, id: string): Promise<boolean> {
    const [job]: { waiting: boolean }[] = await tx.query(
      `select dead_at is null as waiting from ${this.table} where id = $1 for update skip locked`,
      [id],
    );
    if (job) return job.waiting;
    const locked: unknown[] = await tx.query(`select from ${this.table} where id = $1`, [id]);
    return locked.length > 0;
  }

  /**
   * Returns whether a worker is running the job, or may be. A job with an expired lease counts as running, because the call may still be
   * in progress. If the answer is false, no worker can claim the job until `tx` ends.
   */
  async isRunning(tx: EntityManager, id: string): Promise<boolean> {
    // Locks the row only if the job has no lease: a lock on a running job would keep its worker from recording how it ended.
    const idle: unknown[] = await tx.query(
      `select from ${this.table} where id = $1 and lease is null for update skip locked`,
      [id],
    );
    if (idle.length > 0) return false;
    const others: unknown[] = await tx.query(`select from ${this.table} where id = $1`, [id]);
    return others.length > 0;
  }

  private async insertAll(
    tx: EntityManager,
    added: readonly (readonly TracedJobRow[])[],
  ): Promise<(Error | undefined)[]> {
    const rows = added.flat();
    const traced = rows.some((row) => row.trace !== undefined);
    const trace = traced ? TRACE : NO_TRACE;
    // Inserted in the order of the ids, so that two transactions that add the same jobs cannot deadlock.
    const inserted: unknown[] = await tx.query(
      prepared(`insert into ${this.table} (id, queue, data, run_at, aggregate_id${trace.columns})
       -- The search for due jobs starts a few seconds before now: see due-range.ts.
       select j.id, j.queue, j.data::jsonb,
              greatest(coalesce(j.run_at, clock_timestamp()), clock_timestamp() - interval '5 s'),
              j.aggregate_id${trace.columns}
         from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::text[]${trace.values})
           as j (id, queue, data, run_at, aggregate_id${trace.columns})
        order by j.id
           on conflict (id) do nothing
       returning id`),
      [
        rows.map(({ id }) => id),
        rows.map(({ queue }) => queue),
        rows.map(({ json }) => json),
        rows.map(({ runAt }) => runAt?.toISOString() ?? null),
        rows.map(({ aggregateId }) => aggregateId ?? null),
        ...(traced ? [rows.map((row) => row.trace?.traceparent), rows.map((row) => row.trace?.tracestate)] : []),
      ],
    );
    if (inserted.length === rows.length) return added.map(() => undefined);
    const conflicts = await this.conflictsOf(tx, rows);
    return added.map((ofOneCall) => ofOneCall.map((row) => conflicts.get(row)).find((error) => error !== undefined));
  }

  /**
   * Finds the rows whose id a job of another queue already has. With a charge and a refund under one id, the refund would be dropped
   * as a duplicate of the charge.
   */
  private async conflictsOf(tx: EntityManager, rows: readonly JobRow[]): Promise<Map<JobRow | undefined, Error>> {
    const others: { n: number; queue: string }[] = await tx.query(
      `select wanted.n::int - 1 as n, other.queue
         from unnest($1::uuid[], $2::text[]) with ordinality as wanted (id, queue, n)
         join ${this.table} as other on other.id = wanted.id and other.queue <> wanted.queue`,
      [rows.map(({ id }) => id), rows.map(({ queue }) => queue)],
    );
    return new Map(
      others.map(({ n, queue }) => [
        rows[n],
        new Error(`Job ${rows[n]?.id} of ${rows[n]?.queue} has the same id as a job of ${queue}`),
      ]),
    );
  }
}
