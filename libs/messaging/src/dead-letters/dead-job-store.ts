import { type DataSource, type EntityManager } from 'typeorm';
import { causeOf, type Causes, groupedByCause, toCauses } from './cause.js';
import { type DeadJob, type JobFilter, type WholeDeadJob } from './dead-job.js';
import {
  type Chunk,
  type DeadStore,
  type LetterCursor,
  type LetterPlace,
  type Outcomes,
  outcomesOf,
  type Selection,
} from './letter-store.js';
import { historyOf, type StoredHistory } from '../postgres/failure-history.js';
import { microsOf, timeOf } from '../postgres/micros.js';
import { quoteIdentifier } from '../postgres/schema.js';

const JOB = 'id, queue, attempts, error, created_at as "createdAt", dead_at as "diedAt"';
/** The condition for {@link valuesOf}. The planner knows the parameters, so it drops the filters not given. */
const MATCHES = `dead_at is not null
      and ($1::uuid[] is null or id = any($1))
      and ($2::text is null or queue = $2)
      and ($3::timestamptz is null or dead_at >= $3)
      and ($4::timestamptz is null or dead_at < $4)
      and ($5::text is null or ${causeOf('error')} = $5)`;

/** The SQL of the dead jobs, which are listed, chosen and changed by the same steps as dead letters. */
export class DeadJobStore implements DeadStore<JobFilter, DeadJob> {
  private readonly jobs: string;

  constructor(schema: string) {
    this.jobs = `${quoteIdentifier(schema)}.jobs`;
  }

  async list(
    db: DataSource,
    filter: JobFilter,
    { limit, oldestFirst, after }: { limit: number; oldestFirst: boolean; after?: LetterPlace | undefined },
  ): Promise<(DeadJob & LetterPlace)[]> {
    const [beyond, order] = oldestFirst ? ['>', 'asc'] : ['<', 'desc'];
    // Served by jobs_died.
    return db.query(
      `select ${JOB}, ${microsOf('dead_at')} as "diedAtMicros" from ${this.jobs}
        where ${MATCHES} and ($6::bigint is null or (dead_at, id) ${beyond} (${timeOf('$6')}, $7::uuid))
        order by dead_at ${order}, id ${order} limit $8`,
      [...valuesOf(filter), after?.diedAtMicros, after?.id, limit],
    );
  }

  async causes(db: DataSource, filter: JobFilter): Promise<Causes> {
    // Served by jobs_died.
    const rows: Parameters<typeof toCauses>[0] = await db.query(
      groupedByCause(
        `select error, queue as type, dead_at from ${this.jobs} where ${MATCHES} order by dead_at desc, id desc`,
      ),
      valuesOf(filter),
    );
    return toCauses(rows);
  }

  async find(db: DataSource, id: string): Promise<WholeDeadJob | undefined> {
    const [job]: (Omit<WholeDeadJob, 'history'> & { history: StoredHistory })[] = await db.query(
      `select ${JOB}, data, history from ${this.jobs} where id = $1 and dead_at is not null`,
      [id],
    );
    return job && { ...job, history: historyOf(job.history) };
  }

  async count(db: DataSource | EntityManager, selection: Selection<JobFilter>): Promise<number> {
    // Served by jobs_died.
    const [row]: { total: number }[] = await db.query(
      `select count(*)::float8 as total from ${this.jobs} where ${MATCHES}`,
      valuesOf(selection),
    );
    return row?.total ?? 0;
  }

  async first(db: DataSource | EntityManager, selection: Selection<JobFilter>, limit: number): Promise<DeadJob[]> {
    // Served by jobs_dead.
    const rows: DeadJob[] = await db.query(`select ${JOB} from ${this.jobs} where ${MATCHES} order by id limit $6`, [
      ...valuesOf(selection),
      limit,
    ]);
    return rows;
  }

  async next(
    db: DataSource,
    selection: Selection<JobFilter>,
    after: LetterCursor | undefined,
    limit: number,
  ): Promise<Chunk | undefined> {
    // Served by jobs_dead.
    const rows: { id: string }[] = await db.query(
      `select id from ${this.jobs}
        where ${MATCHES} and ($6::uuid is null or id > $6) order by id limit $7`,
      [...valuesOf(selection), after?.[0], limit],
    );
    const last = rows.at(-1);
    return last && { ids: rows.map(({ id }) => id), after: [last.id] };
  }

  /** Locks and returns the jobs that still match, until the transaction ends. */
  async take(tx: EntityManager, selection: Selection<JobFilter>, ids: readonly string[]): Promise<DeadJob[]> {
    return tx.query(
      `select ${JOB} from ${this.jobs} where ${MATCHES} order by id for update`,
      valuesOf(selection, ids),
    );
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

function valuesOf(
  { ids: filtered, queue, cause, diedAfter, diedBefore }: Selection<JobFilter>,
  ids: readonly string[] | undefined = filtered,
): unknown[] {
  return [ids, queue, diedAfter, diedBefore, cause].map((value) => value ?? null);
}
