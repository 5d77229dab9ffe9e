import { type DataSource, type EntityManager } from 'typeorm';
import { blocksOf, type DueSince, dueSince, LATE, NIL, SLICE_BLOCKS, type Strays } from '../postgres/due-range.js';
import { withFailure } from '../postgres/failure-history.js';
import { storable } from '../message/column-text.js';
import { type Job } from './job-queue.js';
import { prepared } from '../postgres/prepared.js';
import { quoteIdentifier } from '../postgres/schema.js';

/** A job that a worker has claimed. `lease` is its fencing token, a new one with every claim. */
export interface Leased {
  readonly id: string;
  readonly lease: string;
}

export interface ClaimedJob extends Leased, Omit<Job, 'attempt'> {
  /** The trace of the code that added the job; null if that was not traced. */
  readonly traceparent?: string | null;
  readonly tracestate?: string | null;
  /** Failed attempts; an expired lease counts as one. */
  readonly attempts: number;
  /** Failures that were the environment's fault, since the last one that was not. */
  readonly setbacks: number;
}

/** The state of a job after a failed attempt: it is retried in `delayMs`, or dead if that is undefined. */
export interface PutBack {
  readonly attempts: number;
  readonly setbacks: number;
  readonly delayMs: number | undefined;
  readonly error: string;
}

/** The error of an attempt whose process did not record how it ended, as an SQL literal. */
const LOST = `'the process that ran it crashed or lost its database connection'`;
/** How far the times of statements that run at about the same time may differ. */
const SLACK = '1 s';
/** How many of a queue's next jobs are searched for ones with a creation time in the future. */
const FRESH = 1000;

/**
 * The SQL of the workers. `run_at` is when a job may be claimed; for a leased job it is the end of the lease. So one condition finds
 * both the jobs that are due and those that a dead process left behind. Each method is a single statement and uses the database's
 * clock. After the claim, a statement affects a job only while the worker still holds its lease.
 */
export class JobStore {
  private readonly jobs: string;
  /**
   * The ids among $1 whose lease is still the one in $2. They are locked in order, so that statements about many jobs cannot
   * deadlock.
   */
  private readonly own: string;

  constructor(
    private readonly schema: string,
    /** The time from which each search for due jobs starts; the poll advances it. */
    private readonly since: DueSince = { parked: null, jobs: {} },
  ) {
    this.jobs = `${quoteIdentifier(schema)}.jobs`;
    this.own = `array(
      select job.id from ${this.jobs} as job join unnest($1::uuid[], $2::uuid[]) as held (id, lease) using (id, lease)
       where job.id = any($1::uuid[]) order by job.id for update of job)`;
  }

  /**
   * Leases due jobs, as many of each queue as `room` allows, the longest overdue first. Served by jobs_due, separately for each
   * queue, so that a backlog of one queue does not delay another.
   */
  async claim(
    db: DataSource,
    lease: string,
    leaseMs: number,
    room: ReadonlyMap<string, number>,
    /** Leases that may have expired through no fault of their jobs. */
    forgiven: readonly string[] = [],
  ): Promise<ClaimedJob[]> {
    // statement_timestamp, because clock_timestamp may differ from row to row and so cannot be used to search an index.
    const [rows]: [ClaimedJob[], number] = await db.query(
      // If a crash of the server undoes a claim, it is made again. At worst the job then runs once more.
      prepared(`with settings as materialized (select set_config('synchronous_commit', 'off', true)),
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
              -- The previous holder neither finished the job nor handed it back. Perhaps the job crashed its process.
              attempts = job.attempts + (job.lease is not null and job.lease <> all($5::uuid[]))::int,
              history = case when job.lease is not null and job.lease <> all($5::uuid[]) then ${withFailure('job.history', LOST)} else job.history end
        -- An array, because the planner expects a join to be large and would read the whole table.
        where job.id = any(array(select id from due))
       returning job.id, job.queue, job.data, job.attempts, job.setbacks, job.lease,
                 job.traceparent, job.tracestate`),
      [[...room.keys()], [...room.values()], lease, leaseMs, forgiven, this.sinceOf([...room.keys()])],
    );
    return rows;
  }

  /**
   * Finds jobs that are due but that no claim would find, because they were committed late, and makes them due now. Searches some
   * blocks of the table, starting with `block`. The cost depends neither on the size of the table nor on the number of dead rows in it.
   */
  async wakeStrays(db: DataSource, block: number, queues: readonly string[]): Promise<Strays> {
    const end = block + SLICE_BLOCKS;
    const [row]: { woken: number; blocks: number }[] = await db.query(
      `with slice as materialized (
         select id, queue, run_at, dead_at from ${this.jobs} where ctid >= $1::tid and ctid < $2::tid),
       woken as (
         update ${this.jobs} set run_at = clock_timestamp()
          where id = any(array(
            -- jobs_pkey. offset 0 keeps the planner from reading everything that is due.
            select job.id from (
              select id, run_at, dead_at from ${this.jobs} where id = any(array(
                select id from slice join unnest($3::text[], $4::timestamptz[]) as handled (queue, since) using (queue)
                 where dead_at is null and run_at < ${dueSince(this.schema, 'jobs', 'since')})) offset 0) as job
             where job.dead_at is null and job.run_at < ${LATE} for update skip locked))
         returning 1)
       select (select count(*)::int from woken) as woken, ${blocksOf(this.schema, 'jobs')} as blocks`,
      [`(${block},0)`, `(${end},0)`, queues, this.sinceOf(queues)],
    );
    return { woken: row?.woken ?? 0, next: row && row.blocks > end ? end : undefined };
  }

  private sinceOf(queues: readonly string[]): (string | null)[] {
    return queues.map((queue) => this.since.jobs[queue] ?? null);
  }

  /** Extends the leases to `leaseMs` from now, and returns the ids of the jobs whose lease was still held. */
  async renew(db: DataSource, held: readonly Leased[], leaseMs: number): Promise<Set<string>> {
    const [rows]: [{ id: string }[], number] = await db.query(
      `update ${this.jobs} set run_at = clock_timestamp() + $3 * interval '1 ms'
        where id = any(${this.own}) returning id`,
      [held.map(({ id }) => id), held.map(({ lease }) => lease), leaseMs],
    );
    return new Set(rows.map(({ id }) => id));
  }

  /** Removes jobs that are done, and returns the ids of those whose lease was still held. */
  async remove(db: DataSource, done: readonly Leased[]): Promise<Set<string>> {
    const [rows]: [{ id: string }[], number] = await db.query(
      prepared(`delete from ${this.jobs} where id = any(${this.own}) returning id`),
      [done.map(({ id }) => id), done.map(({ lease }) => lease)],
    );
    return new Set(rows.map(({ id }) => id));
  }

  /** Records that an attempt failed. Returns false if the lease is no longer held. */
  async putBack(
    db: DataSource | EntityManager,
    { id, lease }: Leased,
    { attempts, setbacks, delayMs, error }: PutBack,
  ): Promise<boolean> {
    const [, updated]: [unknown, number] = await db.query(
      `update ${this.jobs}
          set lease = null, attempts = $3, setbacks = $6, error = $5::text, history = ${withFailure('history', '$5::text')},
              run_at = clock_timestamp() + coalesce($4::float8, 0) * interval '1 ms',
              dead_at = case when $4::float8 is null then clock_timestamp() end
        where id = $1 and lease = $2`,
      [id, lease, attempts, delayMs ?? null, storable(error), setbacks],
    );
    return updated > 0;
  }

  /** Gives up the leases of jobs that were not finished through no fault of their own, so that any process may claim them at once. */
  async handBack(db: DataSource, held: readonly Leased[]): Promise<void> {
    await db.query(`update ${this.jobs} set lease = null, run_at = clock_timestamp() where id = any(${this.own})`, [
      held.map(({ id }) => id),
      held.map(({ lease }) => lease),
    ]);
  }

  /**
   * Gives up the leases of claims whose answers were lost, because nobody runs those jobs. Served by jobs_due, because such a lease
   * ends within `leaseMs` from now.
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
   * Brings forward jobs that would wait too long after the database's clock was set back: leased jobs whose lease ends later than any
   * lease can, and jobs whose wait between two attempts is longer than the longest one possible. Served by jobs_begun. Jobs that were
   * due at once are recognised by a creation time in the future, among the next {@link FRESH} jobs of their queue (jobs_due). Jobs
   * that the application scheduled keep their time. Returns how many were brought forward.
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
