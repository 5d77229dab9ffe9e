import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { DueWork } from '#src/poll/due-work.js';
import { type Job, type JobOptions, jobQueue } from '#src/jobs/job-queue.js';
import { JobStore } from '#src/jobs/job-store.js';
import { JobWorker } from '#src/jobs/job-worker.js';
import { JOB_TIMING, type JobTiming } from '#src/jobs/leases.js';
import { Jobs } from '#src/jobs/jobs.js';
import { type MessagingOptions } from '#src/messaging-options.js';
import { AfterCommit } from '#src/postgres/after-commit.js';
import { type TestDatabase } from '#src/testing/database.js';
import { until } from '#src/testing/until.js';
import { createSandboxDatabase } from './sandbox-database.js';

export type Handle = (job: Job<{ n?: number }>, signal: AbortSignal) => void | Promise<void>;

export const SOON: JobOptions = { backOff: { firstMs: 20, maxMs: 50 } };
/** The leases of a killed process end after a second. */
export const QUICK: JobTiming = { leaseMs: 1000, renewEveryMs: 250 };

/** The parts of a process that adds and runs jobs. */
export interface JobProcess {
  readonly jobs: Jobs;
  readonly worker: JobWorker;
  readonly pool: DataSource;
  /** Does what the shared poll does when a job is due. */
  readonly poll: () => void;
}

/** A child process, which can be killed and paused. */
export interface JobChild {
  readonly said: () => string;
  says(what: string): Promise<unknown>;
  signal(signal: NodeJS.Signals): void;
}

/** A schema with the library's tables, and processes that run its jobs. Does not need Kafka. */
export class JobSandbox {
  private readonly processes: JobProcess[] = [];
  private readonly children: ChildProcess[] = [];

  /** Another URL of the database, for processes that are started from now on. */
  poolUrl: string | undefined;

  private constructor(
    readonly database: TestDatabase,
    readonly options: MessagingOptions,
  ) {}

  static async create(): Promise<JobSandbox> {
    Logger.overrideLogger(false);
    const database = await createSandboxDatabase();
    await database.sql('create table sandbox.effects (seq serial, job uuid not null, who text not null)');
    const nothing = { brokers: [], publishes: [], consumes: [] };
    return new JobSandbox(database, { schema: 'sandbox', databaseUrl: database.url, service: 'jobs', ...nothing });
  }

  async connect(): Promise<DataSource> {
    const pool = {
      type: 'postgres',
      url: this.poolUrl ?? this.database.url,
      poolErrorHandler: () => undefined,
    } as const;
    return new DataSource(pool).initialize();
  }

  async startProcess(
    handlers: Record<string, Handle>,
    options = SOON,
    timing = JOB_TIMING,
    store = new JobStore('sandbox'),
  ): Promise<JobProcess> {
    const pool = await this.connect();
    const dueWork = new DueWork();
    const queues = Object.entries(handlers).map(([name, handle]) =>
      jobQueue(name, options, async (job, signal) => handle(job as Job<{ n?: number }>, signal)),
    );
    const worker = new JobWorker(store, pool, dueWork, queues, timing);
    const jobs = new Jobs(this.options, new AfterCommit(), dueWork);
    const process = { jobs, worker, pool, poll: () => dueWork.found('jobs') };
    this.processes.push(process);
    worker.start();
    return process;
  }

  /** Starts a child process from the built library. It handles the queue `call`; a job ends once the process was paused. */
  async startChild(): Promise<JobChild> {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      cwd: join(import.meta.dirname, '../dist'),
      env: { PATH: process.env['PATH'], DATABASE_URL: this.database.url },
    });
    this.children.push(child);
    let said = '';
    child.stdout.on('data', (chunk) => (said += String(chunk)));
    child.stderr.on('data', (chunk) => (said += String(chunk)));
    return {
      said: () => said,
      says: async (what) => until(`the process writes ${what}`, () => said.includes(what)),
      signal: (signal) => void child.kill(signal),
    };
  }

  /** Adds jobs with plain SQL, so that no process is woken. */
  async add(queue: string, count = 1): Promise<string[]> {
    const ids = Array.from({ length: count }, () => randomUUID());
    await this.database.sql(
      `insert into sandbox.jobs (id, queue, data, run_at) select id, $1, '{}', now() from unnest($2::uuid[]) as id`,
      [queue, ids],
    );
    return ids;
  }

  async rows(): Promise<Record<string, unknown>[]> {
    return this.database.sql('select * from sandbox.jobs order by id');
  }

  async row(): Promise<Record<string, unknown>> {
    return (await this.rows())[0]!;
  }

  /** The condition of the shared poll. */
  async claimable(): Promise<boolean> {
    const found = await this.database.sql(
      'select from sandbox.jobs where dead_at is null and run_at <= statement_timestamp() limit 1',
    );
    return found.length > 0;
  }

  /** Waits for the condition, and makes the process poll meanwhile. */
  async polling<T>(what: string, process: JobProcess, condition: () => T | Promise<T>) {
    return until(what, async () => {
      if (await this.claimable()) process.poll();
      return condition();
    });
  }

  async effect(job: string, who: string): Promise<void> {
    await this.database.sql('insert into sandbox.effects (job, who) values ($1, $2)', [job, who]);
  }

  async effects(): Promise<unknown[]> {
    return (await this.database.sql('select who from sandbox.effects order by seq')).map(({ who }) => who);
  }

  async close(): Promise<void> {
    for (const child of this.children) child.kill('SIGKILL');
    await Promise.all(
      this.processes.map(async ({ worker, pool }) => {
        await worker.stop();
        await pool.destroy();
      }),
    );
    await this.database.drop();
  }
}

/** Creates a gate at which handlers can wait. */
export function gate(): { opened: Promise<void>; open: () => void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

const script = `
  import { DataSource } from 'typeorm';
  import { DueWork } from './poll/due-work.js';
  import { jobQueue } from './jobs/job-queue.js';
  import { JobStore } from './jobs/job-store.js';
  import { JobWorker } from './jobs/job-worker.js';

  const db = await new DataSource({ type: 'postgres', url: process.env.DATABASE_URL }).initialize();
  const wasPaused = () => new Promise((resolve) => {
    let last = Date.now();
    setInterval(() => {
      if (Date.now() - last > 800) resolve();
      last = Date.now();
    }, 5);
  });
  const queue = jobQueue('call', {}, async ({ id }) => {
    await db.query("insert into sandbox.effects (job, who) values ($1, 'child')", [id]);
    console.log('running');
    await wasPaused();
    setInterval(() => {
      if (worker.health().running === 0) console.log('ended', JSON.stringify(worker.health()));
    }, 20);
  });
  const timing = { leaseMs: 1000, renewEveryMs: 250 };
  const worker = new JobWorker(new JobStore('sandbox'), db, new DueWork(), [queue], timing);
  worker.start();
`;
