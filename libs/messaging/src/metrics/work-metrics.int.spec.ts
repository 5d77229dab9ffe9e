import { PermanentError } from '../errors.js';
import { noJobCounts } from '../operations/job-counts.js';
import { JobSandbox } from '../../test/job-sandbox.js';
import { until } from '../testing/until.js';
import { MessagingMetrics } from './metrics.js';

let sandbox: JobSandbox;
beforeEach(async () => {
  sandbox = await JobSandbox.create();
});
afterEach(() => sandbox.close());

async function metricsOf(queues: readonly string[] = ['call']): Promise<MessagingMetrics> {
  const pool = await sandbox.connect();
  const consumer = { consumer: Symbol('orders'), groupId: 'orders' };
  const topic = { name: 'orders', aggregateType: 'order', partitions: 1, retentionMs: 1000, events: {} };
  const metrics = new MessagingMetrics({ ...sandbox.options, consumes: [{ ...consumer, topic }] }, () => pool);
  metrics.watchJobs(new Map(queues.map((queue) => [queue, noJobCounts()])));
  closing.push(() => pool.destroy());
  return metrics;
}
const closing: (() => Promise<void>)[] = [];
afterEach(() => Promise.all(closing.splice(0).map((close) => close())));

/** Returns the samples whose names begin so, without their timestamps. */
async function scrape({ registry }: MessagingMetrics, name: string): Promise<string[]> {
  return (await registry.metrics()).split('\n').filter((line) => line.startsWith(`${name}{`));
}

const insert = (columns: string, values: string) =>
  sandbox.database.sql(
    `insert into sandbox.jobs (id, queue, data, ${columns})
     select gen_random_uuid(), queue, '{}', ${values} from unnest(array['call', 'foreign']) as queue`,
  );

it('P9 counts the jobs of each queue that this process handles, by state', async () => {
  await insert('run_at', `now() - interval '90 s'`);
  await insert('run_at, lease', `now() - interval '30 s', gen_random_uuid()`);
  await insert('run_at', `now() + interval '1 h'`);
  await insert('run_at, lease', `now() + interval '30 s', gen_random_uuid()`);
  await insert('run_at, attempts', `now() + interval '30 s', 1`);
  await insert('run_at, setbacks', `now() + interval '30 s', 1`);
  await insert('run_at, attempts, dead_at', `now(), 3, now()`);
  const metrics = await metricsOf(['call', 'idle']);

  expect(await scrape(metrics, 'messaging_jobs')).toEqual([
    ...Object.entries({ due: 2, running: 1, retrying: 2, dead: 1 }).map(
      ([state, count]) => `messaging_jobs{queue="call",state="${state}"} ${count}`,
    ),
    ...['due', 'running', 'retrying', 'dead'].map((state) => `messaging_jobs{queue="idle",state="${state}"} 0`),
  ]);
  const [call, idle] = await scrape(metrics, 'messaging_jobs_oldest_due_age_seconds');
  expect(Number(call?.split(' ').at(-1))).toBeCloseTo(90, -1);
  expect(idle).toBe('messaging_jobs_oldest_due_age_seconds{queue="idle"} 0');
});

it('P9 counts the attempts of jobs by queue and outcome', async () => {
  const { jobs, pool, worker } = await sandbox.startProcess({
    works: () => undefined,
    fails: () => {
      throw new PermanentError('never');
    },
  });
  const metrics = await metricsOf();
  metrics.watchJobs(worker.counts);

  await pool.transaction(async (tx) => {
    await jobs.add(tx, 'works', {});
    await jobs.add(tx, 'works', {});
    await jobs.add(tx, 'fails', {});
  });
  await until('all have ended', () => worker.health()['done'] === 2 && worker.health()['dead'] === 1);

  expect(await scrape(metrics, 'messaging_job_attempts_total')).toEqual([
    'messaging_job_attempts_total{queue="works",outcome="done"} 2',
    'messaging_job_attempts_total{queue="works",outcome="failed"} 0',
    'messaging_job_attempts_total{queue="works",outcome="setback"} 0',
    'messaging_job_attempts_total{queue="fails",outcome="done"} 0',
    'messaging_job_attempts_total{queue="fails",outcome="failed"} 0',
    'messaging_job_attempts_total{queue="fails",outcome="setback"} 0',
  ]);
});

it('P9 shows what is paused, operations that have not finished, and open incidents', async () => {
  await sandbox.database.sql(`
    insert into sandbox.messaging_pauses (kind, name, actor)
    values ('consumer', 'orders', 'ops'), ('queue', 'gone', 'ops')`);
  await sandbox.database.sql(`
    insert into sandbox.messaging_operations (id, kind, filter, as_of, total, actor, finished_at)
    select gen_random_uuid(), 'replay', '{}', now(), 1, 'ops', finished from (values (null::timestamptz), (now())) as o (finished)`);
  await sandbox.database.sql(`
    insert into sandbox.messaging_incidents (kind, subject, problem, detail, acknowledged_at)
    values ('messages-missed', 'a', 'x', '{}', null), ('messages-missed', 'b', 'x', '{}', now())`);
  const metrics = await metricsOf();

  expect(await scrape(metrics, 'messaging_paused')).toEqual([
    'messaging_paused{kind="consumer",name="orders"} 1',
    'messaging_paused{kind="queue",name="call"} 0',
    'messaging_paused{kind="relay",name="relay"} 0',
  ]);
  expect(await scrape(metrics, 'messaging_operations')).toEqual([
    'messaging_operations{kind="replay",state="running"} 1',
    ...['retry-letters', 'discard-letters', 'retry-jobs', 'discard-jobs'].map(
      (kind) => `messaging_operations{kind="${kind}",state="running"} 0`,
    ),
  ]);
  expect(await scrape(metrics, 'messaging_incidents_open')).toEqual([
    'messaging_incidents_open{kind="positions-went-back"} 0',
    'messaging_incidents_open{kind="offsets-went-back"} 0',
    'messaging_incidents_open{kind="messages-missed"} 1',
  ]);
});

it('P7 a scrape reads neither jobs that are scheduled for later nor the table of jobs itself', async () => {
  await sandbox.database.sql(
    `insert into sandbox.jobs (id, queue, data, run_at)
     select gen_random_uuid(), 'call', '{}', now() + n * interval '1 s' from generate_series(100, 20000) as n`,
  );
  await sandbox.database.sql('vacuum (analyze) sandbox.jobs');
  const read = async () => {
    const [row] = await sandbox.database.sql<{ scans: number; rows: number; used: number }>(
      `select seq_scan::int as scans, (idx_tup_fetch + seq_tup_read)::int as rows, idx_scan::int as used
         from pg_stat_user_tables where relname = 'jobs'`,
    );
    return row!;
  };
  const before = await read();

  expect(await scrape(await metricsOf(), 'messaging_jobs')).toContain('messaging_jobs{queue="call",state="due"} 0');
  // The server has the statistics of a connection once it is closed.
  await Promise.all(closing.splice(0).map((close) => close()));

  const after = await until('the statistics include the scrape', async () => {
    const now = await read();
    return now.used > before.used && now;
  });
  expect(after.scans).toBe(before.scans);
  expect(after.rows - before.rows).toBeLessThan(100);
});
