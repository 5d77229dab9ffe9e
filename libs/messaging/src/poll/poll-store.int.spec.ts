import { jest } from '@jest/globals';
import { Cursor } from '../log/cursor.js';
import { PollStore } from './poll-store.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';

const [MINE, OTHERS] = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'];

let sandbox: Sandbox;
let store: PollStore;

beforeEach(async () => {
  sandbox = await createSandbox();
  store = await PollStore.connect(
    sandbox.options,
    () => undefined,
    () => undefined,
  );
});

afterEach(async () => {
  await store.close();
  await sandbox.close();
});

describe('the lease row', () => {
  it('P3 belongs to one holder until it expires', async () => {
    const mine = await store.holdLease(MINE, 60_000);
    const others = await store.holdLease(OTHERS, 60_000);

    expect(mine.token).toBeDefined();
    expect(others.token).toBeUndefined();
  });

  it('keeps its token while its holder renews it, and has a higher token for the next holder', async () => {
    const first = await store.holdLease(MINE, 60_000);
    const renewed = await store.holdLease(MINE, 0);
    const next = await store.holdLease(OTHERS, 60_000);

    expect(renewed.token).toBe(first.token);
    expect(Number(next.token)).toBe(Number(first.token) + 1);
  });

  it('is free once its holder has released it, but not if another process releases it', async () => {
    await store.holdLease(MINE, 60_000);
    await store.releaseLease(OTHERS);
    expect((await store.holdLease(OTHERS, 60_000)).token).toBeUndefined();

    await store.releaseLease(MINE);

    expect((await store.holdLease(OTHERS, 60_000)).token).toBeDefined();
  });

  it('reports with every renewal whether messages wait, and the recorded progress', async () => {
    expect(await store.holdLease(MINE, 60_000)).toMatchObject({ pending: false, progress: Cursor.START });
    await sandbox.add(sandbox.outboxOf(sandbox.newRelay()), 'a', 1);
    expect(await store.holdLease(MINE, 60_000)).toMatchObject({ pending: true });

    await sandbox.database.sql(`select setval('sandbox.outbox_position_seq', 9)`);
    const progress = new Cursor(9, [{ from: 3, to: 5 }]);
    expect(await store.holdLease(MINE, 60_000, progress)).toMatchObject({ pending: false, progress });
  });

  it('P2 does not accept progress from a holder that has been succeeded by another', async () => {
    await store.holdLease(MINE, 0);
    await store.holdLease(OTHERS, 0, undefined);

    const { progress } = await store.holdLease(MINE, 60_000, new Cursor(9, []));

    expect(progress).toEqual(Cursor.START);
  });
});

describe('P2 the lease row accepts no progress', () => {
  const progress = new Cursor(9, []);
  const position = async () => {
    const [row] = await sandbox.database.sql<{ position: number }>('select position::int from sandbox.relay_lease');
    return row?.position;
  };

  it('beyond the sequence, neither while the lease is held nor when it is released', async () => {
    const { token, log } = await store.holdLease(MINE, 60_000);
    const known = { token: token!, log: log!, position: 0, progress: Cursor.START };

    await store.holdLease(MINE, 60_000, progress, known);
    await store.releaseLease(MINE, progress, known);

    expect(await position()).toBe(0);
  });

  it('from a holder that knows a different log, token or position', async () => {
    await sandbox.database.sql(`select setval('sandbox.outbox_position_seq', 9)`);
    const { token, log } = await store.holdLease(MINE, 60_000);
    const known = { token: token!, log: log!, position: 0, progress: Cursor.START };

    for (const other of [{ token: '99' }, { position: 5 }, { log: { ...log!, location: 'another server' } }]) {
      await store.holdLease(MINE, 60_000, progress, { ...known, ...other });
      await store.releaseLease(MINE, progress, { ...known, ...other });
    }
    expect(await position()).toBe(0);

    await store.holdLease(MINE, 60_000, progress, known);
    expect(await position()).toBe(9);
  });
});

describe('P8 a lease that became too long when the clock was stepped back', () => {
  const remainingMs = async () => {
    const [row] = await sandbox.database.sql<{ ms: number }>(
      'select extract(epoch from expires_at - clock_timestamp())::float8 * 1000 as ms from sandbox.relay_lease',
    );
    return row!.ms;
  };

  it('is shortened to the length of a lease by another relay, which does not take it at once', async () => {
    await store.holdLease(OTHERS, 4000);
    await sandbox.database.sql(`update sandbox.relay_lease set expires_at = expires_at + interval '2 hours'`);

    const { token } = await store.holdLease(MINE, 4000);

    expect(token).toBeUndefined();
    expect(await remainingMs()).toBeGreaterThan(2000);
    expect(await remainingMs()).toBeLessThanOrEqual(4000);
  });

  it('is left alone when an operator holds it forever', async () => {
    await store.holdLease(OTHERS, 4000);
    await sandbox.database.sql(`update sandbox.relay_lease set expires_at = 'infinity'`);

    await store.holdLease(MINE, 4000);

    expect(await sandbox.database.sql(`select from sandbox.relay_lease where expires_at = 'infinity'`)).toHaveLength(1);
  });
});

it('P9 reports how far the clock of the database is ahead, beyond what the round trip explains', async () => {
  expect((await store.holdLease(MINE, 4000)).clockAheadMs).toBe(0);
  const now = Date.now.bind(Date);
  const hour = 3_600_000;
  const clock = jest.spyOn(Date, 'now').mockImplementation(() => now() - hour);
  const behind = await store.holdLease(MINE, 4000);
  clock.mockImplementation(() => now() + hour);
  const ahead = await store.holdLease(MINE, 4000);
  clock.mockRestore();

  expect(behind.clockAheadMs).toBeGreaterThan(hour - 5000);
  expect(ahead.clockAheadMs).toBeLessThan(5000 - hour);
});
