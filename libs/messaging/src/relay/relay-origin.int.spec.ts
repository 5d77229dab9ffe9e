import { randomBytes } from 'node:crypto';
import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import pg from 'pg';
import { type Poll } from '../poll/poll.js';
import { type PollStore } from '../poll/poll-store.js';
import { type Outbox } from '../outbox/outbox.js';
import { MessagingMetrics } from '../metrics/metrics.js';
import { createDatabase, type TestDatabase, testServerUrl } from '../testing/database.js';
import { counts, createSandbox, inversions, type RelayProcess, type Sandbox } from '../../test/sandbox.js';
import { until } from '../testing/until.js';

const KEYS = ['a', 'b'];

let sandbox: Sandbox;
let outbox: Outbox;

beforeEach(async () => {
  sandbox = await createSandbox();
  Logger.overrideLogger(false);
  outbox = sandbox.outboxOf(sandbox.newRelay(undefined, undefined, { relay: false }));
});

afterEach(async () => {
  jest.restoreAllMocks();
  await sandbox.close();
});

const sql = (statement: string) => sandbox.database.sql(statement);

/** Writes messages `from` to `to` of each key in a few transactions. */
async function write(from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n += 10) {
    await sandbox.dataSource.transaction(async (tx) => {
      for (let each = n; each <= Math.min(to, n + 9); each++)
        for (const key of KEYS) await sandbox.add(outbox, key, each, tx);
    });
  }
}

const arePublished = (upTo: number, beyond = 0) =>
  until(
    `messages ${beyond} to ${upTo} of each key are published`,
    () => KEYS.every((key) => new Set(counts(sandbox.topic, key).filter((n) => n > beyond)).size === upTo - beyond),
    20_000,
  );

const recorded = async () => {
  const [row] = await sandbox.database.sql<{ position: number; origin: string }>(
    'select position::int, origin from sandbox.relay_lease',
  );
  return row!;
};

const incidents = () =>
  sandbox.database.sql<{ kind: string; subject: string; problem: string }>(
    'select kind, subject, problem from sandbox.messaging_incidents',
  );

async function publishSome(relay: RelayProcess, upTo: number): Promise<void> {
  relay.start();
  await until('it leads', () => relay.leads);
  await write(1, upTo);
  await arePublished(upTo);
  await until('it is recorded', async () => (await recorded()).position === upTo * KEYS.length);
}

async function expectReport(relay: RelayProcess): Promise<void> {
  expect(await incidents()).toMatchObject([{ kind: 'positions-went-back', subject: 'sandbox.outbox' }]);
  // More than once if the relay lost its lease during the recovery.
  expect(relay.wentBack).toBeGreaterThan(0);
  const metrics = new MessagingMetrics(sandbox.options, () => sandbox.dataSource);
  metrics.watchRelay(relay);
  expect(await metrics.registry.metrics()).toMatch(/^messaging_relay_positions_went_back_total [1-9]\d*$/m);
  await until('it is healthy', () => relay.health().healthy);
  expect(inversions(sandbox.topic)).toEqual([]);
}

const TRUNCATE = 'truncate sandbox.outbox restart identity';
const RESTART = 'alter sequence sandbox.outbox_position_seq restart';
const SET_BACK = `select setval('sandbox.outbox_position_seq', 5)`;

describe('P2 P3 nothing is lost or reordered, and an incident is reported, when under a leader', () => {
  it.each([
    ['the outbox is truncated with its sequence, and fewer messages are written than before', 500, TRUNCATE, 515],
    ['the outbox is truncated with its sequence, and more messages are written than before', 10, TRUNCATE, 40],
    ['the sequence is restarted behind rows that retention removed', 50, `delete from sandbox.outbox; ${RESTART}`, 60],
    ['the sequence is restarted and soon passes the position', 10, `delete from sandbox.outbox; ${RESTART}`, 40],
    ['the sequence is set back behind rows that retention removed', 50, `delete from sandbox.outbox; ${SET_BACK}`, 60],
  ])('%s', async (_, published, reset, upTo) => {
    const relay = sandbox.newRelay();
    await publishSome(relay, published);

    await sql(reset);
    await write(published + 1, upTo);

    await arePublished(upTo);
    await expectReport(relay);
    await sandbox.drained();
    await write(upTo + 1, upTo + 10);
    await arePublished(upTo + 10);
  });

  it('the sequence is set back below kept rows, and the positions that it hands out again are not skipped', async () => {
    const relay = sandbox.newRelay();
    await publishSome(relay, 20);

    // Rows 6 to 15 of 40 are gone.
    await sql(`delete from sandbox.outbox where position between 6 and 15; ${SET_BACK}`);
    await until('it is noticed', () => relay.wentBack > 0);
    await write(21, 25);

    await arePublished(25);
    await expectReport(relay);
    // Writers conflict with the kept rows until the sequence has passed them.
    await until('the sequence has passed', async () => {
      await write(26, 26).catch(() => undefined);
      return counts(sandbox.topic, 'a').includes(26);
    });
    await write(27, 40);
    await arePublished(40);
    await sandbox.drained();
    expect(inversions(sandbox.topic)).toEqual([]);
  });
});

describe('P2 P3 nothing is lost or reordered, and an incident is reported, when while no relay ran', () => {
  it.each([
    ['the outbox was truncated with its sequence', TRUNCATE],
    ['the sequence was restarted', `delete from sandbox.outbox; ${RESTART}`],
  ])('%s, and more messages were written than before', async (_, reset) => {
    const [first, second] = [sandbox.newRelay(), sandbox.newRelay()];
    await publishSome(first, 20);
    await first.stop();

    await sql(reset);
    await write(21, 60);
    second.start();

    await arePublished(60);
    await expectReport(second);
    await until('it is recorded', async () => (await recorded()).position === 80);
  });

  it('the sequence was restarted before a backlog, and messages are published in commit order', async () => {
    const [first, second] = [sandbox.newRelay(), sandbox.newRelay()];
    await publishSome(first, 20);
    await first.stop();
    await write(21, 30);

    await sql(`delete from sandbox.outbox where position <= 40; ${RESTART}`);
    await write(31, 45);
    second.start();

    await arePublished(45);
    await expectReport(second);
  });

  it('the previous version recorded a position beyond the sequence', async () => {
    const [first, second] = [sandbox.newRelay(), sandbox.newRelay()];
    await publishSome(first, 20);
    await first.stop();
    await sql('update sandbox.relay_lease set origin = null');

    await sql(TRUNCATE);
    await write(21, 30);
    second.start();

    await arePublished(30);
    await expectReport(second);
  });
});

it('P2 the successor of a relay that is killed during its recovery repeats the recovery', async () => {
  const [first, second] = [sandbox.newRelay(), sandbox.newRelay()];
  await publishSome(first, 20);
  await first.stop();
  await write(21, 30);
  await sql(`delete from sandbox.outbox where position <= 40; ${RESTART}`);
  await write(31, 45);
  const sends: number[] = [];
  const stuck = sandbox.newRelay(async () => {
    sends.push(1);
    return Promise.reject(new Error('Kafka is away'));
  });
  stuck.start();
  await until('it sends what was committed before', () => sends.length > 0);

  await stuck.stop();
  expect((await recorded()).position).toBe(40);
  second.start();

  await arePublished(45);
  await expectReport(second);
});

it('P5 a message is parked behind a dead letter that used its position before, and is published after it', async () => {
  const relay = sandbox.newRelay();
  await publishSome(relay, 20);
  const columns = 'position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at';
  await sql(`insert into sandbox.outbox_parked (${columns}, error, dead_at) select ${columns}, 'refused', now()
               from sandbox.outbox where aggregateid = 'a' and position <= 2`);

  await sql(TRUNCATE);
  await write(21, 30);

  await until('all of its key are parked', async () => {
    const rows = await sql(`select from sandbox.outbox_parked where aggregateid = 'a' and dead_at is null`);
    return rows.length === 10;
  });
  const [letter] = await sandbox.database.sql<{ id: string }>(
    'select position::text as id from sandbox.outbox_parked where dead_at is not null',
  );
  await sandbox.deadLetters.retry({ box: 'outbox', ids: [letter!.id] }, { actor: 'test' });
  await arePublished(30);
  await expectReport(relay);
});

it('P9 a relay without the grant on the sequence reports that, and still notices a truncated outbox', async () => {
  const role = `relay_${randomBytes(6).toString('hex')}`;
  await sql(`create role ${role} login password 'relay'`);
  await sql(`grant usage on schema sandbox to ${role}`);
  await sql(`grant select, insert, update, delete on all tables in schema sandbox to ${role}`);
  Logger.overrideLogger(['warn']);
  const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
  const warnings = () => warn.mock.calls.filter(([text]) => String(text).includes('may not read the sequence')).length;
  const relay = sandbox.newRelay(undefined, undefined, { databaseUrl: sandbox.database.urlFor(role, 'relay') });
  await publishSome(relay, 20);
  expect(relay.health()).toMatchObject({
    healthy: true,
    problem: expect.stringContaining('may not read the sequence of sandbox.outbox'),
  });

  await sql(TRUNCATE);
  await write(21, 60);
  await arePublished(60);
  expect(warnings()).toBe(1);
  expect(relay.wentBack).toBeGreaterThan(0);
  await sql(`grant select on all sequences in schema sandbox to ${role}`);

  await until('it reports no problem', () => relay.health()['problem'] === undefined);
  await relay.stop();
  await sql(`drop owned by ${role}`);
  await sql(`drop role ${role}`);
});

it.each([
  ['the same connection', moveConnection],
  ['a new connection', reconnect],
])('P2 P3 an older copy of the database behind %s causes no loss or reordering', async (_, move) => {
  const relay = sandbox.newRelay(undefined, undefined, {});
  const first = sandbox.newRelay();
  await publishSome(first, 10);
  await first.stop();
  await sandbox.dataSource.destroy();
  const copy = await copyOfDatabase();
  await sandbox.dataSource.initialize();
  relay.start();
  await write(11, 50);
  await arePublished(50);
  await until('it is recorded', async () => (await recorded()).position === 100);

  await sandbox.dataSource.destroy();
  sandbox.dataSource.setOptions({ url: copy.url });
  await sandbox.dataSource.initialize();
  await write(51, 110);
  await move(relay, copy.directUrl);

  await arePublished(110);
  await until('it is recorded in the copy', async () => {
    const [row] = await copy.sql<{ position: number }>('select position::int from sandbox.relay_lease');
    return row?.position === 140;
  });
  expect(inversions(sandbox.topic)).toEqual([]);
  expect(relay.wentBack).toBeGreaterThan(0);
  const [incident] = await copy.sql('select problem from sandbox.messaging_incidents');
  expect(incident).toMatchObject({ problem: expect.stringContaining('older copy') });
  await relay.stop();
  await sandbox.dataSource.destroy();
  await copy.drop();
  sandbox.dataSource.setOptions({ url: sandbox.database.url });
  await sandbox.dataSource.initialize();
});

/** Acts like a pooler that switches to another server and keeps the client's connection. */
async function moveConnection(relay: RelayProcess, databaseUrl: string): Promise<void> {
  Object.assign(Reflect.get(relay, 'options') as object, { databaseUrl });
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const { connection } = storeOf(relay);
  const old = Reflect.get(connection, 'client') as pg.Client;
  Reflect.set(connection, 'client', client);
  await old.end();
}

async function reconnect(relay: RelayProcess, databaseUrl: string): Promise<void> {
  Object.assign(Reflect.get(relay, 'options') as object, { databaseUrl });
  await storeOf(relay).close();
}

function storeOf(relay: RelayProcess): PollStore {
  return Reflect.get(Reflect.get(relay, 'poll') as Poll, 'store') as PollStore;
}

async function copyOfDatabase(): Promise<TestDatabase> {
  const name = new URL(sandbox.database.url).pathname.slice(1);
  return until('the database can be copied', async () => {
    const maintenance = new pg.Client({ connectionString: new URL('/postgres', sandbox.database.directUrl).href });
    await maintenance.connect();
    await maintenance.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name]);
    await maintenance.end();
    return createDatabase(testServerUrl(), name).catch(() => undefined);
  });
}
