import { randomUUID } from 'node:crypto';
import { type DataSource } from 'typeorm';
import { JobStore } from './job-store.js';
import { gate, type Handle, JobSandbox, QUICK, SOON } from '../../test/job-sandbox.js';
import { until } from '../testing/until.js';

let sandbox: JobSandbox;

beforeEach(async () => {
  sandbox = await JobSandbox.create();
});

afterEach(async () => {
  await sandbox.close();
});

describe('a worker', () => {
  it('runs all jobs of a queue, but no more concurrently than its limit', async () => {
    const door = gate();
    let running = 0;
    let most = 0;
    let done = 0;
    const { poll, pool } = await sandbox.startProcess(
      {
        call: async () => {
          most = Math.max(most, ++running);
          await door.opened;
          running--;
          done++;
        },
      },
      { concurrency: 3 },
    );
    await sandbox.add('call', 20);

    // Waking the worker again and again must not exceed the limit.
    await until('as many jobs run as may', () => {
      poll();
      return running === 3;
    });
    const sent = watchQueries(pool);
    await until('the other jobs wait', async () => {
      poll();
      return (await sandbox.rows()).filter(({ lease }) => lease === null).length === 17;
    });
    expect(sent).toEqual([]);
    door.open();

    await until('all are done', async () => (await sandbox.rows()).length === 0);
    expect(most).toBe(3);
    expect(done).toBe(20);
  });

  it('runs other queues while a slow queue has a backlog', async () => {
    const door = gate();
    const run: unknown[] = [];
    const { jobs, pool } = await sandbox.startProcess(
      { slow: () => door.opened, quick: ({ data }) => void run.push(data.n) },
      { concurrency: 2 },
    );
    await pool.transaction(async (tx) =>
      jobs.addAll(
        tx,
        'slow',
        Array.from({ length: 50 }, () => ({ data: {} })),
      ),
    );
    await until(
      'the slow queue is full',
      async () => (await sandbox.rows()).filter(({ lease }) => lease !== null).length === 2,
    );

    await pool.transaction(async (tx) => jobs.add(tx, 'quick', { n: 1 }));

    await until('the quick job has run', () => run.length === 1);
    expect((await sandbox.rows()).filter(({ queue }) => queue === 'slow')).toHaveLength(50);
    door.open();
    await until('all are done', async () => (await sandbox.rows()).length === 0);
  });

  it('does not touch jobs that it has no handler for', async () => {
    const process = await sandbox.startProcess({ call: () => undefined });
    await sandbox.add('elsewhere');
    await sandbox.add('call');

    await sandbox.polling('its own job is done', process, async () => (await sandbox.rows()).length === 1);

    expect(await sandbox.rows()).toMatchObject([{ queue: 'elsewhere', attempts: 0, lease: null }]);
  });

  it('sends no queries while it is idle', async () => {
    const door = gate();
    const busy = await sandbox.startProcess({ slow: () => door.opened }, SOON, QUICK);
    const { jobs, pool } = await sandbox.startProcess({ call: () => undefined }, SOON, QUICK);
    await pool.transaction(async (tx) => jobs.add(tx, 'call', {}));
    await until('it is done', async () => (await sandbox.rows()).length === 0);
    const sent = watchQueries(pool);

    await busy.pool.transaction(async (tx) => busy.jobs.add(tx, 'slow', {}));
    await until('a busy worker has renewed its lease several times', async () => {
      const [job] = await sandbox.database.sql(
        `select from sandbox.jobs where run_at > created_at + 3 * interval '${QUICK.leaseMs} ms'`,
      );
      return job;
    });

    expect(sent).toEqual([]);
    door.open();
    await until('it is done too', async () => (await sandbox.rows()).length === 0);
  });

  it('shares the jobs with another worker, and no job runs twice', async () => {
    const run: string[] = [];
    const call: Handle = async ({ id }) => {
      run.push(id);
      await new Promise((resolve) => setImmediate(resolve));
    };
    const [one, other] = await Promise.all([sandbox.startProcess({ call }), sandbox.startProcess({ call })]);
    const ids = await sandbox.add('call', 300);

    one.poll();
    other.poll();

    await until('all are done', async () => (await sandbox.rows()).length === 0);
    expect(run.toSorted()).toEqual(ids.toSorted());
    const shares = [one, other].map(({ worker }) => worker.health()['done'] as number);
    expect(shares[0]! + shares[1]!).toBe(300);
    expect(Math.min(...shares)).toBeGreaterThan(0);
  });

  it('renews the lease of a slow job, so that no other worker runs it meanwhile', async () => {
    const door = gate();
    const run: string[] = [];
    const slow = await sandbox.startProcess({ call: () => (run.push('slow'), door.opened) }, SOON, QUICK);
    await sandbox.add('call');
    slow.poll();
    await until('it runs', () => run.length === 1);
    const other = await sandbox.startProcess({ call: () => void run.push('other') }, SOON, QUICK);
    const { run_at: first } = (await sandbox.row()) as { run_at: Date };

    await sandbox.polling('its lease has been extended by three lease times', other, async () => {
      const { run_at: now } = (await sandbox.row()) as { run_at: Date };
      return now.getTime() - first.getTime() > 3 * QUICK.leaseMs;
    });
    door.open();

    await until('it is done', async () => (await sandbox.rows()).length === 0);
    expect(run).toEqual(['slow']);
  });

  it('hands back the jobs that it cannot finish when it stops, and aborts their handlers', async () => {
    const attempts: unknown[] = [];
    const { jobs, pool, worker } = await sandbox.startProcess({
      call: async ({ data }, signal) => {
        if (data.n === 1) return void (await new Promise((resolve) => setTimeout(resolve, 300)));
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
      },
    });
    await pool.transaction(async (tx) => jobs.addAll(tx, 'call', [{ data: { n: 1 } }, { data: { n: 2 } }]));
    await until('both run', () => worker.health()['running'] === 2);

    const from = performance.now();
    await worker.stop();
    const took = performance.now() - from;
    const left = await sandbox.rows();
    const other = await sandbox.startProcess({ call: ({ attempt }) => void attempts.push(attempt) });
    other.poll();

    await until('another worker has run it', async () => (await sandbox.rows()).length === 0);
    expect(left).toMatchObject([{ data: { n: 2 }, attempts: 0, lease: null, error: null }]);
    expect(took).toBeLessThan(5000);
    expect(attempts).toEqual([1]);
    expect(worker.health()).toMatchObject({ done: 1, failedAttempts: 0, running: 0 });
  });

  it('claims no jobs once it has stopped', async () => {
    const run: string[] = [];
    const { worker, poll } = await sandbox.startProcess({ call: ({ id }) => void run.push(id) });
    await worker.stop();
    await sandbox.add('call');
    poll();
    const other = await sandbox.startProcess({ call: () => undefined });
    other.poll();

    await until('another worker has run it', async () => (await sandbox.rows()).length === 0);

    expect(run).toEqual([]);
  });

  it('P6 is not blocked by a transaction that has locked a job', async () => {
    const [held] = await sandbox.add('call', 20);
    const holder = await sandbox.connect();
    const runner = holder.createQueryRunner();
    await runner.startTransaction();
    await runner.query('select from sandbox.jobs where id = $1 for update', [held]);
    const process = await sandbox.startProcess({ call: () => undefined });

    await sandbox.polling('all other jobs are done', process, async () => (await sandbox.rows()).length === 1);
    await runner.commitTransaction();

    await sandbox.polling('the locked job is done too', process, async () => (await sandbox.rows()).length === 0);
    await runner.release();
    await holder.destroy();
  });

  it('P9 is unhealthy while it cannot claim jobs, and recovers by itself', async () => {
    const { worker, poll } = await sandbox.startProcess({ call: () => undefined });
    await sandbox.database.sql('alter table sandbox.jobs rename to gone');
    poll();

    await until('it is unhealthy', () => !worker.health().healthy);
    expect(worker.health()['problem']).toContain('does not exist');
    await sandbox.database.sql('alter table sandbox.gone rename to jobs');

    await until('it is healthy again', () => worker.health().healthy);
  });
});

describe('a process that crashes or freezes', () => {
  it('P2 leaves its job to another process once the lease has expired, with one attempt fewer', async () => {
    await sandbox.add('call');
    const killed = await sandbox.startChild();
    await killed.says('running');
    const other = await sandbox.startProcess({ call: async ({ id }) => sandbox.effect(id, 'other') }, SOON, QUICK);

    killed.signal('SIGKILL');

    await sandbox.polling('another has run it', other, async () => (await sandbox.rows()).length === 0);
    expect(await sandbox.effects()).toEqual(['child', 'other']);
  });

  it('P5 uses up an attempt of its job, so a job that crashes every process ends up dead', async () => {
    await sandbox.add('call');
    await sandbox.database.sql('update sandbox.jobs set attempts = 9');
    const killed = await sandbox.startChild();
    await killed.says('running');
    const other = await sandbox.startProcess({ call: async ({ id }) => sandbox.effect(id, 'other') }, SOON, QUICK);

    killed.signal('SIGKILL');

    await sandbox.polling('it is dead', other, async () => (await sandbox.row())['dead_at']);
    expect(await sandbox.row()).toMatchObject({
      attempts: 10,
      error: expect.stringContaining('no attempts left') as string,
      history: [
        { error: 'the process that ran it crashed or lost its database connection' },
        { error: expect.stringContaining('no attempts left') as string },
      ],
    });
    expect(await sandbox.effects()).toEqual(['child']);
  });

  it('P4 cannot end a job that another process took over while it was paused', async () => {
    await sandbox.add('call');
    const paused = await sandbox.startChild();
    await paused.says('running');
    const door = gate();
    const other = await sandbox.startProcess(
      { call: async ({ id }) => (await sandbox.effect(id, 'other'), door.opened) },
      SOON,
      QUICK,
    );

    paused.signal('SIGSTOP');
    await sandbox.polling('another process runs it', other, async () => (await sandbox.effects()).includes('other'));
    const { lease } = await sandbox.row();
    paused.signal('SIGCONT');
    await paused.says('ended');

    expect(await sandbox.row()).toMatchObject({ lease, dead_at: null, error: null });
    expect(paused.said()).toContain('"done":0');
    door.open();
    await until('the job is done', async () => (await sandbox.rows()).length === 0);
    await until('the other process counts it', () => other.worker.health()['done'] === 1);
  });
});

describe('a lease', () => {
  it('P4 of another worker gives no right to remove, put back, hand back or renew a job', async () => {
    const store = new JobStore('sandbox');
    const db = await sandbox.connect();
    await sandbox.add('call');
    const room = new Map([['call', 1]]);
    const [stale] = await store.claim(db, randomUUID(), -1, room);
    const [mine] = await store.claim(db, randomUUID(), 60_000, room);
    const before = await sandbox.row();

    const removed = await store.remove(db, [stale!]);
    const putBack = await store.putBack(db, stale!, { attempts: 9, setbacks: 0, delayMs: undefined, error: 'mine' });
    await store.handBack(db, [stale!]);
    const renewed = await store.renew(db, [stale!, mine!], 60_000);

    expect([removed.size, putBack, renewed.size]).toEqual([0, false, 1]);
    expect(await sandbox.row()).toEqual({ ...before, run_at: expect.any(Date) as Date });
    expect(await store.claim(db, randomUUID(), 60_000, room)).toEqual([]);
    await db.destroy();
  });

  it('P7 costs no more when a hundred thousand other jobs wait', async () => {
    const store = new JobStore('sandbox');
    const db = await sandbox.connect();
    await sandbox.database.sql(
      `insert into sandbox.jobs (id, queue, data, run_at)
       select gen_random_uuid(), 'call', '{}', now() + (n % 2) * interval '1 day' from generate_series(1, 100000) n`,
    );
    await sandbox.database.sql('analyze sandbox.jobs');
    const before = await rowsScanned();
    const [job] = await store.claim(
      db,
      randomUUID(),
      60_000,
      new Map([
        ['call', 1],
        ['other', 4],
      ]),
    );
    await store.renew(db, [job!], 60_000);
    await store.handBack(db, [job!]);
    const [again] = await store.claim(db, randomUUID(), 60_000, new Map([['call', 1]]));
    await store.remove(db, [again!]);
    await flushed(db);

    expect((await rowsScanned()) - before).toBeLessThan(100);
    await db.destroy();
  });
});

/** The number of job rows read so far, by sequential scans or through an index. */
async function rowsScanned(): Promise<number> {
  const [stats] = await sandbox.database.sql<{ n: string }>(
    `select seq_tup_read + idx_tup_fetch + (select sum(idx_tup_read) from pg_stat_user_indexes where relname = 'jobs') as n
       from pg_stat_user_tables where relname = 'jobs'`,
  );
  return Number(stats?.n);
}

/** Flushes the statistics of the session, which otherwise reports them only after a while. */
async function flushed(db: DataSource): Promise<void> {
  await db.query('select pg_stat_force_next_flush()');
}

/** Collects the statements that the pool sends from now on, for a worker or anyone else. */
function watchQueries(pool: DataSource): string[] {
  const sent: string[] = [];
  const query = pool.query.bind(pool);
  pool.query = ((text: string, ...rest: unknown[]) => {
    sent.push(text);
    return query(text, ...(rest as [unknown[]]));
  }) as typeof pool.query;
  return sent;
}

describe('P5 a claim whose answer is lost', () => {
  it('costs its jobs neither an attempt nor the wait until the lease expires', async () => {
    const store = new JobStore('sandbox');
    const claim = store.claim.bind(store);
    let lost = 0;
    store.claim = async (...args) => {
      const jobs = await claim(...args);
      if (jobs.length === 0 || ++lost > 3) return jobs;
      throw new Error('Connection terminated unexpectedly');
    };
    const attempts: number[] = [];
    await sandbox.add('call', 2);

    const { worker } = await sandbox.startProcess(
      { call: ({ attempt }) => void attempts.push(attempt) },
      SOON,
      undefined,
      store,
    );

    await until('both are done', async () => (await sandbox.rows()).length === 0);
    expect(lost).toBeGreaterThan(3);
    expect(attempts).toEqual([1, 1]);
    expect(worker.health()).toMatchObject({ healthy: true });
  });

  it('costs no attempt even if the lease expires before the database answers again', async () => {
    const store = new JobStore('sandbox');
    const db = await sandbox.connect();
    await sandbox.add('call');
    const [lost] = await store.claim(db, randomUUID(), -1, new Map([['call', 1]]));

    const [again] = await store.claim(db, randomUUID(), -1, new Map([['call', 1]]), [lost!.lease]);
    const [third] = await store.claim(db, randomUUID(), 1000, new Map([['call', 1]]), [lost!.lease]);

    expect([again!.attempts, third!.attempts]).toEqual([0, 1]);
    await db.destroy();
  });
});

describe('after the database’s clock was set back', () => {
  const ahead = (columns: string) =>
    sandbox.database.sql(`update sandbox.jobs set run_at = run_at + interval '2 hours' ${columns}`);

  it.each([
    ['a job that a dead process has leased', ', lease = gen_random_uuid()'],
    ['a job that waits for its next attempt', ', attempts = 1'],
    ['a job that waits after a setback', ', setbacks = 1'],
    ['a job that was to run at once', `, created_at = created_at + interval '2 hours'`],
  ])('%s runs soon', async (_, columns) => {
    await sandbox.add('call');
    await ahead(columns);

    const process = await sandbox.startProcess({ call: () => undefined }, SOON, QUICK);

    await sandbox.polling('it is done', process, async () => (await sandbox.rows()).length === 0);
  });

  it('a worker that is already running notices it', async () => {
    const process = await sandbox.startProcess({ call: () => undefined }, SOON, QUICK);
    await process.pool.transaction(async (tx) => process.jobs.add(tx, 'call', {}));
    await until('it has worked', async () => (await sandbox.rows()).length === 0);
    await sandbox.add('other');
    await sandbox.database.sql(
      `update sandbox.jobs set queue = 'call', lease = gen_random_uuid(), run_at = now() + interval '2 hours'`,
    );

    await sandbox.polling('it is done', process, async () => (await sandbox.rows()).length === 0);
  });

  it('a job keeps the time for which it was scheduled', async () => {
    const { jobs, pool } = await sandbox.startProcess({ call: () => undefined }, SOON, QUICK);
    const runAt = new Date(Date.now() + 7_200_000);
    await pool.transaction(async (tx) => jobs.add(tx, 'call', {}, { runAt }));
    const store = new JobStore('sandbox');

    const moved = await store.bringForward(pool, new Map([['call', 50]]), 1000);

    expect(moved).toBe(0);
    expect(await sandbox.row()).toMatchObject({ run_at: runAt });
  });

  it('P7 a delayed job is found among a hundred thousand scheduled ones without reading those', async () => {
    const db = await sandbox.connect();
    await sandbox.database.sql(
      `insert into sandbox.jobs (id, queue, data, run_at)
       select gen_random_uuid(), 'call', '{}', now() + interval '1 day' from generate_series(1, 100000)`,
    );
    const [lost] = await sandbox.add('call');
    await sandbox.database.sql(
      `update sandbox.jobs set lease = gen_random_uuid(), run_at = now() + interval '2 days' where id = '${lost}'`,
    );
    await sandbox.database.sql('analyze sandbox.jobs');

    const before = performance.now();
    const moved = await new JobStore('sandbox').bringForward(db, new Map([['call', 50]]), 1000);

    expect(moved).toBe(1);
    expect(performance.now() - before).toBeLessThan(500);
    await db.destroy();
  });
});
