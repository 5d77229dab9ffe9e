import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import pg from 'pg';
import { Cursor } from '../log/cursor.js';
import { type ComponentHealth } from '../operations/health.js';
import { type LeaseTiming } from '../poll/lease.js';
import { PollStore } from '../poll/poll-store.js';
import { messagingRetention } from '../postgres/schema.js';
import { RelayStore } from './relay-store.js';
import {
  connectStores,
  counts,
  createSandbox,
  inversions,
  type RelayProcess,
  type Sandbox,
} from '../../test/sandbox.js';
import { roleUrl } from '../../test/sandbox-database.js';
import { until } from '../testing/until.js';

let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await createSandbox();
});

afterEach(async () => {
  jest.restoreAllMocks();
  await sandbox.close();
});

interface Session {
  query<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>;
  run(statement: string): Promise<void>;
  end(): Promise<void>;
}

/** Opens a session, runs the statements and leaves it as it is. */
async function open(...statements: string[]): Promise<Session> {
  const client = new pg.Client({ connectionString: sandbox.database.directUrl });
  await client.connect();
  for (const statement of statements) await client.query(statement);
  return {
    query: async <Row extends pg.QueryResultRow>(text: string, values?: unknown[]) =>
      (await client.query<Row>(text, values)).rows,
    run: async (statement) => void (await client.query(statement)),
    end: () => client.end(),
  };
}

/** SQL that adds messages of the given key, or spread over a hundred keys. */
const messages = (count: number, key?: string) => `
  insert into sandbox.outbox (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
  select gen_random_uuid(), 'counter', ${key === undefined ? "'key-' || n % 100" : `'${key}'`}, 'Counted', 'urn:event:Counted:1', n, '{"n":1}'
    from generate_series(1, ${count}) as n`;

/** Records progress as a relay does. */
async function recordPublished(position: number, gaps = '{}', ahead: object | null = null): Promise<void> {
  await sandbox.database.sql('update sandbox.relay_lease set position = $1, gaps = $2, ahead = $3', [
    position,
    gaps,
    ahead,
  ]);
}

describe('P6 beside transactions that stay open', () => {
  it('publishes and removes without blocking writers, as a role with the least privileges', async () => {
    await sandbox.database.sql('create table sandbox.elsewhere (n integer)');
    const others = await Promise.all([
      open('begin', 'select 1'),
      open('begin isolation level repeatable read', 'select from sandbox.elsewhere'),
      open('begin', 'insert into sandbox.elsewhere values (1)'),
      open('begin', 'declare c cursor for select * from sandbox.outbox', 'fetch 1 from c'),
    ]);
    const writer = await open('begin', messages(1, 'slow'));
    const quitter = await open('begin', messages(1, 'never'));
    const relay = sandbox.newRelay(undefined, undefined, {
      databaseUrl: roleUrl(sandbox.database),
      outboxRetentionMs: 0,
    });
    const outbox = sandbox.outboxOf(relay);
    relay.start();

    for (let n = 1; n <= 20; n++) await sandbox.add(outbox, 'quick', n);
    await until('the others are published', () => counts(sandbox.topic, 'quick').length === 20);
    await writer.run('commit');
    await quitter.run('rollback');
    // Nothing is removed from the oldest gap on, and now there is no gap. Concurrent writers do not wait for a lock.
    await until('no gap is left', async () => {
      const [row] = await sandbox.database.sql<{ gaps: string }>('select gaps::text from sandbox.relay_lease');
      return row?.gaps === '{}';
    });
    const busy = await open(`set lock_timeout = '500ms'`, 'begin', messages(1, 'busy'));
    const quick = await open(`set lock_timeout = '500ms'`);
    const waited: unknown[] = [];
    await until('what is published is removed', async () => {
      await quick.run(messages(1, 'other')).catch((error: unknown) => waited.push(error));
      const left = await sandbox.database.sql(`select from sandbox.outbox where aggregateid in ('quick', 'slow')`);
      return left.length === 0;
    });
    expect(waited).toEqual([]);
    await busy.run('commit');

    await until('the late ones are published', () =>
      ['slow', 'busy'].every((key) => counts(sandbox.topic, key).length),
    );
    await sandbox.drained();
    expect(inversions(sandbox.topic)).toEqual([]);
    await Promise.all([...others, writer, quitter, busy, quick].map((session) => session.end()));
  });
});

it('P2 removes nothing beyond a gap, because it may have been committed late and be unpublished', async () => {
  const { poll, relay } = await connectStores(sandbox.options);
  await sandbox.database.sql(messages(5));
  await recordPublished(4, '{[2,3)}');

  const removal = await relay.removeOld(0, new Cursor(4, [{ from: 2, to: 3 }]), 0, 100);

  expect(removal).toEqual({ count: 1, upTo: 1, more: false });
  const left = await sandbox.database.sql('select position::int from sandbox.outbox order by position');
  expect(left).toEqual([2, 3, 4, 5].map((position) => ({ position })));
  await poll.close();
});

it('P2 removes nothing that the lease row does not record as published, whatever the relay takes for published', async () => {
  const { poll, relay } = await connectStores(sandbox.options);
  await sandbox.database.sql(messages(9));
  await sandbox.database.sql(`update sandbox.outbox set aggregatetype = 'blocked' where position in (4, 6)`);
  const remove = async (position: number, gaps: string, ahead: object | null = null) => {
    await recordPublished(position, gaps, ahead);
    await relay.removeOld(0, new Cursor(9, []), 0, 100);
    const left = await sandbox.database.sql<{ position: number }>(
      'select position::int from sandbox.outbox order by 1',
    );
    return left.map((row) => row.position);
  };
  const ahead = { position: 8, gaps: '{[7,8)}', waiting: { blocked: { from: 4, messages: 2 } } };

  expect(await remove(0, '{}')).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(await remove(1, '{}')).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
  expect(await remove(3, '{}', { at: 2, ...ahead })).toEqual([4, 5, 6, 7, 8, 9]);
  expect(await remove(3, '{}', { at: 3, ...ahead })).toEqual([4, 6, 7, 8, 9]);
  expect(await remove(8, '{[5,6),[7,8)}')).toEqual([6, 7, 8, 9]);
  await sandbox.database.sql('delete from sandbox.relay_lease');
  expect(await remove(9, '{}')).toEqual([6, 7, 8, 9]);
  await poll.close();
});

it('removes no message before the least retention has passed, whatever the relay is configured to', async () => {
  const { poll, relay } = await connectStores(sandbox.options);
  for (const statement of messagingRetention('sandbox', { outboxMs: 60_000 })) await sandbox.database.sql(statement);
  await sandbox.database.sql(messages(2));
  await sandbox.database.sql(`update sandbox.outbox set created_at = now() - interval '61 s' where position = 1`);
  await recordPublished(2);

  const removals = [
    await relay.removeOld(0, new Cursor(2, []), 0, 100),
    await relay.removeOld(1, new Cursor(2, []), -1e9, 1),
  ];

  expect(removals).toEqual([
    { count: 1, upTo: 1, more: false },
    { count: 0, upTo: 1, more: false },
  ]);
  await poll.close();
});

const OFTEN: LeaseTiming = { leaseMs: 4000, renewEveryMs: 50 };

describe('P7', () => {
  const HOLDER = '11111111-1111-4111-8111-111111111111';
  /** What identifies the relay's statements. */
  const READ = 'row_number() over w';
  const POLL = 'with lease';

  /** Records the relay's last statement of each kind. */
  function watchStatements(): Map<string, { text: string; values: unknown[] }> {
    const last = new Map<string, { text: string; values: unknown[] }>();
    const query = Reflect.get(pg.Client.prototype, 'query') as (...args: unknown[]) => unknown;
    jest.spyOn(pg.Client.prototype, 'query').mockImplementation(function (this: pg.Client, ...args: unknown[]) {
      const [statement, values] = args as [string | { text: string; values: unknown[] }, unknown[]];
      const { text, ...rest } = typeof statement === 'string' ? { text: statement, values } : statement;
      for (const kind of [READ, POLL]) if (text?.includes(kind)) last.set(kind, { text, values: rest.values });
      return query.apply(this, args) as never;
    });
    return last;
  }

  /** Counts the pages that a statement touches, cached or not. Its effects are rolled back. */
  async function pages({ text, values }: { text: string; values: unknown[] }): Promise<number> {
    const session = await open('begin', messages(1000));
    const [row] = await session.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>(
      `explain (analyze, buffers, format json) ${text}`,
      values,
    );
    await session.run('rollback');
    await session.end();
    const { Plan: plan } = row!['QUERY PLAN'][0];
    return plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!;
  }

  const bytes = async (relation: string) => {
    const [row] = await sandbox.database.sql<{ bytes: number }>(
      `select pg_total_relation_size('sandbox.${relation}')::int as bytes`,
    );
    return row!.bytes;
  };

  /** Publishes messages and waits until the relay has read past them. */
  async function publish(relay: RelayProcess, count: number): Promise<void> {
    await sandbox.database.sql(messages(count));
    relay.wake();
    await sandbox.drained();
  }

  it('publishing costs the same with 50,000 published messages kept as at first', async () => {
    const sent = watchStatements();
    const relay = sandbox.newRelay(undefined, OFTEN);
    relay.start();
    const costsNow = async () => {
      // Autovacuum does this within a minute. Without statistics a small table is read completely.
      await sandbox.database.sql('analyze sandbox.outbox');
      sent.clear();
      await until('it reads and polls from where it stands', () => {
        relay.wake();
        return sent.has(READ) && sent.has(POLL);
      });
      return { read: await pages(sent.get(READ)!), poll: await pages(sent.get(POLL)!) };
    };
    await publish(relay, 1000);
    const first = await costsNow();

    for (let n = 1; n <= 5; n++) await publish(relay, 10_000);

    const { read, poll } = await costsNow();
    expect(read).toBeLessThan(2 * first.read);
    // The index has grown and may cost a few more pages; the log has a thousand.
    expect(poll).toBeLessThan(first.poll + 50);
    // Kept rows are never modified, so publishing them leaves no dead rows.
    const statistics = await until('the statistics know of them', async () => {
      const [row] = await sandbox.database.sql<{ written: number; touched: number }>(
        `select n_tup_ins::int as written, (n_tup_upd + n_tup_del)::int as touched
           from pg_stat_user_tables where relname = 'outbox'`,
      );
      return row && row.written >= 51_000 && row;
    });
    expect(statistics.touched).toBe(0);
    await until('all are on the topic', () => sandbox.topic.records.length >= 51_000);
  });

  it('the tables are no larger after 50,000 messages than after 20,000 if messages are not kept', async () => {
    const relay = sandbox.newRelay(undefined, OFTEN, { outboxRetentionMs: 0 });
    relay.start();
    const sizes: number[] = [];

    for (let n = 1; n <= 5; n++) {
      await publish(relay, 10_000);
      await until('they are removed', async () => {
        const [row] = await sandbox.database.sql<{ count: number }>('select count(*)::int from sandbox.outbox');
        return row!.count === 0;
      });
      // Autovacuum would do this later.
      await sandbox.database.sql('vacuum sandbox.outbox');
      sizes.push((await bytes('outbox')) + (await bytes('relay_lease')));
    }

    expect(sizes.at(-1)).toBeLessThanOrEqual(1.2 * sizes[1]!);
  });

  it('old messages are looked for once a second, however often new ones arrive', async () => {
    const looks = jest.spyOn(RelayStore.prototype, 'removeOld');
    const polls = jest.spyOn(PollStore.prototype, 'holdLease');
    const relay = sandbox.newRelay(undefined, undefined, { outboxRetentionMs: 0 });
    const outbox = sandbox.outboxOf(relay);
    relay.start();
    await until('it leads', () => relay.leads);
    const from = performance.now();

    let n = 0;
    await until('it has looked several times', async () => {
      await sandbox.add(outbox, 'a', ++n);
      return looks.mock.calls.length >= 4;
    });

    const seconds = (performance.now() - from) / 1000;
    expect(looks.mock.calls.length).toBeLessThanOrEqual(seconds + 2);
    // One renewal before each removal, one a second, and one more where the two coincide.
    expect(polls.mock.calls.length).toBeLessThanOrEqual(3 * (seconds + 2));
    await until('what is published is removed', async () => {
      const left = await sandbox.database.sql('select from sandbox.outbox');
      return left.length === 0;
    });
  });

  it('no old message is left behind even if an earlier one in the log was younger', async () => {
    const { poll, relay } = await connectStores(sandbox.options);
    await sandbox.database.sql(messages(6));
    // The server's clock was set back after the writer of message 2 had drawn its position.
    await sandbox.database.sql(`update sandbox.outbox set created_at = now() - interval '1 hour' where position <> 2`);
    await recordPublished(6);
    const remove = (after: number, limit: number) => relay.removeOld(after, new Cursor(6, []), 60_000, limit);

    const removals = [await remove(0, 1), await remove(1, 4), await remove(1, 100)];
    await sandbox.database.sql(`update sandbox.outbox set created_at = now() - interval '1 hour'`);
    removals.push(await remove(1, 100), await remove(2, 100));

    expect(removals).toEqual([
      { count: 1, upTo: 1, more: true },
      { count: 3, upTo: 1, more: false },
      { count: 1, upTo: 1, more: false },
      { count: 1, upTo: 6, more: false },
      { count: 0, upTo: 6, more: false },
    ]);
    expect(await sandbox.database.sql('select from sandbox.outbox')).toEqual([]);
    await poll.close();
  });

  it('old messages are found soon, however many were removed before them', async () => {
    const looks = jest.spyOn(RelayStore.prototype, 'removeOld');
    await sandbox.database.sql('alter table sandbox.outbox alter column position restart with 10000000');
    await sandbox.database.sql(messages(1));

    sandbox.newRelay(undefined, undefined, { outboxRetentionMs: 0 }).start();

    await until('it is removed', async () => (await sandbox.database.sql('select from sandbox.outbox')).length === 0);
    // Each scan covers few enough positions to be quick, although all of them are dead and still in the index.
    expect(looks.mock.calls.length).toBeGreaterThan(40);
  });

  it('renewing a lease forever does not take more space', async () => {
    const { poll } = await connectStores(sandbox.options);
    const renew = async (times: number) => {
      for (let n = 1; n <= times; n++)
        await poll.holdLease(HOLDER, 60_000, new Cursor(n + 2, [{ from: n, to: n + 1 }]));
    };
    // 300 rows that are not removed fill five pages. A concurrent snapshot may keep some of them.
    await until('more renewals take no more room', async () => {
      const before = await bytes('relay_lease');
      await renew(300);
      return (await bytes('relay_lease')) === before;
    });
    await poll.close();
  });
});

it('P8 reconnects by itself whenever its session is terminated', async () => {
  // Behind a pooler the relay does not have a session of its own.
  const relay = sandbox.newRelay(undefined, undefined, { databaseUrl: sandbox.database.directUrl });
  const outbox = sandbox.outboxOf(relay);
  relay.start();
  const keys = ['a', 'b', 'c'];

  for (let round = 0; round < 4; round++) {
    for (let n = 1; n <= 10; n++) await Promise.all(keys.map((key) => sandbox.add(outbox, key, round * 10 + n)));
    await until('its session is ended', async () => {
      const ended = await sandbox.database.sql(
        `select pg_terminate_backend(pid) from pg_stat_activity
          where application_name = $1 and datname = current_database()`,
        [`${sandbox.options.service} relay`],
      );
      return ended.length > 0;
    });
  }

  await sandbox.drained();
  for (const key of keys) await until('all are published', () => new Set(counts(sandbox.topic, key)).size === 40);
  expect(inversions(sandbox.topic)).toEqual([]);
  await until('it is healthy', () => relay.health().healthy);
});

it('P8 keeps its connection when the server rejects a notification', async () => {
  const connects = jest.spyOn(PollStore, 'connect');
  const notices = jest.spyOn(PollStore.prototype, 'notify');
  const polls = jest.spyOn(PollStore.prototype, 'holdLease');
  const writer = sandbox.newRelay(undefined, OFTEN, { databaseUrl: roleUrl(sandbox.database), relay: false });
  writer.start();
  await until('it polls', () => writer.health()['role'] === 'elsewhere');
  await sandbox.database.sql('revoke execute on function pg_notify from public');

  await sandbox.add(sandbox.outboxOf(writer), 'a', 1);
  await until('it has announced it', () => notices.mock.calls.length > 0);
  await expect(notices.mock.results[0]!.value).rejects.toThrow('permission denied for function pg_notify');

  const before = polls.mock.calls.length;
  await until('it polls as before', () => polls.mock.calls.length > before + 3);
  expect(connects).toHaveBeenCalledTimes(1);
});

describe('P8 backs off', () => {
  /** Collects the attempt numbers from the log in order. */
  function watchAttempts(): () => number[] {
    Logger.overrideLogger(['warn']);
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    return () => warn.mock.calls.flatMap(([text]) => Number(/\(attempt (\d+)\)/.exec(String(text))?.[1] ?? []));
  }

  it('from the beginning after a connection that lasted, even if it never leads', async () => {
    const attempts = watchAttempts();
    const polls = jest.spyOn(PollStore.prototype, 'holdLease');
    const standby = sandbox.newRelay(undefined, OFTEN, { databaseUrl: sandbox.database.directUrl, relay: false });
    standby.start();

    for (let lost = 1; lost <= 3; lost++) {
      const before = polls.mock.calls.length;
      await until('the connection has lasted', () => polls.mock.calls.length > before + 3);
      await sandbox.database.sql(
        `select pg_terminate_backend(pid) from pg_stat_activity
          where application_name = $1 and datname = current_database()`,
        [`${sandbox.options.service} relay`],
      );
      await until('it has noticed', () => attempts().length === lost);
    }

    expect(attempts()).toEqual([1, 1, 1]);
  });

  it('more and more while Kafka is unavailable, even if its connection to PostgreSQL lasts', async () => {
    const attempts = watchAttempts();
    const relay = sandbox.newRelay(() => Promise.reject(new Error('Kafka is away')), OFTEN);
    await sandbox.add(sandbox.outboxOf(relay), 'a', 1);

    relay.start();

    await until('it has tried several times', () => attempts().length >= 4);
    expect(attempts().slice(0, 4)).toEqual([1, 2, 3, 4]);
  });
});

it('P9 is unhealthy for as long as PostgreSQL does not answer', async () => {
  const relay = sandbox.newRelay();
  relay.start();
  await until('it leads', () => relay.leads);
  const blocker = await open('begin', 'lock table sandbox.relay_lease in access exclusive mode');
  await sandbox.add(sandbox.outboxOf(relay), 'a', 1);

  await until('it is unhealthy', () => !relay.health().healthy, 7000);
  const reports: ComponentHealth[] = [];
  await until('it has connected again, in vain', () => {
    reports.push(relay.health());
    return reports.some(({ role }) => role === 'disconnected') && reports.at(-1)?.['role'] === 'standby';
  });

  for (const report of reports)
    expect(report).toMatchObject({
      healthy: false,
      problem: expect.stringContaining('PostgreSQL has not answered for'),
    });
  await blocker.run('rollback');
  await blocker.end();
  await until('it is healthy again', () => relay.health().healthy);
  await sandbox.drained();
});
