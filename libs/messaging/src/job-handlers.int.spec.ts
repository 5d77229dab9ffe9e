import { randomUUID } from 'node:crypto';
import { Injectable, Logger, Scope, type Type } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { Test, type TestingModule } from '@nestjs/testing';
import { DataSource, type EntityManager } from 'typeorm';
import { CommitWakeUp } from './commit-wake-up.js';
import { DeadJobs } from './dead-jobs.js';
import { DueWork } from './due-work.js';
import { PermanentError } from './errors.js';
import { MessagingHealth } from './health.js';
import { type Job, JobDead, JobHandler, JobHandlers, type JobOptions } from './job-handlers.js';
import { JobLifecycle } from './job-lifecycle.js';
import { Jobs } from './jobs.js';
import { MESSAGING_OPTIONS } from './messaging-options.js';
import { Relay } from './relay.js';
import { gate, JobSandbox, SOON } from './testing/job-sandbox.js';
import { until } from './testing/until.js';

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
    @JobHandler('call', { ...SOON, maxAttempts: 1 })
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
    await until('both are dead', async () => (await module.get(DeadJobs).list()).items.length === 2);
  });

  it('P5 is kept and shown until a person retries it: then it has all its attempts again', async () => {
    const dead = module.get(DeadJobs);
    const [first, second] = (await dead.list()).items;
    broken = false;

    const retried = await dead.retry([first!.id, randomUUID()], { actor: 'olga', reason: 'the gateway is back' });

    await until('it is done', async () => (await sandbox.rows()).length === 1);
    expect(retried).toBe(1);
    expect(first).toMatchObject({ queue: 'call', attempts: 1, error: 'no', diedAt: expect.any(Date) as Date });
    expect(await dead.find(second!.id)).toEqual({ ...second, data: { n: 2 } });
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

  it('P5 is gone for good when a person discards it, and the audit tells who, and why', async () => {
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

  it('is listed page by page, and by queue', async () => {
    const dead = module.get(DeadJobs);
    const { items } = await dead.list();

    const page = await dead.list({ queue: 'call' }, { limit: 1 });
    const next = await dead.list({ queue: 'call' }, { limit: 1, cursor: page.nextCursor! });

    expect(page.items).toEqual([items[0]]);
    expect(next).toEqual({ items: [items[1]], nextCursor: null });
    expect(await dead.list({ queue: 'other' })).toEqual({ items: [], nextCursor: null });
    await expect(dead.list({}, { limit: 0 })).rejects.toThrow('limit must be 1 to 500, not 0');
    await expect(dead.list({}, { cursor: '7' })).rejects.toThrow('"7" is not a job id');
  });

  it('is left alone by somebody without a name, or without a reason to discard it', async () => {
    const dead = module.get(DeadJobs);
    const ids = (await dead.list()).items.map(({ id }) => id);

    await expect(dead.retry(ids, { actor: ' ' })).rejects.toThrow('actor must be 1 to 255 characters');
    await expect(dead.discard(ids, { actor: 'olga', reason: '' })).rejects.toThrow('reason must be 1 to 2000');

    expect((await dead.list()).items).toHaveLength(2);
  });

  it('is not changed by what a person does to jobs that are not dead', async () => {
    const [waiting] = await sandbox.add('elsewhere');
    const dead = module.get(DeadJobs);

    const retried = await dead.retry([waiting!], { actor: 'olga' });
    const discarded = await dead.discard([waiting!], { actor: 'olga', reason: 'why not' });

    expect([retried, discarded]).toEqual([0, 0]);
    expect(await sandbox.rows()).toHaveLength(3);
    expect(await sandbox.database.sql('select * from sandbox.messaging_audit')).toEqual([]);
  });
});

describe('who hears of dead jobs', () => {
  const calls: Job[] = [];
  const heard: { job: Job; reason: string }[] = [];
  let failing: () => unknown;
  let hearing: (tx: EntityManager, job: Job) => Promise<void>;
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
      heard.push({ job, reason });
      await tx.query('insert into sandbox.effects (job, who) values ($1, $2)', [job.id, reason]);
      await hearing(tx, job);
    }
  }

  const isDead = async () => (await sandbox.row())['dead_at'] !== null;

  beforeEach(async () => {
    calls.length = 0;
    heard.length = 0;
    failing = () => new Error('no');
    hearing = () => Promise.resolve();
    module = await startModule(Caller, Timeline);
  });

  const add = async () => module.get(DataSource).transaction(async (tx) => module.get(Jobs).add(tx, 'call', { n: 1 }));

  it('P1 does so in the transaction that marks the job dead, after its last attempt', async () => {
    let seenMeanwhile: unknown;
    hearing = async () => {
      seenMeanwhile = [await isDead(), await sandbox.effects()];
    };
    const id = await add();

    await until('it is dead', isDead);

    expect(seenMeanwhile).toEqual([false, []]);
    expect(await sandbox.effects()).toEqual(['no']);
    expect(heard).toEqual([{ job: { id, queue: 'call', data: { n: 1 }, attempt: 2 }, reason: 'no' }]);
    expect(calls).toHaveLength(2);
  });

  it('P1 leaves nothing behind when it fails: the job is not dead, and is marked a little later, without another call', async () => {
    const seen: unknown[] = [];
    hearing = async () => {
      seen.push([await isDead(), await sandbox.effects()]);
      if (heard.length < 3) throw new Error('the timeline is full');
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

  it('P1 may have its last attempt failing too: no attempt is added to those that a job has', async () => {
    hearing = () => (heard.length < 3 ? Promise.reject(new Error('the timeline is full')) : Promise.resolve());
    await add();

    await until('it is dead', isDead);

    expect(calls).toHaveLength(2);
    expect(await sandbox.effects()).toEqual(['no']);
  });

  it('P1 has its effect once when the connection is lost in between', async () => {
    hearing = async (tx) => {
      if (heard.length > 1) return;
      const [row]: { pid: number }[] = await tx.query('select pg_backend_pid() as pid');
      await sandbox.database.sql('select pg_terminate_backend($1)', [row!.pid]);
      // The server may take a moment to end it.
      await tx.query('select pg_sleep(30)');
    };
    failing = () => new PermanentError('never');
    await add();

    await until('it is dead', isDead);

    expect(heard).toHaveLength(2);
    expect(await sandbox.effects()).toEqual(['never']);
  });

  it('is seen in the health while it fails', async () => {
    let broken = true;
    hearing = () => (broken ? Promise.reject(new Error('the timeline is full')) : Promise.resolve());
    failing = () => new PermanentError('never');
    await add();

    await until('health tells', () => !module.get(MessagingHealth).check().healthy);
    broken = false;
    await until('it is dead', isDead);
    await until('health is well', () => module.get(MessagingHealth).check().healthy);

    expect(await sandbox.effects()).toEqual(['never']);
  });

  it('P4 hears nothing of a job that another process has by now', async () => {
    failing = async () => {
      await sandbox.database.sql('update sandbox.jobs set lease = gen_random_uuid()');
      return new PermanentError('never');
    };
    await add();

    await until('it is called and given up', () => {
      const { jobs } = module.get(MessagingHealth).check().components;
      return calls.length === 1 && jobs?.['running'] === 0;
    });

    expect(heard).toEqual([]);
    expect(await sandbox.row()).toMatchObject({ dead_at: null });
  });

  it('hears again when a person has it retried in vain, and nothing when they discard it', async () => {
    const id = await add();
    await until('it is dead', isDead);
    await module.get(DeadJobs).retry([id], { actor: 'olga' });
    await until('it is dead again', async () => heard.length === 2 && (await isDead()));

    await module.get(DeadJobs).discard([id], { actor: 'olga', reason: 'paid by hand' });

    expect(heard).toHaveLength(2);
    expect(await sandbox.rows()).toEqual([]);
  });

  it('is refused at the start when there are two of them, or no handler', async () => {
    @Injectable()
    class Second {
      @JobDead('call')
      async hear(): Promise<void> {
        return Promise.resolve();
      }
    }

    await expect(startModule(Caller, Timeline, Second)).rejects.toThrow('hears of dead jobs of call');
    await expect(startModule(Second)).rejects.toThrow('no handler for the jobs of call');
  });
});

describe('handlers', () => {
  it('are found among the providers, and stop with the application, which hands their jobs back', async () => {
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
    const health = module.get(MessagingHealth).check();

    await module.close();

    expect(run).toEqual([{ n: 1 }, 'stuck']);
    expect(health).toMatchObject({ healthy: true, components: { jobs: { running: 1, done: 1 } } });
    expect(await sandbox.rows()).toMatchObject([{ queue: 'stuck', lease: null, attempts: 0 }]);
    door.open();
  });

  it.each([
    [
      'two of one queue',
      handlersOf(
        class {
          a = 1;
        },
        'call',
        'call',
      ),
      'second handler for the jobs of call',
    ],
    [
      'one with options that make no sense',
      handlersOf(
        class {
          b = 1;
        },
        { concurrency: 0 },
      ),
      'concurrency (whole)',
    ],
    [
      'one without an end',
      handlersOf(
        class {
          c = 1;
        },
        { timeoutMs: 2 ** 40 },
      ),
      'timeoutMs <= 2147483647',
    ],
  ])('are refused at the start: %s', async (_, provider, message) => {
    await expect(startModule(provider)).rejects.toThrow(message);
  });

  it('are refused at the start when they are made anew for each request', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class PerRequest {
      @JobHandler('call')
      async call(): Promise<void> {
        return Promise.resolve();
      }
    }

    await expect(startModule(PerRequest)).rejects.toThrow('PerRequest.call is called for jobs, and must belong');
  });
});

/** A class whose methods handle the queues, or with the options one queue. */
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
      { provide: Relay, useValue: new Relay(sandbox.options) },
      DueWork,
      MessagingHealth,
      CommitWakeUp,
      Jobs,
      DeadJobs,
      JobHandlers,
      JobLifecycle,
      ...providers,
    ],
  }).compile();
  modules.push(module);
  // Nest's testing module has put its own in place.
  Logger.overrideLogger(false);
  return module.init();
}
