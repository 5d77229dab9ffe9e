import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { PermanentError } from '../errors.js';
import { type Job } from './job-queue.js';
import { gate, JobSandbox, SOON } from '../../test/job-sandbox.js';
import { testServerUrl } from '../testing/database.js';
import { until } from '../testing/until.js';

let sandbox: JobSandbox;

beforeEach(async () => {
  sandbox = await JobSandbox.create();
});

afterEach(async () => {
  await sandbox.close();
});

describe('adding a job', () => {
  it('P1 commits with its transaction, and the job then runs at once, without a poll', async () => {
    const run: Job[] = [];
    const { jobs, pool } = await sandbox.startProcess({ call: (job) => void run.push(job) });

    const id = await pool.transaction(async (tx) => jobs.add(tx, 'call', { n: 1 }));

    await until('it is done', async () => (await sandbox.rows()).length === 0);
    expect(run).toEqual([{ id, queue: 'call', data: { n: 1 }, attempt: 1 }]);
  });

  it('P1 has no effect when its transaction is rolled back', async () => {
    const run: unknown[] = [];
    const { jobs, pool, poll } = await sandbox.startProcess({ call: ({ data }) => void run.push(data.n) });

    const rolledBack = pool.transaction(async (tx) => {
      await jobs.add(tx, 'call', { n: 1 });
      throw new Error('changed my mind');
    });
    await expect(rolledBack).rejects.toThrow('changed my mind');
    poll();
    await pool.transaction(async (tx) => jobs.add(tx, 'call', { n: 2 }));

    await until('the later one has run', () => run.length > 0);
    expect(run).toEqual([2]);
    await until('nothing is left', async () => (await sandbox.rows()).length === 0);
  });

  it('P1 is refused outside a transaction', async () => {
    const { jobs, pool } = await sandbox.startProcess({});

    const added = jobs.add(pool.manager, 'call', {});

    await expect(added).rejects.toThrow('open transaction');
    expect(await sandbox.rows()).toEqual([]);
  });

  it.each<[string, string, object, { id?: string; runAt?: Date }, string]>([
    ['a zero byte in its data', 'call', { a: 'b\0' }, {}, 'zero byte or half of a surrogate pair'],
    ['a zero byte behind a backslash in its data', 'call', { a: '\\\0' }, {}, 'zero byte or half of a surrogate pair'],
    ['half of a surrogate pair in the name of a field', 'call', { '\uDC00': 1 }, {}, 'half of a surrogate pair'],
    ['data that cannot be serialised', 'call', () => 1, {}, 'cannot be serialised as JSON'],
    ['a queue without a name', '', {}, {}, 'queue is empty'],
    ['a queue name that is too long', 'q'.repeat(256), {}, {}, 'longer than 255 characters'],
    ['a zero byte in its queue name', 'a\0', {}, {}, 'zero byte'],
    ['an id that is not a UUID', 'call', {}, { id: 'one' }, 'not a UUID'],
    ['an invalid time', 'call', {}, { runAt: new Date(Number.NaN) }, 'outside the years 1 to 9999'],
    ['a time that PostgreSQL cannot read', 'call', {}, { runAt: new Date(8.64e15) }, 'outside the years 1 to 9999'],
  ])('P5 is refused with %s, and its transaction can continue', async (_, queue, data, options, message) => {
    const { jobs, pool } = await sandbox.startProcess({});

    await pool.transaction(async (tx) => {
      const refused = jobs.add(tx, queue, data, options);
      await expect(refused).rejects.toThrow(PermanentError);
      await expect(refused).rejects.toThrow(message);
      await jobs.add(tx, 'call', { n: 1 });
    });

    expect(await sandbox.rows()).toHaveLength(1);
  });

  it('stores text that only looks like an escaped zero byte or surrogate, and deeply nested data', async () => {
    const { jobs, pool } = await sandbox.startProcess({});
    const deep = JSON.parse(`${'['.repeat(2000)}${']'.repeat(2000)}`) as unknown;
    const data = { deep, a: String.raw`\u0000 \\ud800`, b: '😀\u0001', '\\': '\\u0000' };

    await pool.transaction(async (tx) => jobs.add(tx, 'call', data));

    expect(await sandbox.rows()).toMatchObject([{ data }]);
  });

  it('twice under one id adds one job', async () => {
    const run: unknown[] = [];
    const { jobs, pool, poll } = await sandbox.startProcess(
      { call: ({ data }) => void run.push(data.n) },
      { concurrency: 1 },
    );
    const other = await sandbox.startProcess({});
    const id = randomUUID();

    await other.pool.transaction(async (tx) => {
      await other.jobs.add(tx, 'call', { n: 1 }, { id });
      await other.jobs.addAll(tx, 'call', [
        { id, data: { n: 2 } },
        { id, data: { n: 3 } },
      ]);
    });
    await other.pool.transaction(async (tx) => other.jobs.add(tx, 'call', { n: 4 }, { id }));
    poll();
    await until('it has run', () => run.length > 0);
    await pool.transaction(async (tx) => jobs.add(tx, 'call', { n: 5 }));

    await until('another job has run', () => run.includes(5));
    expect(run).toEqual([1, 5]);
  });

  it('twice under one id concurrently adds one job, without a deadlock', async () => {
    const { jobs, pool } = await sandbox.startProcess({});
    const ids = Array.from({ length: 2000 }, () => randomUUID());
    const given = (order: readonly string[]) => order.map((id) => ({ id, data: {} }));

    await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        pool.transaction(async (tx) => jobs.addAll(tx, 'call', given(n % 2 === 0 ? ids : ids.toReversed()))),
      ),
    );

    expect((await sandbox.rows()).map(({ id }) => id)).toEqual(ids.toSorted());
  });

  it('is refused under the id of a job of another queue', async () => {
    const { jobs, pool } = await sandbox.startProcess({});
    const id = randomUUID();
    await pool.transaction(async (tx) => jobs.add(tx, 'charge', {}, { id }));

    const refund = pool.transaction(async (tx) => jobs.add(tx, 'refund', {}, { id }));

    await expect(refund).rejects.toThrow(`Job ${id} of refund has the same id as a job of charge`);
    expect(await sandbox.rows()).toMatchObject([{ id, queue: 'charge' }]);
  });

  it('is refused with more data than a message may have', async () => {
    const { jobs, pool } = await sandbox.startProcess({});

    const added = pool.transaction(async (tx) => jobs.add(tx, 'call', { text: 'a'.repeat(600_000) }));

    await expect(added).rejects.toThrow('bytes, more than 524288');
  });

  it('for a later time makes the job wait until then', async () => {
    const run: number[] = [];
    const process = await sandbox.startProcess({ call: () => void run.push(Date.now()) });
    const runAt = new Date(Date.now() + 1500);
    const { jobs, pool } = process;

    await pool.transaction(async (tx) =>
      jobs.addAll(tx, 'call', [
        { data: {} },
        { data: {}, runAt },
        { data: {}, runAt: new Date(Date.now() + 3600_000) },
      ]),
    );

    await sandbox.polling('the second has run', process, () => run.length === 2);
    expect(run[0]).toBeLessThan(runAt.getTime());
    // The database uses the clock of this machine.
    expect(run[1]).toBeGreaterThanOrEqual(runAt.getTime() - 5);
    expect(await sandbox.rows()).toHaveLength(1);
  });
});

describe('a job that fails', () => {
  it('is retried with back-off until it succeeds', async () => {
    const run: { attempt: number; at: number }[] = [];
    const { jobs, pool, worker } = await sandbox.startProcess(
      {
        call: ({ attempt }) => {
          run.push({ attempt, at: performance.now() });
          if (attempt < 4) throw new Error('not yet');
        },
      },
      { backOff: { firstMs: 100, maxMs: 200 } },
    );

    await pool.transaction(async (tx) => jobs.add(tx, 'call', {}));

    // Without a poll: the process itself wakes up for the retries that it has scheduled.
    await until('it is done', async () => (await sandbox.rows()).length === 0);
    expect(run.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4]);
    const waits = run.slice(1).map(({ at }, index) => at - run[index]!.at);
    expect(waits[0]).toBeGreaterThanOrEqual(50);
    expect(waits[1]).toBeGreaterThanOrEqual(100);
    expect(waits[2]).toBeGreaterThanOrEqual(100);
    expect(worker.health()).toMatchObject({ healthy: true, done: 1, failedAttempts: 3, dead: 0, running: 0 });
  });

  it('P5 is dead after its last attempt, and does not delay other jobs', async () => {
    let attempts = 0;
    const { jobs, pool, worker } = await sandbox.startProcess(
      {
        call: ({ data }) => {
          if (data.n === 1) throw new Error(`no ${++attempts}`, { cause: new Error('502') });
        },
      },
      { ...SOON, maxAttempts: 3, concurrency: 1 },
    );

    await pool.transaction(async (tx) => jobs.addAll(tx, 'call', [{ data: { n: 1 } }, { data: { n: 2 } }]));

    await until('it is dead', async () => (await sandbox.row())['dead_at']);
    expect(await sandbox.rows()).toMatchObject([{ data: { n: 1 }, attempts: 3, error: 'no 3: 502', lease: null }]);
    expect(await sandbox.claimable()).toBe(false);
    await until('both are counted', () => worker.health()['done'] === 1 && worker.health()['dead'] === 1);
    expect(worker.health()).toMatchObject({ failedAttempts: 3 });
  });

  it('P5 is dead at once if it can never succeed', async () => {
    const { jobs, pool } = await sandbox.startProcess({
      call: () => {
        throw new PermanentError('no such customer');
      },
    });

    await pool.transaction(async (tx) => jobs.add(tx, 'call', {}));

    await until('it is dead', async () => (await sandbox.row())['dead_at']);
    expect(await sandbox.rows()).toMatchObject([{ attempts: 1, error: 'no such customer' }]);
  });

  it('is aborted when it takes too long, and does not block other jobs if it ignores the signal', async () => {
    const reasons: unknown[] = [];
    const { jobs, pool } = await sandbox.startProcess(
      {
        call: async ({ data }, signal) => {
          if (data.n !== 1) return;
          signal.addEventListener('abort', () => reasons.push(signal.reason));
          await new Promise(() => undefined);
        },
      },
      { ...SOON, maxAttempts: 2, concurrency: 1, timeoutMs: 100 },
    );

    await pool.transaction(async (tx) => jobs.addAll(tx, 'call', [{ data: { n: 1 } }, { data: { n: 2 } }]));

    await until('it is dead', async () => (await sandbox.row())['dead_at']);
    expect(await sandbox.rows()).toMatchObject([{ data: { n: 1 }, attempts: 2, error: 'timed out after 100 ms' }]);
    expect(reasons).toHaveLength(2);
  });

  it('does not lose an attempt when the connection to the database is lost', async () => {
    const attempts: number[] = [];
    const { jobs, pool, worker } = await sandbox.startProcess(
      {
        call: async ({ attempt }) => {
          attempts.push(attempt);
          if (attempts.length > 3) return;
          const runner = pool.createQueryRunner();
          try {
            await runner.connect();
            const [{ pid }] = (await runner.query('select pg_backend_pid() as pid')) as [{ pid: number }];
            const cut = sandbox.database.sql('select pg_terminate_backend($1)', [pid]);
            await Promise.all([runner.query('select pg_sleep(30)'), cut]);
          } finally {
            await runner.release();
            // Then recording the outcome succeeds at once, so only the error shows that the connection was lost.
            await until('the pool answers', () => pool.query('select 1'));
          }
        },
      },
      { ...SOON, maxAttempts: 2 },
    );

    await pool.transaction(async (tx) => jobs.add(tx, 'call', {}));

    await until('it is done', async () => (await sandbox.rows()).length === 0);
    expect(attempts).toEqual([1, 1, 1, 1]);
    await until('it is counted', () => worker.health()['done'] === 1);
    expect(worker.health()).toMatchObject({ failedAttempts: 0, dead: 0 });
  });

  it('keeps its attempts if it fails while the database is unavailable, and a finished job does not run again', async () => {
    const door = gate();
    const run: number[] = [];
    // A pooler would keep the connection open and hide the outage.
    sandbox.poolUrl = sandbox.database.directUrl;
    const process = await sandbox.startProcess(
      {
        call: async ({ data }) => {
          run.push(data.n ?? 0);
          await door.opened;
          if (data.n === 1 && run.length < 3) throw new Error('the handler needed the database');
        },
      },
      { ...SOON, maxAttempts: 1 },
    );
    const { jobs, pool } = process;
    await pool.transaction(async (tx) => jobs.addAll(tx, 'call', [{ data: { n: 1 } }, { data: { n: 2 } }]));
    await until('both run', () => run.length === 2);

    const name = new URL(sandbox.database.url).pathname.slice(1);
    await onServer(`alter database ${name} with allow_connections false`);
    await onServer(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
    door.open();
    await until('the outcomes cannot be recorded', () => !process.worker.health().healthy);
    await onServer(`alter database ${name} with allow_connections true`);

    await until('both are done', async () => (await sandbox.rows()).length === 0);
    expect(run.toSorted((a, b) => a - b)).toEqual([1, 1, 2]);
    expect(process.worker.health()).toMatchObject({ healthy: true, done: 2, failedAttempts: 0, dead: 0 });
  });
});

async function onServer(statement: string): Promise<void> {
  const db = await new DataSource({ type: 'postgres', url: testServerUrl() }).initialize();
  try {
    await db.query(statement);
  } finally {
    await db.destroy();
  }
}

describe('P5 a job whose statements time out', () => {
  /** A pool whose statements time out after 300 ms. */
  const slowPool = async () =>
    new DataSource({
      type: 'postgres',
      url: sandbox.database.directUrl,
      extra: { statement_timeout: 300 },
    }).initialize();

  it('keeps its attempts while all jobs time out, and succeeds once the database is fast again', async () => {
    const pool = await slowPool();
    let slow = true;
    let done = 0;
    const process = await sandbox.startProcess(
      {
        call: async () => {
          if (slow) await pool.query('select pg_sleep(2)');
          done++;
        },
      },
      { ...SOON, maxAttempts: 1 },
    );
    await sandbox.add('call', 12);

    await sandbox.polling('all had setbacks', process, async () =>
      (await sandbox.rows()).every(({ setbacks }) => Number(setbacks) >= 2),
    );
    slow = false;
    await sandbox.polling('all are done', process, async () => (await sandbox.rows()).length === 0);

    expect(done).toBe(12);
    expect(process.worker.health()).toMatchObject({ failedAttempts: 0, dead: 0 });
    await pool.destroy();
  });

  it('loses attempts if it is the only one that times out while others succeed', async () => {
    const pool = await slowPool();
    const [poison] = await sandbox.add('call');
    const process = await sandbox.startProcess(
      {
        call: async ({ id }) => {
          if (id === poison) await pool.query('select pg_sleep(2)');
        },
      },
      { ...SOON, maxAttempts: 3 },
    );
    await sandbox.add('call', 12);

    await sandbox.polling('it is dead', process, async () => (await sandbox.rows()).every(({ dead_at: at }) => at));

    expect(await sandbox.rows()).toMatchObject([{ id: poison, attempts: 3 }]);
    await pool.destroy();
  });

  it('is dead at once if its data cannot be stored', async () => {
    const pool = await slowPool();
    const process = await sandbox.startProcess({ call: async () => void (await pool.query(`select 'x'::int`)) });
    await sandbox.add('call');

    await sandbox.polling('it is dead', process, async () => (await sandbox.row())['dead_at']);

    expect(await sandbox.row()).toMatchObject({ attempts: 1 });
    await pool.destroy();
  });
});
