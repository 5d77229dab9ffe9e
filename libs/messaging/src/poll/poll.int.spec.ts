import { Logger } from '@nestjs/common';
import { jest } from '@jest/globals';
import { DueWork } from './due-work.js';
import { inboxHealth, startCounter } from '../../test/counter-process.js';
import { testServerUrl } from '../testing/database.js';
import { linkToPostgres, type PostgresLink } from '../../test/postgres-link.js';
import { counts, createSandbox, RelayProcess, type Sandbox } from '../../test/sandbox.js';
import { until } from '../testing/until.js';

let link: PostgresLink;
let sandbox: Sandbox;

beforeEach(async () => {
  link = await linkToPostgres(testServerUrl());
  sandbox = await createSandbox({ databaseUrl: link.url });
});

afterEach(async () => {
  await sandbox.close();
  await link.close();
});

const polls = () => link.statements.filter((text) => text.includes('with lease'));

describe('the only poll of a process', () => {
  it('is the only query of an idle process with relay and inbox, except for an occasional check of the offsets', async () => {
    await sandbox.database.sql('create table sandbox.effects (key text not null, n integer not null)');
    const app = await startCounter(sandbox);
    await until('it consumes', () => inboxHealth(app)['consuming']);
    await until('it has settled', () => polls().length >= 4);
    link.statements.splice(0);

    await until('it has polled', () => polls().length >= 5);

    const others = link.statements.filter((text) => !text.includes('with lease') && !text.includes('inbox_offsets'));
    expect(others).toEqual([]);
    expect(link.statements.length).toBeLessThanOrEqual(polls().length + 2);
    await app.close();
  });

  it('finds due parked messages and jobs, and wakes their workers', async () => {
    const due = new DueWork();
    const found: string[] = [];
    due.on('parked', () => found.push('parked'));
    due.on('jobs', () => found.push('jobs'));
    const relay = new RelayProcess(sandbox.options, undefined, undefined, due);
    relay.start(['ours']);
    await until('it leads', () => relay.health()['role'] === 'leader');
    expect(found).toEqual([]);

    await sandbox.database.sql(
      `insert into sandbox.inbox_parked (consumer, topic, partition, "offset", recorded_at, headers, holds_key, next_attempt_at)
       values ('any', 'any', 0, 0, now(), '{}', true, now())`,
    );
    await until('the message is found', () => found.includes('parked'));
    await sandbox.database.sql(
      `insert into sandbox.jobs (id, queue, data, run_at) values (gen_random_uuid(), 'theirs', '{}', now())`,
    );
    const looked = link.statements.length;
    await until('it has polled again', () => link.statements.length > looked + 1);
    expect(found).not.toContain('jobs');
    await sandbox.database.sql(`update sandbox.jobs set queue = 'ours'`);
    await until('the job is found', () => found.includes('jobs'));
    await relay.stop();
  });

  it('P2 finds commits of other processes although notifications are dropped, and warns once', async () => {
    link.swallowNotices();
    Logger.overrideLogger(['warn']);
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const warnings = () => warn.mock.calls.filter(([text]) => String(text).startsWith('Notifications do not arrive'));
    const leader = sandbox.newRelay();
    leader.start();
    await until('it leads', () => leader.health()['role'] === 'leader');
    const writer = sandbox.newRelay();
    writer.start();
    await until('both have warned', () => warnings().length === 2);

    await sandbox.add(sandbox.outboxOf(writer), 'a', 1);

    await until('it is published', () => counts(sandbox.topic, 'a').includes(1));
    expect(warnings()).toHaveLength(2);
    warn.mockRestore();
  });
});

it('P8 a standby leads within seconds of a leader’s death even if the clock was stepped back', async () => {
  await sandbox.database.sql(`update sandbox.relay_lease
    set holder = gen_random_uuid(), token = 1, expires_at = clock_timestamp() + interval '2 hours'`);
  const standby = sandbox.newRelay();

  standby.start();

  await until('it leads', () => standby.leads, 7000);
});

it('P9 health shows that the database clock differs from the host’s and stays healthy, and one line is logged', async () => {
  Logger.overrideLogger(['warn']);
  const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
  const warnings = () => warn.mock.calls.filter(([text]) => String(text).startsWith(`PostgreSQL's clock`));
  const now = Date.now.bind(Date);
  const clock = jest.spyOn(Date, 'now').mockImplementation(() => now() - 7_200_000);
  const relay = sandbox.newRelay();
  relay.start();
  const reported = () => relay.health()['clockAheadMs'];
  await until('it is reported', () => reported());
  const polled = polls().length;
  await until('it has polled again', () => polls().length > polled + 1);

  expect(relay.health()).toMatchObject({ healthy: true, problem: expect.stringContaining('7200 s ahead of') });
  expect(warnings()).toHaveLength(1);
  clock.mockRestore();
  await until('they agree again', () => reported() === undefined);
  expect(relay.health()['problem']).toBeUndefined();
  warn.mockRestore();
});

describe('a process whose relay runs elsewhere', () => {
  it('never leads, and announces its commits', async () => {
    const writer = sandbox.newRelay(undefined, undefined, { relay: false });
    writer.start();
    await until('it polls', () => writer.health()['role'] === 'elsewhere');
    await sandbox.add(sandbox.outboxOf(writer), 'a', 1);

    const relay = sandbox.newRelay();
    relay.start();
    await until('the other publishes', () => counts(sandbox.topic, 'a').includes(1));

    expect(relay.health()).toMatchObject({ role: 'leader', healthy: true });
    expect(writer.health()).toMatchObject({ role: 'elsewhere', healthy: true });
  });
});
