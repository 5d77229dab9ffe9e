import { randomUUID } from 'node:crypto';
import { type INestApplication, Logger } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { Child } from '../../test/child.js';
import { counted, CounterController, startCounter } from '../../test/counter-process.js';
import { gate } from '../../test/job-sandbox.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';
import { roleUrl } from '../../test/sandbox-database.js';
import { DeadLetters } from '../dead-letters/dead-letters.js';
import { PermanentError } from '../errors.js';
import { kindsOf } from '../operation-kinds.js';
import { DueWork } from '../poll/due-work.js';
import { AfterCommit } from '../postgres/after-commit.js';
import { produce } from '../testing/topic.js';
import { until } from '../testing/until.js';
import { OPERATION_TIMING, type OperationTiming } from './operation-hold.js';
import { OperationHousekeeping } from './operation-housekeeping.js';
import { type OperationKind, type RunningOperation, type StepContext } from './operation-kind.js';
import { OperationRunner } from './operation-runner.js';
import { Operations } from './operations.js';
import { type NewOperation, type OperationRequest, type StoredOperation } from './stored-operation.js';

const BY_ANN = { actor: 'ann@example.com', reason: 'seen in ticket 7' };
const QUICK: OperationTiming = { leaseMs: 1000, renewEveryMs: 250, retryMs: 50 };
/** A process that is paused does not renew. */
const NEVER_RENEWED: OperationTiming = { ...QUICK, renewEveryMs: 60_000 };

let sandbox: Sandbox;
let operations: Operations;
const children: Child[] = [];
const processes: { stop: () => Promise<void> }[] = [];

beforeAll(async () => {
  sandbox = await createSandbox();
  // The tests make hundreds of letters on purpose, so errors are not logged.
  Logger.overrideLogger(['fatal']);
  await sandbox.database.sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
});

beforeEach(async () => {
  CounterController.next = () => undefined;
  await sandbox.database.sql(
    `truncate sandbox.messaging_operations, sandbox.messaging_audit, sandbox.inbox_parked, sandbox.outbox_parked,
              sandbox.jobs, sandbox.effects`,
  );
  operations = operationsWith();
});

afterEach(async () => {
  await Promise.all([...processes.splice(0).map(({ stop }) => stop()), ...children.splice(0).map((one) => one.kill())]);
});

afterAll(async () => {
  await sandbox.close();
});

const dataSources = () => ({ default: sandbox.dataSource, handling: sandbox.dataSource });

/** The kinds of a process, with a test's own. */
const kinds = (dueWork: DueWork, ...own: readonly OperationKind[]) => [
  ...kindsOf(sandbox.options, dataSources(), dueWork),
  ...own,
];

function operationsWith(...own: readonly OperationKind[]): Operations {
  const dueWork = new DueWork();
  return new Operations(sandbox.options, kinds(dueWork, ...own), dataSources(), dueWork, new AfterCommit());
}

/** Starts the runner of one process, whose poll always reports an open operation. */
function startProcess(timing = OPERATION_TIMING, ...own: readonly OperationKind[]): { stop: () => Promise<void> } {
  return startProcessOn(dataSources(), timing, ...own);
}

function startProcessOn(
  of: ReturnType<typeof dataSources>,
  timing: OperationTiming,
  ...own: readonly OperationKind[]
): { stop: () => Promise<void> } {
  const dueWork = new DueWork();
  const runner = new OperationRunner('sandbox', kinds(dueWork, ...own), of, dueWork, timing);
  const poll = setInterval(() => dueWork.found('operations'), 20);
  const process = {
    async stop() {
      clearInterval(poll);
      await runner.stop();
    },
  };
  processes.push(process);
  runner.start();
  return process;
}

async function create(request: OperationRequest & Partial<NewOperation>): Promise<StoredOperation> {
  const dryRun = await operations.preview(request);
  return sandbox.dataSource.transaction((tx) => operations.create(tx, { ...BY_ANN, dryRun, ...request }));
}

const show = async ({ id }: { id: string }) => (await operations.find(id))!;

async function ended(operation: { id: string }): Promise<StoredOperation> {
  return until('the operation ends', async () => {
    const { finishedAt } = await show(operation);
    return finishedAt && show(operation);
  });
}

/** Inserts letters that no consumer of the tests handles, of three keys. One died every second from 2026-01-01 on. */
async function givenLetters(n: number, error = `'no'`): Promise<void> {
  await sandbox.database.sql(
    `insert into sandbox.inbox_parked (consumer, topic, partition, "offset", recorded_at, source, message_id, type, key,
       headers, value, holds_key, attempts, error, dead_at)
     select 'elsewhere', 'topic', 0, n, now(), '/test', 'message-' || n, case when n % 2 = 0 then 'Even' else 'Odd' end,
            convert_to('key-' || n % 3, 'UTF8'), '{}', 'x', true, 1, ${error}, timestamptz '2026-01-01Z' + n * interval '1 second'
       from generate_series(1, $1) as n`,
    [n],
  );
}

const deadOffsets = async () => {
  const rows = await sandbox.database.sql<{ n: string }>(
    `select "offset"::text as n from sandbox.inbox_parked where dead_at is not null order by "offset"`,
  );
  return rows.map(({ n }) => Number(n));
};

interface Entry {
  readonly actor: string;
  readonly action: string;
  readonly box: string;
  readonly letter: Record<string, unknown>;
  readonly operation: string;
  readonly detail: Record<string, unknown> | null;
}

const audited = async (box: string) =>
  sandbox.database.sql<Entry>('select * from sandbox.messaging_audit where box = $1 order by id', [box]);

const LETTERS = { box: 'inbox', all: true };

/** A kind whose items are rows that it inserts, up to `options.topic` of them, for tests of the runner. */
function notes(step: (operation: RunningOperation, n: number, tx: EntityManager) => Promise<void>): OperationKind {
  return {
    name: 'notes',
    check: () => undefined,
    preview: async () => ({ total: 3, totalIsExact: true, first: [] }),
    async step(operation: RunningOperation, _: number, { dataSource, save }: StepContext) {
      const n = ((operation.progress as number | null) ?? 0) + 1;
      await dataSource.transaction(async (tx) => {
        await tx.query('insert into sandbox.effects (key, n) values ($1, $2)', [operation.id, n]);
        await step(operation, n, tx);
        await save(tx, { progress: n, done: 1, failed: 0, more: n < 3 });
      });
    },
  };
}

const effects = async () => {
  const rows = await sandbox.database.sql<{ key: string; n: number }>(
    'select key, n from sandbox.effects order by seq',
  );
  return rows.map(({ key, n }) => [key, n]);
};

describe('a dry run', () => {
  it('shows the total and the first 20 items, and an operation with its time handles exactly those', async () => {
    await givenLetters(25);
    const request = { kind: 'retry-letters', filter: { box: 'inbox', type: 'Odd' } };

    const dryRun = await operations.preview(request);
    await sandbox.database.sql(`update sandbox.inbox_parked set dead_at = clock_timestamp() where "offset" = 3`);
    const later = await operations.preview(request);
    startProcess();
    const operation = await ended(await create({ ...request, options: { asOf: dryRun.asOf } }));

    expect(dryRun).toMatchObject({ total: 13, totalIsExact: true, asOf: expect.stringMatching(/^\d{4}-.*\.\d{6}Z$/) });
    expect(dryRun.first).toHaveLength(13);
    expect(dryRun.first[0]).toMatchObject({ messageId: 'message-1', error: 'no' });
    expect(dryRun.first[0]).not.toHaveProperty('value');
    expect(later.total).toBe(13);
    // Letter 3 died again after the dry run.
    expect(operation).toMatchObject({ state: 'done', total: 12, done: 12, asOf: dryRun.asOf });
    expect(await deadOffsets()).toEqual([2, 3, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24]);
    expect((await operations.preview({ kind: 'discard-letters', filter: LETTERS })).first).toHaveLength(13);
  });

  it('changes nothing', async () => {
    await givenLetters(30);

    const { first, total } = await operations.preview({ kind: 'discard-letters', filter: LETTERS });

    expect([first.length, total]).toEqual([20, 30]);
    expect(await deadOffsets()).toHaveLength(30);
    expect((await operations.list()).items).toEqual([]);
  });
});

describe('P7 a dry run, and the search of an operation,', () => {
  const cause = (text: string) => operations.preview({ kind: 'retry-letters', filter: { box: 'inbox', cause: text } });

  it('look at a bounded number of letters with each statement', async () => {
    await givenLetters(100_001);
    await sandbox.database.sql(`update sandbox.inbox_parked set error = 'rare' where "offset" = 100001`);

    expect(await operations.preview({ kind: 'retry-letters', filter: LETTERS })).toMatchObject({
      total: 100_000,
      totalIsExact: false,
    });
    expect(await cause('no')).toMatchObject({ total: 20_000, totalIsExact: false });
    expect(await cause('rare')).toMatchObject({ total: 0, totalIsExact: false, first: [] });
    startProcess();
    const operation = await create({ kind: 'retry-letters', filter: { box: 'inbox', cause: 'rare' } });
    expect(await ended(operation)).toMatchObject({ state: 'done', total: 0, totalIsExact: false, done: 1 });
    expect(await deadOffsets()).toHaveLength(100_000);
  });

  it('look at a bounded number of dead jobs and dead letters of the outbox', async () => {
    await sandbox.database.sql(
      `insert into sandbox.jobs (id, queue, data, run_at, error, dead_at)
       select ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'label', '{}', now(),
              case n when 20001 then 'rare' else 'no' end, now() from generate_series(1, 20001) as n`,
    );
    await sandbox.database.sql(
      `insert into sandbox.outbox_parked
         (position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at, error, dead_at)
       select n, gen_random_uuid(), 'counter', 'a', 'Counted', '', n, '{}', now(), case n when 20001 then 'rare' else 'no' end, now()
         from generate_series(1, 20001) as n`,
    );
    const of = (text: string): OperationRequest[] => [
      { kind: 'retry-jobs', filter: { cause: text } },
      { kind: 'retry-letters', filter: { box: 'outbox', cause: text } },
    ];

    for (const request of of('no'))
      expect(await operations.preview(request)).toMatchObject({ total: 20_000, totalIsExact: false });
    startProcess();
    for (const request of of('rare')) expect(await ended(await create(request))).toMatchObject({ total: 0, done: 1 });
  });
});

describe('an operation', () => {
  it('is refused without a filter, with an unknown one, or with options that its kind does not have', async () => {
    const refused: [object, string][] = [
      [{ kind: 'retry-everything', filter: LETTERS }, 'kind must be one of retry-letters, discard-letters'],
      [{ filter: { box: 'inbox' } }, 'No filter given'],
      [{ filter: {} }, 'box must be outbox or inbox'],
      [{ filter: { ...LETTERS, type: 'Odd' } }, 'Give either a filter or all: true'],
      [{ filter: { box: 'inbox', tpye: 'Odd' } }, 'Letters have no filter tpye'],
      [{ filter: { box: 'inbox', type: 7 } }, 'The filter type has an invalid value'],
      [{ filter: { box: 'inbox', ids: ['x'] } }, 'is not a valid id'],
      [{ filter: { box: 'inbox', diedAfter: 'yesterday' } }, 'diedAfter must be a time'],
      [{ filter: LETTERS, options: { topic: 'elsewhere' } }, 'has no option topic'],
      [{ filter: LETTERS, options: { speed: 3 } }, 'Operations have no option speed'],
      [{ filter: LETTERS, options: { ratePerSecond: 0 } }, 'ratePerSecond must be 0.01 to 100000'],
      [{ filter: LETTERS, options: { canary: 'yes' } }, 'canary must be true or false'],
      [{ filter: LETTERS, options: { asOf: 'now' } }, 'asOf must be a time'],
      [{ filter: LETTERS, options: { asOf: '2026-02-30T00:00:00Z' } }, 'asOf must be a time'],
      [{ filter: { ...LETTERS, diedAfter: '2026-02-30' } }, 'diedAfter must be a time'],
      [{ filter: { ...LETTERS, key: '\uD800' } }, 'half of a surrogate pair'],
      [{ filter: LETTERS, options: { asOf: '2999-01-01T00:00:00Z' } }, 'must not be in the future'],
      [{ kind: 'discard-letters', filter: LETTERS, options: { canary: true } }, 'has no option canary'],
      [{ kind: 'discard-letters', filter: LETTERS, reason: undefined }, 'reason must be'],
      [{ kind: 'retry-jobs', filter: {} }, 'No filter given'],
      [{ kind: 'retry-jobs', filter: { ids: ['7'] } }, 'is not a job id'],
      [{ filter: LETTERS, actor: '' }, 'actor must be'],
    ];

    for (const [request, problem] of refused)
      await expect(create({ kind: 'retry-letters', ...request } as NewOperation)).rejects.toThrow(problem);
    await expect(
      operations.create(sandbox.dataSource.manager, {
        ...BY_ANN,
        kind: 'retry-letters',
        filter: LETTERS,
        dryRun: await operations.preview({ kind: 'retry-letters', filter: LETTERS }),
      }),
    ).rejects.toThrow('open transaction');
    expect((await operations.list()).items).toEqual([]);
  });

  it('is stored, handled and audited with its filter, total and letters, each key in order', async () => {
    await givenLetters(450);
    startProcess();

    const created = await create({ kind: 'retry-letters', filter: LETTERS });
    const operation = await ended(created);

    expect(created).toMatchObject({ state: 'running', total: 450, done: 0, finishedAt: null, ...BY_ANN });
    expect(operation).toMatchObject({ state: 'done', done: 450, failed: 0, problem: null, waitingFor: 0 });
    const letters = await audited('inbox');
    expect(letters).toHaveLength(450);
    for (const key of ['key-0', 'key-1', 'key-2']) {
      const order = letters.filter(({ letter }) => letter['key'] === key).map(({ letter }) => Number(letter['offset']));
      expect(order).toEqual(order.toSorted((a, b) => a - b));
    }
    expect(new Set(letters.map(({ operation: id }) => id))).toEqual(new Set([created.id]));
    const [creation, end, ...more] = await audited('operations');
    expect(creation).toMatchObject({
      action: 'create',
      operation: created.id,
      detail: { filter: LETTERS, total: 450 },
    });
    expect(end).toMatchObject({ action: 'end', actor: BY_ANN.actor, detail: { state: 'done', done: 450, total: 450 } });
    expect(more).toEqual([]);
  });

  it('does not retry a letter that dies again meanwhile', async () => {
    await givenLetters(3);
    const { id } = await create({ kind: 'retry-letters', filter: LETTERS, options: { ratePerSecond: 2 } });
    startProcess();
    await until('two are retried', async () => (await show({ id })).done === 2);

    await sandbox.database.sql('update sandbox.inbox_parked set dead_at = clock_timestamp() where "offset" in (1, 3)');

    expect(await ended({ id })).toMatchObject({ state: 'done', done: 2, total: 3 });
    expect(await deadOffsets()).toEqual([1, 3]);
  });

  it('discards letters of the outbox, and retries or discards jobs', async () => {
    await sandbox.database.sql(
      `insert into sandbox.outbox_parked (position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload,
         created_at, error, dead_at)
       select n, gen_random_uuid(), 'counter', 'a', 'Counted', 'urn:x', n, '{}', now(), 'too large', now()
         from generate_series(1, 3) as n`,
    );
    await sandbox.database.sql(
      `insert into sandbox.jobs (id, queue, data, run_at, attempts, error, dead_at)
       select uuidv7(), case when n < 3 then 'call' else 'mail' end, '{}', now(), 9, 'no', now()
         from generate_series(1, 5) as n`,
    );
    startProcess();

    const discarded = await ended(
      await create({ kind: 'discard-letters', filter: { box: 'outbox', type: 'Counted' } }),
    );
    const retried = await ended(await create({ kind: 'retry-jobs', filter: { queue: 'call' } }));
    const thrownAway = await ended(await create({ kind: 'discard-jobs', filter: { all: true } }));

    expect([discarded, retried, thrownAway].map(({ state, done }) => [state, done])).toEqual([
      ['done', 3],
      ['done', 2],
      ['done', 3],
    ]);
    const jobs = await sandbox.database.sql('select queue, attempts, dead_at from sandbox.jobs');
    expect(jobs).toEqual(Array.from({ length: 2 }, () => ({ queue: 'call', attempts: 0, dead_at: null })));
    expect(await audited('jobs')).toHaveLength(5);
  });

  it('keeps its rate without holding a transaction while it waits', async () => {
    const name = `rated ${randomUUID()}`;
    const of = await new DataSource({
      type: 'postgres',
      url: sandbox.database.url,
      applicationName: name,
    }).initialize();
    const inTransaction: boolean[] = [];
    await givenLetters(30);
    const created = await create({ kind: 'retry-letters', filter: LETTERS, options: { ratePerSecond: 20 } });
    const process = startProcessOn({ default: of, handling: of }, OPERATION_TIMING);

    const operation = await until('the operation ends', async () => {
      const [row] = await sandbox.database.sql<{ open: boolean; sessions: number }>(
        `select coalesce(bool_or(xact_start is not null), false) as open, count(*)::int as sessions
           from pg_stat_activity where application_name = $1`,
        [name],
      );
      if (row!.sessions > 0) inTransaction.push(row!.open);
      const now = await show(created);
      return now.finishedAt && now;
    });
    await process.stop();
    await of.destroy();

    expect(operation).toMatchObject({ state: 'done', done: 30 });
    expect(operation.finishedAt!.getTime() - operation.createdAt.getTime()).toBeGreaterThanOrEqual(1400);
    // The two waits are most of the time, and the steps take the rest.
    expect(inTransaction.filter((open) => open).length / inTransaction.length).toBeLessThan(0.5);
  });

  it('lets others finish in the same process while it goes on, with a rate or without', async () => {
    await givenLetters(250);
    const endless: OperationKind = {
      ...notes(async () => undefined),
      step: async (_, __, { dataSource, save }) =>
        dataSource.transaction(async (tx) => save(tx, { progress: null, done: 1, failed: 0, more: true })),
    };
    operations = operationsWith(endless);
    const first = await create({ kind: 'notes', filter: {} });
    const slow = await create({
      kind: 'retry-letters',
      filter: { box: 'inbox', diedBefore: '2026-01-01T00:00:50Z' },
      options: { ratePerSecond: 1 },
    });
    startProcess(OPERATION_TIMING, endless);
    await until('both have begun', async () => (await show(first)).done > 0 && (await show(slow)).done > 0);

    const other = await ended(
      await create({ kind: 'retry-letters', filter: { box: 'inbox', diedAfter: '2026-01-01T00:00:50Z' } }),
    );
    const [firstThen, slowThen] = [await show(first), await show(slow)];
    await until('both go on', async () => {
      const [firstNow, slowNow] = [await show(first), await show(slow)];
      return firstNow.done > firstThen.done && slowNow.done > slowThen.done;
    });

    expect(other).toMatchObject({ state: 'done', done: 201 });
    expect([firstThen.state, slowThen.state]).toEqual(['running', 'running']);
    expect(slowThen.done).toBeLessThan(20);
  });

  it('ends where it is when an operator cancels it, and a step in progress is undone', async () => {
    const door = gate();
    const kind = notes(async (_, n) => (n === 2 ? door.opened : undefined));
    operations = operationsWith(kind);
    startProcess(OPERATION_TIMING, kind);
    const created = await create({ kind: 'notes', filter: {} });
    await until('the second step begins', async () => (await show(created)).done === 1);

    const by = { actor: 'bob', reason: 'wrong filter' };
    const cancelled = await sandbox.dataSource.transaction((tx) => operations.cancel(tx, created.id, by));
    door.open();
    const again = await sandbox.dataSource.transaction((tx) => operations.cancel(tx, created.id, by));
    // The same runner takes the next operation only after it has left this one.
    const next = await ended(await create({ kind: 'notes', filter: {} }));

    expect(cancelled).toMatchObject({ state: 'cancelled', cancelledBy: 'bob', done: 1, total: 3 });
    expect(again).toMatchObject({ state: 'cancelled', finishedAt: cancelled!.finishedAt });
    expect(next.state).toBe('done');
    expect((await effects()).filter(([key]) => key === created.id)).toEqual([[created.id, 1]]);
    const entries = (await audited('operations')).filter(({ operation }) => operation === created.id);
    expect(entries.map(({ action, actor }) => [action, actor])).toEqual([
      ['create', BY_ANN.actor],
      ['cancel', 'bob'],
    ]);
    expect(await sandbox.dataSource.transaction((tx) => operations.cancel(tx, randomUUID(), by))).toBeUndefined();
  });

  it('fails with the problem when it cannot succeed, and continues after any other error', async () => {
    let errors = 0;
    const kind = notes(async ({ filter }, n) => {
      if (n === 2 && filter['hopeless'] === true) throw new PermanentError('the topic does not exist');
      if (n === 2 && errors++ < 2) throw new Error('the broker is away');
    });
    operations = operationsWith(kind);
    startProcess(QUICK, kind);

    const failed = await ended(await create({ kind: 'notes', filter: { hopeless: true } }));
    const done = await ended(await create({ kind: 'notes', filter: {} }));

    expect(failed).toMatchObject({ state: 'failed', problem: expect.stringContaining('does not exist'), done: 1 });
    expect(done).toMatchObject({ state: 'done', problem: null, done: 3 });
    expect((await audited('operations')).filter(({ action }) => action === 'end')).toHaveLength(2);
  });

  it('is listed by state, newest first', async () => {
    await givenLetters(2);
    const first = await create({ kind: 'retry-letters', filter: { box: 'inbox', type: 'Odd' } });
    const second = await create({ kind: 'retry-letters', filter: { box: 'inbox', type: 'Even' } });
    await sandbox.dataSource.transaction((tx) => operations.cancel(tx, first.id, BY_ANN));

    const newest = await operations.list({}, { limit: 1 });
    const oldest = await operations.list({}, { limit: 1, cursor: newest.nextCursor! });

    expect([newest, oldest].map(({ items }) => items.map(({ id }) => id))).toEqual([[second.id], [first.id]]);
    expect(oldest.nextCursor).toBeNull();
    expect((await operations.list({ state: 'cancelled' })).items.map(({ id }) => id)).toEqual([first.id]);
    await expect(operations.list({ state: 'new' as 'done' })).rejects.toThrow('state must be one of running');
    await expect(operations.list({}, { cursor: 'x' })).rejects.toThrow('is not a valid cursor');
    await expect(operations.find('x')).rejects.toThrow('is not an operation id');
  });
});

describe('P7 a filter that few of very many match', () => {
  /** The errors of items, with one cause for the last ones and another for all others. */
  const RARE = (from: number) =>
    `case when n > ${from} then 'no route to "' || n || '"' else 'order ' || n || ' is unknown, attempt ' || n end`;
  let of: DataSource;

  beforeAll(async () => {
    // As in the services.
    const options = { url: sandbox.database.directUrl, extra: { statement_timeout: 1200 } };
    of = await new DataSource({ type: 'postgres', ...options }).initialize();
  });

  afterAll(async () => {
    await of.destroy();
  });

  const inserts = {
    inbox_parked: async (n: number) => givenLetters(n, RARE(n - 3)),
    outbox_parked: async (n: number) =>
      sandbox.database.sql(
        `insert into sandbox.outbox_parked (position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload,
           created_at, error, dead_at)
         select n, gen_random_uuid(), 'counter', 'a', 'Counted', 'urn:x', n, '{}', now(), ${RARE(n - 3)},
                timestamptz '2026-01-01Z' + n * interval '1 second'
           from generate_series(1, $1) as n`,
        [n],
      ),
    jobs: async (n: number) =>
      sandbox.database.sql(
        `insert into sandbox.jobs (id, queue, data, run_at, attempts, error, dead_at)
         select uuidv7(), 'call', '{}', now(), 9, ${RARE(n - 3)}, timestamptz '2026-01-01Z' + n * interval '1 second'
           from generate_series(1, $1) as n`,
        [n],
      ),
  };

  it.each([
    ['letters of the inbox', 'inbox_parked', { kind: 'retry-letters', filter: { box: 'inbox' } }],
    ['letters of the outbox', 'outbox_parked', { kind: 'retry-letters', filter: { box: 'outbox' } }],
    ['jobs', 'jobs', { kind: 'retry-jobs', filter: {} }],
  ] as const)('counts and retries only the matching %s, whatever lies before them', async (_, table, request) => {
    await inserts[table](5200);
    startProcess();
    const { kind, filter } = request;
    const byCause = { kind, filter: { ...filter, cause: 'no route to …' } };

    const { total, first } = await operations.preview(byCause);
    const all = await operations.preview({ kind, filter: { ...filter, all: true } });
    const operation = await ended(await create(byCause));
    const second = await ended(await create({ kind, filter: { ...filter, diedAfter: '2026-01-01T01:26:36Z' } }));

    expect([total, first.length, all.total, all.first.length]).toEqual([3, 3, 5200, 20]);
    expect(operation).toMatchObject({ state: 'done', total: 3, done: 3 });
    expect(second).toMatchObject({ state: 'done', total: 2, done: 2 });
    const [left] = await sandbox.database.sql<{ n: number }>(
      `select count(*)::int as n from sandbox.${table} where dead_at is not null`,
    );
    expect(left?.n).toBe(5195);
  });

  it('needs no statement that takes longer than a service allows, with a cause and 42,000 letters', async () => {
    await givenLetters(42_000, RARE(41_998));
    const defaults = { default: of, handling: of };
    const dueWork = new DueWork();
    const ofService = new Operations(
      sandbox.options,
      kindsOf(sandbox.options, defaults, dueWork),
      defaults,
      dueWork,
      new AfterCommit(),
    );
    const letters = new DeadLetters(sandbox.options, defaults, dueWork, new AfterCommit());
    startProcessOn(defaults, OPERATION_TIMING);

    const common = { box: 'inbox', cause: 'order # is unknown, attempt #' } as const;
    const { total, totalIsExact } = await ofService.preview({ kind: 'retry-letters', filter: common });
    const operation = await ended(
      await create({ kind: 'retry-letters', filter: { box: 'inbox', cause: 'no route to …' } }),
    );
    const causes = await letters.causes({ box: 'inbox' });
    const page = await letters.list({ box: 'inbox', cause: 'no such cause' });
    const next = await letters.list({ box: 'inbox', cause: 'no such cause' }, { cursor: page.nextCursor! });

    // A count looks at 20,000.
    expect([total, totalIsExact]).toEqual([20_000, false]);
    expect(operation).toMatchObject({ state: 'done', done: 2, problem: null });
    expect(causes).toMatchObject({ complete: false, items: [{ cause: common.cause, count: 10_000 }] });
    // One call looks at 40,000.
    expect([page.items, next]).toEqual([[], { items: [], nextCursor: null }]);
  });
});

describe('the processes of a service', () => {
  it('run several operations at once, and each item is handled by one of them', async () => {
    await givenLetters(700);
    const first = await create({ kind: 'retry-letters', filter: LETTERS });
    const second = await create({ kind: 'discard-letters', filter: LETTERS });

    startProcess();
    startProcess();
    const [retried, discarded] = await Promise.all([ended(first), ended(second)]);

    expect([retried.state, discarded.state]).toEqual(['done', 'done']);
    expect(retried.done + discarded.done).toBe(700);
    expect(await deadOffsets()).toEqual([]);
    expect(new Set((await audited('inbox')).map(({ letter }) => letter['offset'])).size).toBe(700);
    expect((await audited('operations')).filter(({ action }) => action === 'end')).toHaveLength(2);
  });

  it('P4 finish operations once when one of them is killed in the middle of a step', async () => {
    await givenLetters(453);
    const slow = await create({
      kind: 'retry-letters',
      filter: { box: 'inbox', diedAfter: '2026-01-01T00:07:31Z' },
      options: { ratePerSecond: 1 },
    });
    const { id } = await create({
      kind: 'retry-letters',
      filter: { box: 'inbox', diedBefore: '2026-01-01T00:07:31Z' },
    });
    const holding = gate();
    const held = sandbox.dataSource.transaction(async (tx) => {
      await tx.query('select from sandbox.inbox_parked where "offset" = 300 for update');
      await holding.opened;
    });
    const child = startChild();
    await until('its second step waits for the held letter', async () => {
      const [row] = await sandbox.database.sql<{ waits: boolean }>(
        `select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock') as waits`,
      );
      return row?.waits && (await show({ id })).done === 200;
    });
    const slowThen = await show(slow);

    await child.kill();
    holding.open();
    await held;
    startProcess(QUICK);

    expect(slowThen).toMatchObject({ state: 'running', done: 1 });
    expect(await ended({ id })).toMatchObject({ state: 'done', done: 450 });
    expect(await ended(slow)).toMatchObject({ state: 'done', done: 3 });
    const letters = await audited('inbox');
    expect([letters.length, new Set(letters.map(({ letter }) => letter['offset'])).size]).toEqual([453, 453]);
    const entries = await audited('operations');
    expect(entries.map(({ action }) => action)).toEqual(['create', 'create', 'end', 'end']);
  });

  it('P4 refuse what a paused one saves after another has taken over', async () => {
    const [door, otherDoor] = [gate(), gate()];
    const paused = notes(async (_, n) => (n === 2 ? door.opened : undefined));
    const other = notes(async (_, n) => (n === 3 ? otherDoor.opened : undefined));
    operations = operationsWith(other);
    const created = await create({ kind: 'notes', filter: {} });
    const late = startProcess(NEVER_RENEWED, paused);
    await until('the second step begins', async () => (await show(created)).done === 1);
    startProcess(QUICK, other);
    await until('the other process has done the second step', async () => (await show(created)).done === 2);

    door.open();
    await late.stop();
    const refused = await show(created);
    otherDoor.open();
    const operation = await ended(created);

    expect(refused).toMatchObject({ state: 'running', done: 2 });
    expect(operation).toMatchObject({ state: 'done', done: 3 });
    expect((await effects()).map(([, n]) => n)).toEqual([1, 2, 3]);
  });

  it('leave operations of kinds that they do not know to a newer version', async () => {
    const kind = notes(async () => undefined);
    operations = operationsWith(kind);
    const unknown = await create({ kind: 'notes', filter: {} });
    startProcess();
    const known = await ended(await create({ kind: 'retry-letters', filter: LETTERS }));

    const before = await show(unknown);
    startProcess(OPERATION_TIMING, kind);

    expect([known.state, before.state, before.done]).toEqual(['done', 'running', 0]);
    expect(await ended(unknown)).toMatchObject({ state: 'done', done: 3 });
  });

  it('keep an operation while a step takes longer than the lease', async () => {
    const door = gate();
    const slow = notes(async (_, n) => (n === 2 ? door.opened : undefined));
    operations = operationsWith(slow);
    const created = await create({ kind: 'notes', filter: {} });
    startProcess(QUICK, slow);
    await until('the second step begins', async () => (await show(created)).done === 1);
    const until2 = async () =>
      (await sandbox.database.sql<{ at: Date }>('select runner_until as at from sandbox.messaging_operations'))[0]!.at;
    const lease = (await until2()).getTime();

    await until('the lease is renewed beyond its first end', async () => (await until2()).getTime() > lease + 1000);
    door.open();

    expect(await ended(created)).toMatchObject({ state: 'done', done: 3 });
    expect(await effects()).toHaveLength(3);
  });

  it('P8 continue at once what one of them leaves when it stops', async () => {
    await givenLetters(3);
    const created = await create({ kind: 'retry-letters', filter: LETTERS, options: { ratePerSecond: 2 } });
    const first = startProcess();
    await until('the first step is done', async () => (await show(created)).done === 2);

    await first.stop();
    startProcess();

    const operation = await ended(created);
    expect(operation).toMatchObject({ state: 'done', done: 3 });
    expect(operation.finishedAt!.getTime() - operation.createdAt.getTime()).toBeLessThan(OPERATION_TIMING.leaseMs);
  });
});

describe('an operation with a canary', () => {
  const send = async (...ns: readonly number[]) => {
    const { brokers } = sandbox.options;
    await produce(
      brokers,
      sandbox.consumer.topic.name,
      ns.map((n) => counted(n, { key: `key-${n}` })),
    );
  };
  let app: INestApplication;
  let broken: ReadonlySet<number>;

  beforeAll(async () => {
    app = await startCounter(sandbox, { maxAttempts: 2, backOff: { firstMs: 10, maxMs: 20 } });
    // Nest logs again after it has created an application.
    Logger.overrideLogger(['fatal']);
  });

  afterAll(async () => {
    await app.close();
  });

  beforeEach(async () => {
    CounterController.next = (n) => {
      if (broken.has(n)) throw new Error(`${n} is broken`);
    };
    broken = new Set(Array.from({ length: 8 }, (_, n) => n));
    operations = app.get(Operations);
    await send(...broken);
    await until('all are dead letters', async () => (await deadOffsets()).length === 8);
  });

  it('takes growing steps, each after all letters of the previous one were processed', async () => {
    broken = new Set();
    // The letters move behind as many others as one statement looks at.
    await givenLetters(2000);
    const columns =
      'consumer, topic, partition, "offset", recorded_at, source, message_id, type, key, headers, value, holds_key, attempts, error, dead_at';
    await sandbox.database.sql(
      `with moved as (delete from sandbox.inbox_parked where error <> 'no' returning id, ${columns})
       insert into sandbox.inbox_parked (${columns}) select ${columns} from moved order by id`,
    );

    const filter = { box: 'inbox', cause: '# is broken' };
    const operation = await ended(await create({ kind: 'retry-letters', filter, options: { canary: true } }));

    expect(operation).toMatchObject({ state: 'done', done: 8, failed: 0, waitingFor: 0 });
    expect((await effects()).map(([, n]) => n).toSorted((a, b) => Number(a) - Number(b))).toEqual([...Array(8).keys()]);
    // One transaction wrote the entries of each step.
    const steps = await sandbox.database.sql<{ n: number }>(
      `select count(*)::int as n from sandbox.messaging_audit where box = 'inbox' group by xmin::text order by min(id)`,
    );
    expect(steps.map(({ n }) => n)).toEqual([1, 2, 5]);
  });

  it('stops at the first new failure, and leaves all other letters as they are', async () => {
    const [, second] = await sandbox.database.sql<{ id: string; key: Buffer }>(
      'select id, key from sandbox.inbox_parked order by id',
    );
    broken = new Set([Number(second!.key.toString().replace('key-', ''))]);

    const operation = await ended(await create({ kind: 'retry-letters', filter: LETTERS, options: { canary: true } }));

    expect(operation).toMatchObject({ state: 'stopped', done: 3, failed: 1, waitingFor: 0 });
    expect(operation.problem).toBe(`Letter ${second!.id} of the inbox failed again: ${[...broken][0]} is broken`);
    expect((await deadOffsets()).length).toBeGreaterThanOrEqual(5);
    expect(await audited('inbox')).toHaveLength(3);
    const end = (await audited('operations')).at(-1);
    expect(end).toMatchObject({ action: 'end', detail: { state: 'stopped', failed: 1, problem: operation.problem } });
  });

  it('shows for how many letters it waits, and other operations run meanwhile', async () => {
    const door = gate();
    broken = new Set();
    CounterController.next = () => door.opened;

    const waiting = await create({ kind: 'retry-letters', filter: LETTERS, options: { canary: true } });
    await until('it waits', async () => (await show(waiting)).waitingFor === 1);
    const other = await ended(await create({ kind: 'retry-jobs', filter: { all: true } }));
    await sandbox.dataSource.transaction((tx) => operations.cancel(tx, waiting.id, BY_ANN));
    door.open();

    expect(other.state).toBe('done');
    expect(await show(waiting)).toMatchObject({ state: 'cancelled', done: 1, waitingFor: 0 });
  });
});

it('a canary waits for jobs and for messages of the outbox too', async () => {
  await sandbox.database.sql(
    `insert into sandbox.jobs (id, queue, data, run_at, attempts, error, dead_at)
     select uuidv7(), 'call', '{}', now(), 9, 'no', now() from generate_series(1, 2)`,
  );
  await sandbox.database.sql(
    `insert into sandbox.outbox_parked (position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload,
       created_at, error, dead_at)
     select n, gen_random_uuid(), 'counter', 'a', 'Counted', 'urn:x', n, '{}', now(), 'too large', now()
       from generate_series(1, 2) as n`,
  );
  const options = { canary: true };
  const jobs = await create({ kind: 'retry-jobs', filter: { all: true }, options });
  const letters = await create({ kind: 'retry-letters', filter: { box: 'outbox', all: true }, options });
  startProcess();
  await until('both wait', async () => (await show(jobs)).waitingFor + (await show(letters)).waitingFor === 2);

  // A worker has failed on the job, and the relay has published the message.
  const [job] = await sandbox.database.sql<{ id: string }>(
    `update sandbox.jobs set attempts = 1, error = 'no route' where dead_at is null returning id`,
  );
  await sandbox.database.sql('delete from sandbox.outbox_parked where dead_at is null');

  expect(await ended(jobs)).toMatchObject({
    state: 'stopped',
    problem: `Job ${job!.id} failed again: no route`,
    done: 1,
  });
  await until('the next message is retried', async () => (await show(letters)).done === 2);
  await sandbox.database.sql(`update sandbox.outbox_parked set dead_at = now(), error = 'still too large'`);
  expect((await ended(letters)).problem).toBe('Letter 2 of the outbox failed again: still too large');
});

it('P7 operations and audit entries are removed after their retention, by one process at a time', async () => {
  const old = `clock_timestamp() - interval '91 days'`;
  await sandbox.database.sql(
    `insert into sandbox.messaging_operations (id, kind, filter, as_of, total, actor, state, finished_at)
     select gen_random_uuid(), 'notes', '{}', now(), 0, 'ann', 'done', ${old} from generate_series(1, 1500)`,
  );
  await sandbox.database.sql(
    `insert into sandbox.messaging_audit (at, actor, action, box, letter)
     select ${old}, 'ann', 'retry', 'inbox', '{}' from generate_series(1, 2500)`,
  );
  await givenLetters(1);
  const open = await create({ kind: 'retry-letters', filter: LETTERS });
  const housekeepings = [1, 2].map(() => new OperationHousekeeping(sandbox.options, dataSources()));
  const left = async () =>
    sandbox.database.sql(
      'select (select count(*)::int from sandbox.messaging_operations) as operations, (select count(*)::int from sandbox.messaging_audit) as audit',
    );

  // Another process removes a chunk at this moment.
  await sandbox.dataSource.transaction(async (tx) => {
    await tx.query(`select pg_advisory_xact_lock(hashtextextended('sandbox.operation-housekeeping', 0))`);
    await housekeepings[0]!.removeOld();
  });
  const before = await left();
  await Promise.all(housekeepings.map((one) => one.removeOld()));
  await housekeepings[0]!.removeOld();

  expect(before).toEqual([{ operations: 1501, audit: 2501 }]);
  expect((await operations.list()).items.map(({ id }) => id)).toEqual([open.id]);
  const kept = await sandbox.database.sql('select action from sandbox.messaging_audit');
  expect(kept).toEqual([{ action: 'create' }]);
});

/** Starts a process of the built library that runs operations on letters. */
function startChild(): Child {
  const child = Child.start(CHILD, { DATABASE_URL: roleUrl(sandbox.database) });
  children.push(child);
  return child;
}

const CHILD = `
  import { DataSource } from 'typeorm';
  import { DueWork } from './poll/due-work.js';
  import { kindsOf } from './operation-kinds.js';
  import { OperationRunner } from './stored-operations/operation-runner.js';

  const dataSources = { default: await new DataSource({ type: 'postgres', url: process.env.DATABASE_URL }).initialize() };
  const dueWork = new DueWork();
  const kinds = kindsOf({ schema: 'sandbox', consumes: [], publishes: [] }, dataSources, dueWork);
  const timing = { leaseMs: 1000, renewEveryMs: 250, retryMs: 50 };
  new OperationRunner('sandbox', kinds, dataSources, dueWork, timing).start();
  setInterval(() => dueWork.found('operations'), 50);
`;
