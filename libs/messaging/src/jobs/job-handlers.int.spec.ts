import { randomUUID } from 'node:crypto';
import { Injectable, Logger, Scope, type Type } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { Test, type TestingModule } from '@nestjs/testing';
import { DataSource, type EntityManager } from 'typeorm';
import { AfterCommit } from '../postgres/after-commit.js';
import { DataSources } from '../postgres/data-sources.js';
import { DeadJobs } from '../dead-letters/dead-jobs.js';
import { EditRefusedError } from '../dead-letters/edit.js';
import { DueWork } from '../poll/due-work.js';
import { PermanentError } from '../errors.js';
import { MessagingMetrics } from '../metrics/metrics.js';
import { MessagingHealth } from '../operations/health.js';
import { JobDead, JobHandler, JobHandlers } from './job-handlers.js';
import { type Job, type JobOptions } from './job-queue.js';
import { JobLifecycle } from './job-lifecycle.js';
import { Jobs } from './jobs.js';
import { MESSAGING_OPTIONS } from '../messaging-options.js';
import { gate, JobSandbox, SOON } from '../../test/job-sandbox.js';
import { until } from '../testing/until.js';

const modules: TestingModule[] = [];
let sandbox: JobSandbox;

beforeEach(async () => {
  sandbox = await JobSandbox.create();
});

afterEach(async () => {
  await Promise.all(modules.splice(0).map((module) => module.close()));
  await sandbox.close();
});

describe('a dead job', () => {
  let module: TestingModule;
  const calls: Job[] = [];
  let broken = true;

  @Injectable()
  class Caller {
    @JobHandler('call', {
      ...SOON,
      maxAttempts: 1,
      check: (data, original) => {
        const [after, before] = [data, original] as ({ n: number } | undefined)[];
        return (after?.n ?? 1) < before!.n ? 'n must not become less' : undefined;
      },
    })
    async call(job: Job<{ n: number }>): Promise<void> {
      calls.push(job);
      if (broken) throw new PermanentError('no');
      return Promise.resolve();
    }
  }

  beforeEach(async () => {
    calls.length = 0;
    broken = true;
    module = await startModule(Caller);
    const jobs = module.get(Jobs);
    await module
      .get(DataSource)
      .transaction(async (tx) => jobs.addAll(tx, 'call', [{ data: { n: 1 } }, { data: { n: 2 } }]));
    await until('both jobs are dead', async () => (await module.get(DeadJobs).list()).items.length === 2);
  });

  it('P5 is kept and listed until an operator retries it, and then has all its attempts again', async () => {
    const dead = module.get(DeadJobs);
    const [first, second] = (await dead.list()).items.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    broken = false;

    const retried = await dead.retry([first!.id, randomUUID()], { actor: 'olga', reason: 'the gateway is back' });

    await until('the job is done', async () => (await sandbox.rows()).length === 1);
    expect(retried).toBe(1);
    expect(first).toMatchObject({ queue: 'call', attempts: 1, error: 'no', diedAt: expect.any(Date) as Date });
    expect(await dead.find(second!.id)).toEqual({
      ...second,
      data: { n: 2 },
      history: [{ at: expect.any(Date) as Date, error: 'no' }],
    });
    expect(await dead.find(first!.id)).toBeUndefined();
    expect(await dead.list()).toEqual({ items: [second], nextCursor: null });
    expect(calls.at(-1)).toMatchObject({ id: first!.id, attempt: 1 });
    expect(await sandbox.database.sql('select * from sandbox.messaging_audit')).toMatchObject([
      {
        actor: 'olga',
        action: 'retry',
        box: 'jobs',
        letter: { id: first!.id, error: 'no' },
        reason: 'the gateway is back',
      },
    ]);
  });

  it('P5 is retried or discarded in the transaction of the caller, and not if that is rolled back', async () => {
    const [dead, db] = [module.get(DeadJobs), module.get(DataSource)];
    const [first, second] = (await dead.list()).items;
    broken = false;

    const rolledBack = db.transaction(async (tx) => {
      await dead.retryOne(tx, first!.id, { actor: 'olga' });
      throw new Error('the idempotency key is taken');
    });
    await expect(rolledBack).rejects.toThrow('the idempotency key is taken');
    const untouched = (await dead.list()).items;
    const retried = await db.transaction(async (tx) => dead.retryOne(tx, first!.id, { actor: 'olga' }));
    const why = { actor: 'olga', reason: 'paid by hand' };
    const discarded = await db.transaction(async (tx) => dead.discardOne(tx, second!.id, why));
    const again = await db.transaction(async (tx) => dead.discardOne(tx, second!.id, why));

    await until('both jobs are gone', async () => (await sandbox.rows()).length === 0);
    expect(untouched).toEqual([first, second]);
    expect([retried, discarded, again]).toEqual([first, second, undefined]);
    expect(calls.at(-1)).toMatchObject({ id: first!.id, attempt: 1 });
    await expect(dead.retryOne(db.manager, first!.id, why)).rejects.toThrow('an open transaction');
    expect(await sandbox.database.sql('select action from sandbox.messaging_audit order by id')).toEqual([
      { action: 'retry' },
      { action: 'discard' },
    ]);
  });

  it('P5 is retried with data that an operator has edited, if its handler accepts them', async () => {
    const [dead, db] = [module.get(DeadJobs), module.get(DataSource)];
    const { id } = (await dead.list()).items[0]!;
    const original = (await dead.find(id))!.data;
    const why = { actor: 'olga', reason: 'the wrong number' };
    const edit = async (data: unknown) => db.transaction(async (tx) => dead.edit(tx, id, data, why));
    broken = false;

    await expect(edit({ n: 0 })).rejects.toThrow(
      'The handler of call does not accept the data: n must not become less',
    );
    await expect(edit({ n: 7, text: '\0' })).rejects.toThrow('contains a zero byte or half of a surrogate pair');
    await expect(edit(undefined)).rejects.toThrow(EditRefusedError);
    const untouched = await dead.find(id);
    const edited = await edit({ n: 7, by: ['olga'] });

    await until('it was called again', () => calls.some((job) => job.id === id && (job.data as { n: number }).n === 7));
    expect(untouched!.data).toEqual(original);
    expect(edited).toMatchObject({ id, error: 'no' });
    expect(await sandbox.database.sql('select action, reason, detail from sandbox.messaging_audit')).toEqual([
      {
        action: 'edit',
        reason: 'the wrong number',
        detail: {
          original,
          edited: { n: 7, by: ['olga'] },
          difference: [
            { op: 'add', path: '/by', value: ['olga'] },
            { op: 'replace', path: '/n', value: 7 },
          ],
        },
      },
    ]);
  });

  it('P5 is removed for good when an operator discards it, and the audit records who and why', async () => {
    const dead = module.get(DeadJobs);
    const [first, second] = (await dead.list()).items;

    const discarded = await dead.discard([first!.id], { actor: 'olga', reason: 'paid by hand' });
    const again = await dead.discard([first!.id], { actor: 'otto', reason: 'too' });

    expect([discarded, again]).toEqual([1, 0]);
    expect((await dead.list()).items).toEqual([second]);
    expect(calls).toHaveLength(2);
    expect(await sandbox.database.sql('select * from sandbox.messaging_audit')).toMatchObject([
      {
        actor: 'olga',
        action: 'discard',
        box: 'jobs',
        letter: { id: first!.id, queue: 'call' },
        reason: 'paid by hand',
      },
    ]);
  });

  it('is listed page by page in both orders, and found by all given filters', async () => {
    const dead = module.get(DeadJobs);
    const { items } = await dead.list();

    const page = await dead.list({ queue: 'call' }, { limit: 1 });
    const next = await dead.list({ queue: 'call' }, { limit: 1, cursor: page.nextCursor! });
    const oldest = await dead.list({ cause: 'no', ids: items.map(({ id }) => id) }, { order: 'oldest' });

    expect(page.items).toEqual([items[0]]);
    expect(next).toEqual({ items: [items[1]], nextCursor: null });
    expect(oldest.items).toEqual(items.toReversed());
    for (const filter of [{ queue: 'other' }, { cause: 'other' }, { diedBefore: new Date(0) }, { ids: [] }])
      expect(await dead.list(filter)).toEqual({ items: [], nextCursor: null });
    expect(await dead.causes({ diedAfter: new Date(0) })).toEqual({
      items: [{ cause: 'no', count: 2, oldest: items[1]!.diedAt, newest: items[0]!.diedAt, types: ['call'] }],
      complete: true,
    });
    await expect(dead.list({}, { limit: 0 })).rejects.toThrow('limit must be 1 to 500, not 0');
    await expect(dead.list({}, { cursor: '7' })).rejects.toThrow('"7" is not a valid cursor');
    await expect(dead.list({ ids: ['7'] })).rejects.toThrow('"7" is not a job id');
    await expect(dead.causes({ queue: 'a\0' })).rejects.toThrow('zero byte');
  });

  it('cannot be retried without an actor, or discarded without a reason', async () => {
    const dead = module.get(DeadJobs);
    const ids = (await dead.list()).items.map(({ id }) => id);

    await expect(dead.retry(ids, { actor: ' ' })).rejects.toThrow('actor must be 1 to 255 characters');
    await expect(dead.discard(ids, { actor: 'olga', reason: '' })).rejects.toThrow('reason must be 1 to 2000');

    expect((await dead.list()).items).toHaveLength(2);
  });

  it('is the only kind of job that retrying and discarding affect', async () => {
    const [waiting] = await sandbox.add('elsewhere');
    const dead = module.get(DeadJobs);

    const retried = await dead.retry([waiting!], { actor: 'olga' });
    const discarded = await dead.discard([waiting!], { actor: 'olga', reason: 'why not' });

    expect([retried, discarded]).toEqual([0, 0]);
    expect(await sandbox.rows()).toHaveLength(3);
    expect(await sandbox.database.sql('select * from sandbox.messaging_audit')).toEqual([]);
  });
});

describe('the @JobDead method', () => {
  const calls: Job[] = [];
  const reported: { job: Job; reason: string }[] = [];
  let failing: () => unknown;
  let onDead: (tx: EntityManager, job: Job) => Promise<void>;
  let module: TestingModule;

  @Injectable()
  class Caller {
    @JobHandler('call', { ...SOON, maxAttempts: 2 })
    async call(job: Job<{ n: number }>): Promise<void> {
      calls.push(job);
      return Promise.reject(await failing());
    }
  }

  @Injectable()
  class Timeline {
    @JobDead('call')
    async write(tx: EntityManager, job: Job<{ n: number }>, reason: string): Promise<void> {
      reported.push({ job, reason });
      await tx.query('insert into sandbox.effects (job, who) values ($1, $2)', [job.id, reason]);
      await onDead(tx, job);
    }
  }

  const isDead = async () => (await sandbox.row())['dead_at'] !== null;

  beforeEach(async () => {
    calls.length = 0;
    reported.length = 0;
    failing = () => new Error('no');
    onDead = () => Promise.resolve();
    module = await startModule(Caller, Timeline);
  });

  const add = async () => module.get(DataSource).transaction(async (tx) => module.get(Jobs).add(tx, 'call', { n: 1 }));

  it('P1 is called in the transaction that marks the job dead, after its last attempt', async () => {
    let seenMeanwhile: unknown;
    onDead = async () => {
      seenMeanwhile = [await isDead(), await sandbox.effects()];
    };
    const id = await add();

    await until('it is dead', isDead);

    expect(seenMeanwhile).toEqual([false, []]);
    expect(await sandbox.effects()).toEqual(['no']);
    expect(reported).toEqual([{ job: { id, queue: 'call', data: { n: 1 }, attempt: 2 }, reason: 'no' }]);
    expect(calls).toHaveLength(2);
  });

  it('P1 leaves nothing behind if it throws: the job is marked dead shortly after, without another attempt', async () => {
    const seen: unknown[] = [];
    onDead = async () => {
      seen.push([await isDead(), await sandbox.effects()]);
      if (reported.length < 3) throw new Error('the timeline is full');
    };
    failing = () => new PermanentError('never');
    await add();

    await until('it is dead', isDead);

    expect(seen).toEqual([
      [false, []],
      [false, []],
      [false, []],
    ]);
    expect(await sandbox.effects()).toEqual(['never']);
    expect(calls).toHaveLength(1);
    expect(await sandbox.row()).toMatchObject({ attempts: 1, error: 'never' });
  });

  it('P1 may throw after the last attempt without an attempt being added', async () => {
    onDead = () => (reported.length < 3 ? Promise.reject(new Error('the timeline is full')) : Promise.resolve());
    await add();

    await until('it is dead', isDead);

    expect(calls).toHaveLength(2);
    expect(await sandbox.effects()).toEqual(['no']);
  });

  it('P1 has its effect once even if the connection is lost while it runs', async () => {
    onDead = async (tx) => {
      if (reported.length > 1) return;
      const [row]: { pid: number }[] = await tx.query('select pg_backend_pid() as pid');
      await sandbox.database.sql('select pg_terminate_backend($1)', [row!.pid]);
      // The server may take a moment to terminate the session.
      await tx.query('select pg_sleep(30)');
    };
    failing = () => new PermanentError('never');
    await add();

    await until('it is dead', isDead);

    expect(reported).toHaveLength(2);
    expect(await sandbox.effects()).toEqual(['never']);
  });

  it('makes health report a problem while it fails', async () => {
    let broken = true;
    onDead = () => (broken ? Promise.reject(new Error('the timeline is full')) : Promise.resolve());
    failing = () => new PermanentError('never');
    await add();

    await until('health reports it', () => !module.get(MessagingHealth).check().healthy);
    broken = false;
    await until('it is dead', isDead);
    await until('health has recovered', () => module.get(MessagingHealth).check().healthy);

    expect(await sandbox.effects()).toEqual(['never']);
  });

  it('P4 is not called for a job that another process has taken over', async () => {
    failing = async () => {
      await sandbox.database.sql('update sandbox.jobs set lease = gen_random_uuid()');
      return new PermanentError('never');
    };
    await add();

    await until('the job was called and then abandoned', () => {
      const { jobs } = module.get(MessagingHealth).check().components;
      return calls.length === 1 && jobs?.['running'] === 0;
    });

    expect(reported).toEqual([]);
    expect(await sandbox.row()).toMatchObject({ dead_at: null });
  });

  it('is called again when a retry by an operator fails, and not when the operator discards the job', async () => {
    const id = await add();
    await until('it is dead', isDead);
    await module.get(DeadJobs).retry([id], { actor: 'olga' });
    await until('it is dead again', async () => reported.length === 2 && (await isDead()));

    await module.get(DeadJobs).discard([id], { actor: 'olga', reason: 'paid by hand' });

    expect(reported).toHaveLength(2);
    expect(await sandbox.rows()).toEqual([]);
  });

  it('prevents startup if there are two of them, or no handler', async () => {
    @Injectable()
    class Second {
      @JobDead('call')
      async onDead(): Promise<void> {
        return Promise.resolve();
      }
    }

    await expect(startModule(Caller, Timeline, Second)).rejects.toThrow('second @JobDead method for the queue call');
    await expect(startModule(Second)).rejects.toThrow('The queue call has a @JobDead method but no handler');
  });
});

describe('handlers', () => {
  it('are found among the providers, and stop with the application, which hands back their jobs', async () => {
    const run: unknown[] = [];
    const door = gate();

    @Injectable()
    class Calls {
      @JobHandler('call')
      async call({ data }: Job<{ n: number }>): Promise<void> {
        run.push(data);
        return Promise.resolve();
      }

      @JobHandler('stuck', { concurrency: 1 })
      async stuck(): Promise<void> {
        run.push('stuck');
        await door.opened;
      }
    }
    const module = await startModule(Calls);
    const db = module.get(DataSource);
    await db.transaction(async (tx) => module.get(Jobs).add(tx, 'call', { n: 1 }));
    await db.transaction(async (tx) => module.get(Jobs).add(tx, 'stuck', {}));
    await until('both have run', () => run.length === 2);
    const counts = await until('one is done', () => {
      const { healthy, components } = module.get(MessagingHealth).check();
      const { running, done } = { ...components['jobs'] };
      return done === 1 && { healthy, running };
    });

    await module.close();

    expect(run).toEqual([{ n: 1 }, 'stuck']);
    expect(counts).toEqual({ healthy: true, running: 1 });
    expect(await sandbox.rows()).toMatchObject([{ queue: 'stuck', lease: null, attempts: 0 }]);
    door.open();
  });

  it.each([
    [
      'two for one queue',
      handlersOf(
        class {
          a = 1;
        },
        'call',
        'call',
      ),
      'second handler for the queue call',
    ],
    [
      'one with invalid options',
      handlersOf(
        class {
          b = 1;
        },
        { concurrency: 0 },
      ),
      'concurrency must be a whole number',
    ],
    [
      'one with an endless timeout',
      handlersOf(
        class {
          c = 1;
        },
        { timeoutMs: 2 ** 40 },
      ),
      'timeoutMs <= 2147483647',
    ],
  ])('prevent startup: %s', async (_, provider, message) => {
    await expect(startModule(provider)).rejects.toThrow(message);
  });

  it('prevent startup if their provider is request-scoped', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class PerRequest {
      @JobHandler('call')
      async call(): Promise<void> {
        return Promise.resolve();
      }
    }

    await expect(startModule(PerRequest)).rejects.toThrow('PerRequest.call is called for jobs, so its provider must');
  });
});

/** Gives the class a method per declaration, which handles the queue of that name, or the queue `call` with the given options. */
function handlersOf(target: Type, ...declared: (string | JobOptions)[]): Type {
  declared.forEach((one, index) => {
    const value = async () => Promise.resolve();
    const [queue, queueOptions] = typeof one === 'string' ? [one, {}] : ['call', one];
    Object.defineProperty(target.prototype as object, `handle${index}`, { value, configurable: true });
    JobHandler(queue, queueOptions)(target.prototype as object, `handle${index}`, { value });
  });
  return target;
}

async function startModule(...providers: Type[]): Promise<TestingModule> {
  const module = await Test.createTestingModule({
    imports: [DiscoveryModule],
    providers: [
      { provide: MESSAGING_OPTIONS, useValue: sandbox.options },
      { provide: DataSource, useFactory: () => sandbox.connect() },
      {
        provide: DataSources,
        inject: [DataSource],
        useFactory: (db: DataSource): DataSources => ({ default: db, handling: db }),
      },
      DueWork,
      MessagingHealth,
      {
        provide: MessagingMetrics,
        inject: [DataSource],
        useFactory: (db: DataSource) => new MessagingMetrics(sandbox.options, () => db),
      },
      AfterCommit,
      Jobs,
      DeadJobs,
      JobHandlers,
      JobLifecycle,
      ...providers,
    ],
  }).compile();
  modules.push(module);
  // Nest's testing module has installed its own logger.
  Logger.overrideLogger(false);
  return module.init();
}
