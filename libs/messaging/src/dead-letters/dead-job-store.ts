import { type DataSource, type EntityManager } from 'typeorm';
import { type Causes } from './cause.js';
import { type DeadJob, type JobFilter, type WholeDeadJob } from './dead-job.js';
import { type Chosen, DeadRows } from './dead-rows.js';
import {
  type Chunk,
  type DeadStore,
  type LetterCursor,
  type Listed,
  type ListPage,
  type Outcomes,
  outcomesOf,
  type Preview,
  type Selection,
} from './letter-store.js';
import { historyOf, type StoredHistory } from '../postgres/failure-history.js';
import { quoteIdentifier } from '../postgres/schema.js';

const JOB = 'id, queue, attempts, error, created_at as "createdAt", dead_at as "diedAt"';

/** The SQL of the dead jobs, which are listed, chosen and changed by the same steps as dead letters. */
export class DeadJobStore implements DeadStore<JobFilter, DeadJob> {
  private readonly jobs: string;
  private readonly dead: DeadRows;

  constructor(schema: string) {
    this.jobs = `${quoteIdentifier(schema)}.jobs`;
    // Served by jobs_dead, and lists by jobs_died.
    this.dead = new DeadRows({
      table: this.jobs,
      id: 'id',
      idType: 'uuid',
      indexed: 'p.dead_at is not null',
      type: 'queue',
      others: '($5::text is null or p.queue = $5)',
      otherCount: 1,
    });
  }

  async list(db: DataSource, filter: JobFilter, page: ListPage): Promise<Listed<DeadJob>> {
    return this.dead.list<DeadJob>(db, JOB, chosenOf(filter), page);
  }

  async causes(db: DataSource, filter: JobFilter): Promise<Causes> {
    return this.dead.causes(db, chosenOf(filter));
  }

  async find(db: DataSource, id: string): Promise<WholeDeadJob | undefined> {
    const [job]: (Omit<WholeDeadJob, 'history'> & { history: StoredHistory })[] = await db.query(
      `select ${JOB}, data, history from ${this.jobs} where id = $1 and dead_at is not null`,
      [id],
    );
    return job && { ...job, history: historyOf(job.history) };
  }

  async preview(db: DataSource, selection: Selection<JobFilter>, limit: number): Promise<Preview<DeadJob>> {
    const { total, isExact: totalIsExact, first } = await this.dead.count(db, chosenOf(selection), limit);
    return { total, totalIsExact, first: await this.dead.those<DeadJob>(db, JOB, chosenOf(selection, first)) };
  }

  async next(
    db: DataSource,
    selection: Selection<JobFilter>,
    after: LetterCursor | undefined,
    limit: number,
  ): Promise<Chunk> {
    return this.dead.next(db, chosenOf(selection), after, limit);
  }

  /** Locks and returns the jobs that still match, until the transaction ends. */
  async take(tx: EntityManager, selection: Selection<JobFilter>, ids: readonly string[]): Promise<DeadJob[]> {
    return this.dead.those<DeadJob>(tx, JOB, chosenOf(selection, ids), 'for update');
  }

  async retry(tx: EntityManager, ids: readonly string[]): Promise<void> {
    await tx.query(
      `update ${this.jobs} set dead_at = null, attempts = 0, run_at = clock_timestamp() where id = any($1::uuid[])`,
      [ids],
    );
  }

  /** Returns the data of a job that the transaction has locked. Served by jobs_pkey. */
  async dataOf(tx: EntityManager, id: string): Promise<unknown> {
    const [row]: { data: unknown }[] = await tx.query(`select data from ${this.jobs} where id = $1`, [id]);
    return row?.data;
  }

  /** Replaces the data of a job that the transaction has locked. Served by jobs_pkey. */
  async edit(tx: EntityManager, id: string, json: string): Promise<void> {
    await tx.query(`update ${this.jobs} set data = $2::jsonb where id = $1`, [id, json]);
  }

  async discard(tx: EntityManager, ids: readonly string[]): Promise<void> {
    await tx.query(`delete from ${this.jobs} where id = any($1::uuid[])`, [ids]);
  }

  async outcomes(db: DataSource, ids: readonly string[]): Promise<Outcomes> {
    // Served by jobs_pkey. A retry counts attempts from zero, so an attempt that has failed is a new one.
    const rows: Parameters<typeof outcomesOf>[0] = await db.query(
      `select id::text as id, attempts > 0 or dead_at is not null as "hasFailed", error from ${this.jobs}
        where id = any($1::uuid[]) order by id`,
      [ids],
    );
    return outcomesOf(rows);
  }
}

function chosenOf(
  { ids: filtered, diedAfter, diedBefore, cause, queue }: Selection<JobFilter>,
  ids: readonly string[] | undefined = filtered,
): Chosen {
  return { ids, diedAfter, diedBefore, cause, others: [queue] };
}
