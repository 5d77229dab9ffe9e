import { type DataSource, type EntityManager } from 'typeorm';
import { blocksOf, type DueSince, dueSince, LATE, NIL, SLICE_BLOCKS, type Strays } from './due-range.js';
import { storable } from './column-text.js';
import { type Job } from './job-handlers.js';
import { quoteIdentifier } from './schema.js';

/** A job in the hands of a worker: the fencing token is the lease, new with every claim. */
export interface Leased {
  readonly id: string;
  readonly lease: string;
}

export interface ClaimedJob extends Leased, Omit<Job, 'attempt'> {
  /** Failed attempts; a lease that ran out is one. */
  readonly attempts: number;
  /** Failures that were the environment's fault, since the last that was not. */
  readonly setbacks: number;
}

/** What becomes of a job whose attempt failed: another in `delayMs`, or none (undefined). */
export interface PutBack {
  readonly attempts: number;
  readonly setbacks: number;
  readonly delayMs: number | undefined;
  readonly error: string;
}

/** What statements that run at about the same time may differ by. */
const SLACK = '1 s';
const FRESH = 1000;

/**
 * The workers' SQL. `run_at` is when a job may be claimed: while it is leased, the end of the lease. So one condition finds
 * both what is due and what a dead process has left. Single statements, by the database's clock; everything after the claim
 * only where the lease is still the worker's own.
 */
export class JobStore {
  private readonly jobs: string;
  /** Those of the ids $1 that are still leased as $2 says. Locked in order: statements about many jobs never wait in a circle. */
  private readonly own: string;

  constructor(
    private readonly schema: string,
    /** Where the looks begin; the poll moves it on. */
    private readonly since: DueSince = { parked: null, jobs: {} },
  ) {
    this.jobs = `${quoteIdentifier(schema)}.jobs`;
    this.own = `array(
      select job.id from ${this.jobs} as job join unnest($1::uuid[], $2::uuid[]) as held (id, lease) using (id, lease)
       where job.id = any($1::uuid[]) order by job.id for update of job)`;
  }

  /**
   * Leases due jobs, of each queue as many as it has room for, the longest due first. Served by jobs_due, for each queue by
   * itself: however much of one queue is due, it is not in the way of another's.
   */
  async claim(
    db: DataSource,
    lease: string,
    leaseMs: number,
    room: ReadonlyMap<string, number>,
    /** Leases that ran out although nothing was wrong with their jobs. */
    forgiven: readonly string[] = [],
  ): Promise<ClaimedJob[]> {
    // statement_timestamp, for an index cannot be searched by clock_timestamp: that may differ from row to row.
    const [rows]: [ClaimedJob[], number] = await db.query(
      // A claim that a crash of the server undoes is made again; what it was made for is run once more, at worst.
      `/* prepared */ with settings as materialized (select set_config('synchronous_commit', 'off', true)),
       due as materialized (
         select job.id
           from settings, unnest($1::text[], $2::int[], $6::timestamptz[]) as room (queue, places, since)
          cross join lateral (
            select id from ${this.jobs}
             where queue = room.queue and dead_at is null and run_at <= statement_timestamp()
               and (run_at, id) >= (${dueSince(this.schema, 'jobs', 'room.since')}, '${NIL}'::uuid)
             order by run_at limit room.places for update skip locked) as job)
       update ${this.jobs} as job
          set lease = $3, run_at = clock_timestamp() + $4 * interval '1 ms',
              -- Whoever had it has not finished, and not handed it back: perhaps the job is what its process died of.
              attempts = job.attempts + (job.lease is not null and job.lease <> all($5::uuid[]))::int
        -- An array, for the planner takes a join for a large one, and reads the whole table.
        where job.id = any(array(select id from due))
       returning job.id, job.queue, job.data, job.attempts, job.setbacks, job.lease`,
      [[...room.keys()], [...room.values()], lease, leaseMs, forgiven, this.sinceOf([...room.keys()])],
    );
    return rows;
  }

  /**
   * Makes due what is due and what no claim would find, because it was committed late: in some blocks of the table from `block`
   * on. Neither the size of the table nor the number of dead rows in it matters.
   */
  async wakeStrays(db: DataSource, block: number, queues: readonly string[]): Promise<Strays> {
    const end = block + SLICE_BLOCKS;
    const [row]: { woken: number; blocks: number }[] = await db.query(
      `with slice as materialized (
         select id, queue, run_at, dead_at from ${this.jobs} where ctid >= $1::tid and ctid < $2::tid),
       woken as (
         update ${this.jobs} set run_at = clock_timestamp()
          where id = any(array(
            select job.id from ${this.jobs} as job
             where job.dead_at is null and job.run_at < ${LATE} and job.id = any(array(
               select id from slice join unnest($3::text[], $4::timestamptz[]) as handled (queue, since) using (queue)
                where dead_at is null and run_at < ${dueSince(this.schema, 'jobs', 'since')}))
               for update skip locked))
         returning 1)
       select (select count(*)::int from woken) as woken, ${blocksOf(this.schema, 'jobs')} as blocks`,
      [`(${block},0)`, `(${end},0)`, queues, this.sinceOf(queues)],
    );
    return { woken: row?.woken ?? 0, next: row && row.blocks > end ? end : undefined };
  }

  private sinceOf(queues: readonly string[]): (string | null)[] {
    return queues.map((queue) => this.since.jobs[queue] ?? null);
  }

  /** Gives the ids of those that are still leased so, for another `leaseMs`. */
  async renew(db: DataSource, held: readonly Leased[], leaseMs: number): Promise<Set<string>> {
    const [rows]: [{ id: string }[], number] = await db.query(
      `update ${this.jobs} set run_at = clock_timestamp() + $3 * interval '1 ms'
        where id = any(${this.own}) returning id`,
      [held.map(({ id }) => id), held.map(({ lease }) => lease), leaseMs],
    );
    return new Set(rows.map(({ id }) => id));
  }

  /** They are done. Gives the ids of those that were still leased so. */
  async remove(db: DataSource, done: readonly Leased[]): Promise<Set<string>> {
    const [rows]: [{ id: string }[], number] = await db.query(
      `/* prepared */ delete from ${this.jobs} where id = any(${this.own}) returning id`,
      [done.map(({ id }) => id), done.map(({ lease }) => lease)],
    );
    return new Set(rows.map(({ id }) => id));
  }

  /** The job has failed. False when the lease is another's. */
  async putBack(
    db: DataSource | EntityManager,
    { id, lease }: Leased,
    { attempts, setbacks, delayMs, error }: PutBack,
  ): Promise<boolean> {
    const [, updated]: [unknown, number] = await db.query(
      `update ${this.jobs}
          set lease = null, attempts = $3, setbacks = $6, error = $5,
              run_at = clock_timestamp() + coalesce($4::float8, 0) * interval '1 ms',
              dead_at = case when $4::float8 is null then clock_timestamp() end
        where id = $1 and lease = $2`,
      [id, lease, attempts, delayMs ?? null, storable(error), setbacks],
    );
    return updated > 0;
  }

  /** Not finished, through no fault of the jobs: whoever comes first may have them at once. */
  async handBack(db: DataSource, held: readonly Leased[]): Promise<void> {
    await db.query(`update ${this.jobs} set lease = null, run_at = clock_timestamp() where id = any(${this.own})`, [
      held.map(({ id }) => id),
      held.map(({ lease }) => lease),
    ]);
  }

  /**
   * Gives back what claims took whose answers were lost: nobody runs those jobs. Served by jobs_due: a claim ends within
   * `leaseMs` of now.
   */
  async handBackClaims(
    db: DataSource,
    queues: readonly string[],
    leases: readonly string[],
    leaseMs: number,
  ): Promise<void> {
    await db.query(
      `update ${this.jobs} set lease = null, run_at = clock_timestamp()
        where id = any(array(
          select job.id
            from unnest($1::text[]) as q (queue)
           cross join lateral (
             select id from ${this.jobs}
              where queue = q.queue and dead_at is null and run_at > statement_timestamp()
                and run_at <= statement_timestamp() + $3 * interval '1 ms' and lease = any($2::uuid[])
              order by id for update skip locked) as job))`,
      [queues, leases, leaseMs],
    );
  }

  /**
   * Brings forward the jobs that a clock which was set back would leave waiting for the length of its step: leases that end
   * later than a lease can, and waits between two attempts that are longer than the longest. Served by jobs_begun. Jobs that
   * were due at once, among the next {@link FRESH} of their queue (jobs_due), are known by having been created later than now.
   * What an application has scheduled keeps its time.
   */
  async bringForward(db: DataSource, longestWaitMs: ReadonlyMap<string, number>, leaseMs: number): Promise<number> {
    const [, updated]: [unknown, number] = await db.query(
      `update ${this.jobs}
          set run_at = clock_timestamp() + case when lease is null then 0 else $3::float8 end * interval '1 ms'
        where id = any(array(
          select job.id
            from unnest($1::text[], $2::float8[]) as q (queue, longest)
           cross join lateral (
             (select id from (
                select id from ${this.jobs}
                 where queue = q.queue and dead_at is null and (lease is not null or attempts > 0 or setbacks > 0)
                   and run_at > statement_timestamp()
                     + least(q.longest, $3::float8) * interval '1 ms' + interval '${SLACK}'
                   and run_at > statement_timestamp()
                     + case when lease is null then q.longest else $3::float8 end * interval '1 ms' + interval '${SLACK}'
                   for update skip locked) as begun)
             union all
             (select id from (
                select id, run_at, created_at from ${this.jobs}
                 where queue = q.queue and dead_at is null and run_at > statement_timestamp() + interval '${SLACK}'
                 order by run_at limit ${FRESH}) as next
               where created_at > statement_timestamp() and run_at <= created_at + interval '${SLACK}')) as job))
          and dead_at is null and run_at > clock_timestamp()`,
      [[...longestWaitMs.keys()], [...longestWaitMs.values()], leaseMs],
    );
    return updated;
  }
}
