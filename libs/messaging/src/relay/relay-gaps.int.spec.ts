import { jest } from '@jest/globals';
import pg from 'pg';
import { Cursor } from '../log/cursor.js';
import { PollStore } from '../poll/poll-store.js';
import { RelayStore, WriterEnded } from './relay-store.js';
import { type Outbox } from '../outbox/outbox.js';
import { MessagingMetrics } from '../metrics/metrics.js';
import {
  connectStores,
  counts,
  createSandbox,
  inversions,
  type RelayProcess,
  type Sandbox,
} from '../../test/sandbox.js';
import { until } from '../testing/until.js';

const SPANS = 5000;

let sandbox: Sandbox;
let relay: RelayProcess;
let outbox: Outbox;
const sessions: pg.Client[] = [];

beforeEach(async () => {
  sandbox = await createSandbox();
  // As a role that may see what the other sessions do.
  relay = sandbox.newRelay(undefined, undefined, { databaseUrl: sandbox.database.url });
  outbox = sandbox.outboxOf(relay);
});

afterEach(async () => {
  jest.restoreAllMocks();
  await Promise.all(sessions.splice(0).map((session) => session.end()));
  await sandbox.close();
});

const message = (key: string, n: number) => `
  insert into sandbox.outbox (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
  values (gen_random_uuid(), 'counter', '${key}', 'Counted', 'urn:event:Counted:1', ${n}, '{"n":${n}}')`;

/** Opens a transaction, writes a message in it and leaves it open. */
async function slowWriter(key: string, n: number, name = 'slow-writer'): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: sandbox.database.directUrl, application_name: name });
  sessions.push(client);
  await client.connect();
  await client.query('begin');
  await client.query(message(key, n));
  return client;
}

/** Leaves gaps like many rollbacks do, with every other position missing. */
const leaveGaps = () =>
  sandbox.database.sql(`
    insert into sandbox.outbox (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
    select gen_random_uuid(), 'counter', 'quick', 'Counted', 'urn:event:Counted:1', n, '{"n":' || n || '}'
      from generate_series(1, ${SPANS}) as n where nextval('sandbox.outbox_position_seq') > 0`);

const row = async () => {
  const [lease] = await sandbox.database.sql<{ spans: number; whole: boolean; version: string }>(
    `select (select count(*)::int from unnest(gaps)) as spans, gaps::text as version,
            position = (select max(position) from sandbox.outbox) as whole from sandbox.relay_lease`,
  );
  return lease!;
};

async function gapsBehindSlowWriter(): Promise<pg.Client> {
  relay.start();
  await until('it leads', () => relay.leads);
  const slow = await slowWriter('slow', 1);
  await leaveGaps();
  await until('all others are published', () => sandbox.topic.records.length >= SPANS, 30_000);
  await until('the gaps are recorded', async () => (await row()).whole, 10_000);
  return slow;
}

it('P7 gaps beside a slow writer are read when it ends, and cost nothing until then', async () => {
  const slow = await gapsBehindSlowWriter();
  await until('the transactions that may fill them are known', () => relay.gaps?.spans === SPANS);
  const reads = jest.spyOn(RelayStore.prototype, 'read');
  const polls = jest.spyOn(PollStore.prototype, 'holdLease');
  const before = (await row()).version;

  for (let n = 1; n <= 100; n++) await sandbox.add(outbox, 'next', n);
  await until('they are published', () => counts(sandbox.topic, 'next').length === 100);
  await until('it has polled', () => polls.mock.calls.length >= 3);

  const gapsRead = reads.mock.calls.map(([cursor, , , , options]) => (options?.gaps ?? cursor.gaps).length);
  expect(Math.max(...gapsRead)).toBeLessThan(300);
  // Gaps are written only when they change, and merged to a few, so a successor publishes some messages again.
  expect((await row()).spans).toBeLessThanOrEqual(1000);
  expect((await row()).version).toBe(before);

  await slow.query('commit');
  await until('the late one is published', () => counts(sandbox.topic, 'slow').length === 1);
  await until('no gap is left', async () => (await row()).spans === 0, 10_000);
  await sandbox.drained();
  expect(sandbox.topic.records).toHaveLength(SPANS + 101);
});

it('P9 health and metrics show how many gaps there are and which transaction keeps them open', async () => {
  const slow = await gapsBehindSlowWriter();
  const { rows } = await slow.query<{ pid: number }>('select pg_backend_pid() as pid');

  await until('all are known', () => relay.gaps?.spans === SPANS);
  const { gaps } = relay.health() as { gaps?: unknown };

  expect(gaps).toMatchObject({
    // The first gap adjoins the position of the slow writer.
    spans: SPANS,
    positions: SPANS + 1,
    writer: { pid: rows[0]!.pid, application: 'slow-writer', seconds: expect.any(Number) },
  });
  const metrics = new MessagingMetrics(sandbox.options, () => sandbox.dataSource);
  metrics.watchRelay(relay);
  const text = await metrics.registry.metrics();
  expect(text).toMatch(new RegExp(`^messaging_relay_gaps ${SPANS}$`, 'm'));
  expect(text).toMatch(new RegExp(`^messaging_relay_gap_positions ${SPANS + 1}$`, 'm'));
  expect(text).toMatch(/^messaging_relay_oldest_gap_age_seconds [\d.]+$/m);
  expect(text).toMatch(
    /^messaging_relay_gap_writer_age_seconds\{[^}]*\} [\d.]+$|^messaging_relay_gap_writer_age_seconds [\d.]+$/m,
  );
  await slow.query('rollback');
  await until('they are gone', () => relay.gaps === undefined);
});

it('P2 P3 a message in a gap that reads leave out is published before a later one of its key', async () => {
  const ROUNDS = 15;
  relay.start();
  await until('it leads', () => relay.leads);
  const long = await slowWriter('long', 1);
  const writers = await Promise.all(Array.from({ length: ROUNDS }, (_, n) => slowWriter(`key-${n}`, 1)));
  await leaveGaps();
  await until('reads leave out the gaps', () => relay.gaps !== undefined, 30_000);

  for (const [n, writer] of writers.entries()) {
    await Promise.all([
      sandbox.add(outbox, 'noise', n),
      writer.query('commit').then(() => sandbox.add(outbox, `key-${n}`, 2)),
      sandbox.add(outbox, 'more', n),
    ]);
  }
  await until('all are published', () =>
    writers.every((_, n) => new Set(counts(sandbox.topic, `key-${n}`)).size === 2),
  );
  await long.query('commit');

  await until('the longest is published', () => counts(sandbox.topic, 'long').length === 1);
  await sandbox.drained();
  expect(inversions(sandbox.topic)).toEqual([]);
});

it('P2 the successor of a relay that is killed beside many gaps loses none of them', async () => {
  const slow = await gapsBehindSlowWriter();
  // As if it had been killed, the progress that it releases is not recorded.
  jest.spyOn(PollStore.prototype, 'releaseLease').mockResolvedValue();
  await relay.stop();
  await sandbox.database.sql(`update sandbox.relay_lease set expires_at = '-infinity'`);
  sandbox.newRelay().start();
  await slow.query('commit');

  await until('the late one is published', () => counts(sandbox.topic, 'slow').length === 1, 10_000);
  await sandbox.drained();
  expect(inversions(sandbox.topic)).toEqual([]);
});

it('P3 a read that leaves out gaps is rejected once one of their writers has ended', async () => {
  const slow = await slowWriter('a', 1);
  await sandbox.add(outbox, 'b', 1);
  const { poll, relay: store } = await connectStores(sandbox.options);
  const unlessEnded = await store.openWriters();
  const read = (cursor: Cursor) => store.read(cursor, 10, 1_000_000, false, { gaps: [], unlessEnded });

  expect(await read(new Cursor(1, []))).toMatchObject([{ position: '2' }]);
  expect(await read(new Cursor(2, []))).toEqual([]);
  await slow.query('commit');

  await expect(read(new Cursor(1, []))).rejects.toThrow(WriterEnded);
  await expect(read(new Cursor(2, []))).rejects.toThrow(WriterEnded);
  await poll.close();
});
