import { type INestApplication, Injectable } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { DataSource, type EntityManager } from 'typeorm';
import { DeadJobs } from '../dead-letters/dead-jobs.js';
import { DeadLetters } from '../dead-letters/dead-letters.js';
import { JobHandler } from '../jobs/job-handlers.js';
import { Jobs } from '../jobs/jobs.js';
import { consumerLags } from '../kafka/group-offsets.js';
import { groupMembers } from '../kafka/group-members.js';
import { kafkaOptionsOf } from '../messaging-options.js';
import { connectInboxes, MessagingModule } from '../messaging.module.js';
import { Outbox } from '../outbox/outbox.js';
import { DueWork } from '../poll/due-work.js';
import { produce } from '../testing/topic.js';
import { until } from '../testing/until.js';
import { Child } from '../../test/child.js';
import { counted, CounterController } from '../../test/counter-process.js';
import { gate } from '../../test/job-sandbox.js';
import { counts, createSandbox, type Sandbox } from '../../test/sandbox.js';
import { Audit } from '../operations/audit.js';
import { type ComponentHealth, MessagingHealth } from '../operations/health.js';
import { Incidents } from '../operations/incidents.js';
import { type PauseKind } from '../operations/known-pauses.js';
import { Operations } from '../stored-operations/operations.js';
import { Pauses } from './pauses.js';

const SESSION_MS = 1000;
const ADA = { actor: 'ada', reason: 'upgrade of the shop' };

@Injectable()
class Caller {
  static done: string[] = [];
  static wait: () => Promise<void> = () => Promise.resolve();

  @JobHandler('mail', { concurrency: 1 })
  async mail({ data }: { data: object }): Promise<void> {
    await Caller.wait();
    Caller.done.push(`mail ${JSON.stringify(data)}`);
  }

  @JobHandler('text', { concurrency: 1 })
  async text({ data }: { data: object }): Promise<void> {
    Caller.done.push(`text ${JSON.stringify(data)}`);
    return Promise.resolve();
  }
}

let sandbox: Sandbox;
let app: INestApplication;
/** A second process, without job handlers. */
let child: Child;

/** Starts a process. The other process publishes unless `relay` is true. */
async function startApp(relay: boolean): Promise<INestApplication> {
  const consumes = [{ ...sandbox.consumer, sessionMs: SESSION_MS }];
  const module = await Test.createTestingModule({
    imports: [MessagingModule.forRoot({ ...sandbox.options, relay, overdueAfterMs: 500, consumes })],
    controllers: [CounterController],
    providers: [Caller, { provide: DataSource, useValue: sandbox.dataSource }],
  }).compile();
  const started = module.createNestApplication(new FastifyAdapter());
  connectInboxes(started);
  await started.init();
  await started.startAllMicroservices();
  return started;
}

/** Starts a child process, which writes the names of its paused components whenever they change. */
function startChild(): Child {
  const { options, consumer } = sandbox;
  const topic = { ...consumer.topic, events: {} };
  return Child.start(
    `
      import { DataSource } from 'typeorm';
      import { CounterController, startCounter } from '../test/dist/counter-process.js';
      import { Counted, COUNTER } from '../test/dist/sandbox.js';
      import { MessagingHealth } from './operations/health.js';

      const { options, consumer } = JSON.parse(process.env.OPTIONS);
      consumer.consumer = COUNTER;
      consumer.topic.events = { Counted };
      const dataSource = await new DataSource({ type: 'postgres', url: options.databaseUrl }).initialize();
      const app = await startCounter({ options, consumer, dataSource });
      let written;
      setInterval(() => {
        const { components } = app.get(MessagingHealth).check();
        const states = Object.entries(components).map(([name, { healthy, paused, pausedBy, consuming, role }]) =>
          [name.split(' ')[0], healthy && (consuming ?? role), paused && 'paused by ' + pausedBy].filter(Boolean).join(' '));
        const line = states.filter((state) => !state.startsWith('incidents')).toSorted().join(', ');
        if (line !== written) console.log(written = line);
      }, 10);`,
    {
      OPTIONS: JSON.stringify({
        options: { ...options, overdueAfterMs: 500, publishes: [{ ...topic }], consumes: [] },
        consumer: { ...consumer, sessionMs: SESSION_MS, topic },
      }),
    },
  );
}

const pauses = () => app.get(Pauses);
const group = () => sandbox.consumer.groupId;
const pause = async (kind: PauseKind, name: string) =>
  sandbox.dataSource.transaction((tx) => pauses().pause(tx, kind, name, ADA));
const resume = async (kind: PauseKind, name: string) =>
  sandbox.dataSource.transaction((tx) => pauses().resume(tx, kind, name, { actor: 'olga' }));

function health(component: string): ComponentHealth {
  const { components } = app.get(MessagingHealth).check();
  return Object.entries(components).find(([name]) => name.startsWith(component))![1];
}

async function effects(): Promise<number[]> {
  const rows = await sandbox.database.sql<{ n: number }>('select n from sandbox.effects order by n');
  return rows.map(({ n }) => n);
}

async function addJob(queue: string, n: number): Promise<void> {
  await sandbox.dataSource.transaction((tx) => app.get(Jobs).add(tx, queue, { n }));
}

/** One message for each partition, so that each process gets some. */
const toAllPartitions = async (from: number) =>
  produce(
    sandbox.options.brokers,
    sandbox.consumer.topic.name,
    [0, 1, 2, 3].map((partition) => counted(from + partition, { partition, key: String(partition) })),
  );

async function lag(): Promise<number> {
  const options = kafkaOptionsOf(sandbox.options);
  const [found] = await consumerLags(options, [{ groupId: group(), topic: sandbox.consumer.topic.name }]);
  return found!.partitions.reduce((sum, { messages }) => sum + messages, 0);
}

async function members(): Promise<number> {
  const [found] = await groupMembers(kafkaOptionsOf(sandbox.options), [group()]);
  return found?.state === 'Stable' ? found.members : 0;
}

beforeAll(async () => {
  sandbox = await createSandbox();
  await sandbox.database.sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
  child = startChild();
  app = await startApp(false);
  await until('both processes are in the group', async () => (await members()) === 2);
  await child.says('inbox true, relay leader');
});

afterAll(async () => {
  await child?.kill();
  await app?.close();
  await sandbox?.close();
});

describe('a paused consumer', () => {
  it('finishes running handlers, handles nothing else in any process, keeps its place in the group, and resumes there', async () => {
    const { opened, open } = gate();
    const handlers = { begun: [] as number[], ended: 0 };
    CounterController.next = async (n) => {
      handlers.begun.push(n);
      await opened;
      handlers.ended++;
    };
    const pausedFor = async (ms: number) =>
      until(`it has been paused for ${ms} ms`, () => performance.now() - pausedAt > ms);
    await produce(sandbox.options.brokers, sandbox.consumer.topic.name, [
      ...[0, 1, 2, 3].map((partition) => counted(partition, { partition, key: String(partition) })),
      ...[0, 1, 2, 3].map((partition) => counted(partition + 4, { partition, key: String(partition) })),
    ]);
    await until('a handler runs here', () => handlers.begun.length > 0);

    const pausedAt = performance.now();
    await pause('consumer', group());
    await child.says('inbox true paused by ada, relay leader');
    expect(performance.now() - pausedAt).toBeLessThan(2000);
    await until('this process knows', () => health('inbox')['paused']);
    open();
    CounterController.next = () => undefined;
    await toAllPartitions(8);
    await until('the running handlers have ended', () => handlers.ended === handlers.begun.length);
    await pausedFor(SESSION_MS);
    const atPause = await effects();
    await pausedFor(2.5 * SESSION_MS);

    expect(atPause).toEqual(expect.arrayContaining(handlers.begun));
    // The next message of each of these keys had been fetched, too.
    for (const n of handlers.begun) expect(atPause).not.toContain(n + 4);
    expect(await effects()).toEqual(atPause);
    await until('exactly what is handled is committed', async () => (await lag()) === 12 - atPause.length);
    expect(await members()).toBe(2);
    expect(health('inbox')).toMatchObject({ healthy: true, paused: true, pausedBy: 'ada', joins: expect.any(Number) });
    const joins = health('inbox')['joins'];
    await resume('consumer', group());
    await until('everything is handled', async () => (await effects()).length === 12);
    expect(health('inbox')).toMatchObject({ healthy: true, joins });
    expect(health('inbox')).not.toHaveProperty('paused');
  });

  it('does not retry parked messages', async () => {
    await pause('consumer', group());
    await until('both processes know', () => health('inbox')['paused'] && child.lastSaid.includes('inbox true paused'));
    await sandbox.database.sql(
      `insert into sandbox.inbox_parked
         (consumer, topic, partition, "offset", recorded_at, key, value, headers, message_id, source, holds_key, next_attempt_at)
       values ($1, $2, 0, 1000, now(), 'parked', '{"n":99}', $3, $4, '/test', true, now())`,
      [
        group(),
        sandbox.consumer.topic.name,
        JSON.stringify(counted(99, { id: '019ac1b1-7e0c-7000-8000-000000000099' }).headers),
        '019ac1b1-7e0c-7000-8000-000000000099',
      ],
    );
    app.get(DueWork).found('parked');
    await sandbox.database.sql(`notify sandbox_outbox, 'parked-changed'`);
    // Found by a poll, which also finds the parked message.
    await sandbox.database.sql(
      `insert into sandbox.jobs (id, queue, data, run_at) values (gen_random_uuid(), 'text', '{"n":1}', now())`,
    );
    await until('a job that was added later has run', () => Caller.done.includes('text {"n":1}'));

    expect(await effects()).not.toContain(99);
    await resume('consumer', group());
    await until('it is retried', async () => (await effects()).includes(99));
  });
});

describe('a paused queue', () => {
  it('finishes the job in flight and claims no other, while other queues go on', async () => {
    const { opened, open } = gate();
    let isRunning = false;
    Caller.wait = () => {
      isRunning = true;
      return opened;
    };
    await addJob('mail', 1);
    await until('a job runs', () => isRunning);

    await pause('queue', 'mail');
    await until('the worker knows', () => health('jobs')['paused']);
    open();
    await addJob('mail', 2);
    await addJob('text', 2);
    await until('the other queue has run its job', () => Caller.done.includes('text {"n":2}'));
    await until(
      'the job in flight is done',
      () => Caller.done.includes('mail {"n":1}') && health('jobs')['running'] === 0,
    );

    expect(health('jobs')).toMatchObject({ healthy: true, pausedQueues: { mail: { by: 'ada' } }, running: 0 });
    expect(await sandbox.database.sql('select queue, attempts, lease from sandbox.jobs')).toEqual([
      { queue: 'mail', attempts: 0, lease: null },
    ]);
    await resume('queue', 'mail');
    await until('it goes on', () => Caller.done.includes('mail {"n":2}'));
  });
});

describe('a paused relay', () => {
  it('P2 P3 keeps its lease and publishes nothing, is not reported as failing, and publishes in order once it is resumed', async () => {
    const outbox = app.get(Outbox);
    await sandbox.add(outbox, 'p', 1);
    await sandbox.drained();

    await pause('relay', 'relay');
    await child.says('inbox true, relay leader paused by ada');
    for (const n of [2, 3, 4]) await sandbox.add(outbox, 'p', n);
    await until('the messages would be overdue', async () => {
      const [row] = await sandbox.database.sql<{ late: boolean }>(
        `select min(created_at) < now() - interval '4 s' as late from sandbox.outbox
          where position > (select position from sandbox.relay_lease)`,
      );
      return row!.late;
    });

    await sandbox.topic.caughtUp();
    expect(counts(sandbox.topic, 'p')).toEqual([1]);
    expect(child.lastSaid).toBe('inbox true, relay leader paused by ada');
    expect(health('relay')).toMatchObject({ healthy: true, paused: true, pausedBy: 'ada', role: 'elsewhere' });
    await resume('relay', 'relay');
    await sandbox.drained();
    expect(counts(sandbox.topic, 'p')).toEqual([1, 2, 3, 4]);
  });

  it('is known to a process that starts, before it does anything, even without notifications', async () => {
    await sandbox.database.sql(
      `insert into sandbox.messaging_pauses (kind, name, actor)
       select kind, name, 'sql' from (values ('relay', 'relay'), ('consumer', $1), ('queue', 'mail')) as v (kind, name)`,
      [group()],
    );
    await until('a poll has found them', () => health('relay')['paused']);
    await child.says('inbox true paused by sql, relay leader paused by sql');
    await child.kill();
    await app.close();
    await sandbox.database.sql(
      `insert into sandbox.jobs (id, queue, data, run_at) values (gen_random_uuid(), 'mail', '{"n":7}', now())`,
    );
    await toAllPartitions(200);

    app = await startApp(true);
    await sandbox.add(app.get(Outbox), 'q', 1);
    await until('the new process leads', () => health('relay')['role'] === 'leader');
    await until('it consumes', () => health('inbox')['consuming']);
    await addJob('text', 3);
    await until('its worker runs', () => Caller.done.includes('text {"n":3}'));

    await sandbox.topic.caughtUp();
    expect(counts(sandbox.topic, 'q')).toEqual([]);
    expect((await effects()).filter((n) => n >= 200)).toEqual([]);
    expect(Caller.done).not.toContain('mail {"n":7}');
    for (const { kind, name } of await pauses().list()) await resume(kind, name);
    await until(
      'everything goes on',
      async () => (await effects()).includes(203) && Caller.done.includes('mail {"n":7}'),
    );
    await until('the message is published', () => counts(sandbox.topic, 'q').includes(1));
  });
});

describe('pausing', () => {
  it('P9 is idempotent, and audited once with actor and reason', async () => {
    const first = await pause('queue', 'text');
    const again = await sandbox.dataSource.transaction((tx) => pauses().pause(tx, 'queue', 'text', { actor: 'bob' }));
    const ended = await resume('queue', 'text');
    const nothing = await resume('queue', 'text');

    expect(again).toEqual(first);
    expect(first).toMatchObject({ kind: 'queue', name: 'text', ...ADA, since: expect.any(Date) as Date });
    expect([ended, nothing]).toEqual([first, undefined]);
    const entries = await sandbox.database.sql(
      `select actor, action, box, letter ->> 'name' as name, reason from sandbox.messaging_audit
        where letter ->> 'name' = 'text' order by id`,
    );
    expect(entries).toEqual([
      { actor: 'ada', action: 'pause', box: 'pauses', name: 'text', reason: 'upgrade of the shop' },
      { actor: 'olga', action: 'resume', box: 'pauses', name: 'text', reason: null },
    ]);
  });

  it.each<[PauseKind, string, string]>([
    ['consumer', 'shipping', 'This service has no consumer of that name. Known: sandbox-'],
    ['queue', 'post', 'This service has no queue of that name. Known: mail, text'],
    ['relay', 'other', 'This service has no relay of that name. Known: relay'],
    ['topic' as PauseKind, 'x', 'kind must be one of consumer, queue, relay'],
  ])('refuses an unknown %s, and names the known ones', async (kind, name, text) => {
    await expect(pause(kind, name)).rejects.toThrow(text);
    await expect(resume(kind, name)).rejects.toThrow(text);
  });

  it('changes nothing if the transaction rolls back, and refuses a blank reason', async () => {
    const rolledBack = sandbox.dataSource.transaction(async (tx) => {
      await pauses().pause(tx, 'queue', 'text', ADA);
      throw new Error('rolled back');
    });
    await expect(rolledBack).rejects.toThrow('rolled back');
    const blank = sandbox.dataSource.transaction((tx) => pauses().pause(tx, 'queue', 'text', { ...ADA, reason: ' ' }));
    await expect(blank).rejects.toThrow('reason must be 1 to 2000 characters');

    expect(await pauses().list()).toEqual([]);
  });
});

it('P8 no action of an operator waits longer than five seconds for another one that holds the audit', async () => {
  const id = '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';
  const dryRun = { asOf: '2026-01-01T00:00:00Z', total: 0, totalIsExact: true, first: [] };
  const actions: ((tx: EntityManager) => Promise<unknown>)[] = [
    (tx) => pauses().pause(tx, 'queue', 'text', ADA),
    (tx) => pauses().resume(tx, 'queue', 'text', ADA),
    (tx) => app.get(Operations).create(tx, { kind: 'retry-jobs', filter: { all: true }, dryRun, ...ADA }),
    (tx) => app.get(Operations).cancel(tx, id, ADA),
    (tx) => app.get(Incidents).acknowledgeOne(tx, '1', ADA),
    (tx) => app.get(DeadLetters).retryOne(tx, 'outbox', '1', ADA),
    (tx) => app.get(DeadJobs).discardOne(tx, id, ADA),
  ];
  const { manager } = sandbox.dataSource;
  for (const action of actions) await expect(action(manager)).rejects.toThrow('the manager of an open transaction');

  const results = await manager.transaction(async (holder) => {
    await new Audit('sandbox').lock(holder);
    return Promise.allSettled(actions.map((action) => manager.transaction(action)));
  });

  for (const result of results)
    expect(result).toMatchObject({ status: 'rejected', reason: { driverError: { code: '55P03' } } });
});
