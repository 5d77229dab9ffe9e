import { type DataSource, type EntityManager } from 'typeorm';
import { causeOf, type Causes, groupedByCause, toCauses } from './cause.js';
import { type DeadJob, type JobFilter, type WholeDeadJob } from './dead-job.js';
import { CHUNK, type Chunk, type LetterCursor, type LetterPlace } from './letter-store.js';
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
export class DeadJobStore {
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
    const [job]: WholeDeadJob[] = await db.query(
      `select ${JOB}, data from ${this.jobs} where id = $1 and dead_at is not null`,
      [id],
    );
    return job;
  }

  /** Returns the next jobs that died no later than `untilMicros`, by id. Undefined when there are no more. */
  async next(
    db: DataSource,
    filter: JobFilter,
    untilMicros: string,
    after: LetterCursor | undefined,
  ): Promise<Chunk | undefined> {
    // Served by jobs_dead.
    const rows: { id: string }[] = await db.query(
      `select id from ${this.jobs}
        where ${MATCHES} and dead_at <= ${timeOf('$6')} and ($7::uuid is null or id > $7)
        order by id limit ${CHUNK}`,
      [...valuesOf(filter), untilMicros, after?.[0]],
    );
    const last = rows.at(-1);
    return last && { ids: rows.map(({ id }) => id), after: [last.id] };
  }

  /** Locks and returns the jobs that still match, until the transaction ends. */
  async take(tx: EntityManager, filter: JobFilter, ids: readonly string[]): Promise<DeadJob[]> {
    return tx.query(`select ${JOB} from ${this.jobs} where ${MATCHES} order by id for update`, valuesOf(filter, ids));
  }

  async retry(tx: EntityManager, ids: readonly string[]): Promise<void> {
    await tx.query(
      `update ${this.jobs} set dead_at = null, attempts = 0, run_at = clock_timestamp() where id = any($1::uuid[])`,
      [ids],
    );
  }

  async discard(tx: EntityManager, ids: readonly string[]): Promise<void> {
    await tx.query(`delete from ${this.jobs} where id = any($1::uuid[])`, [ids]);
  }
}

function valuesOf(
  { ids: filtered, queue, cause, diedAfter, diedBefore }: JobFilter,
  ids: readonly string[] | undefined = filtered,
): unknown[] {
  return [ids, queue, diedAfter, diedBefore, cause].map((value) => value ?? null);
}
