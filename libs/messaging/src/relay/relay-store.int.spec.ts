import { Cursor } from '../log/cursor.js';
import { type PollStore } from '../poll/poll-store.js';
import { connectStores, createSandbox, type Sandbox } from '../../test/sandbox.js';
import { type RelayStore } from './relay-store.js';

const MINE = '11111111-1111-4111-8111-111111111111';

let sandbox: Sandbox;
let poll: PollStore;
let store: RelayStore;

beforeEach(async () => {
  sandbox = await createSandbox();
  ({ poll, relay: store } = await connectStores(sandbox.options));
});

afterEach(async () => {
  await poll.close();
  await sandbox.close();
});

it('P3 reads in the order of the positions, wherever the rows are stored', async () => {
  for (const position of [3, 1, 2]) {
    await sandbox.database.sql(
      `insert into sandbox.outbox (position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
       overriding system value
       values ($1, gen_random_uuid(), 'counter', 'a', 'Counted', 'urn:event:Counted:1', 1, '{}')`,
      [position],
    );
  }

  const rows = await store.read(Cursor.START, 2, 1_000_000);

  expect(rows.map(({ position }) => position)).toEqual(['1', '2']);
});

it('P3 reads late messages before newer ones, in one read', async () => {
  const outbox = sandbox.outboxOf(sandbox.newRelay());
  for (let n = 1; n <= 6; n++) await sandbox.add(outbox, 'a', n);

  const rows = await store.read(new Cursor(4, [{ from: 2, to: 4 }]), 3, 1_000_000);

  expect(rows.map(({ position }) => position)).toEqual(['2', '3', '5']);
});

it('P6 finds the transactions that may fill a gap before they have an id', async () => {
  const writer = sandbox.dataSource.createQueryRunner();
  await writer.startTransaction();
  expect(await store.openWriters()).toEqual([]);

  // Locks as an insert does before its first row, without assigning a transaction id.
  await writer.query('lock table sandbox.outbox in row exclusive mode');

  expect(await store.openWriters()).toHaveLength(1);
  await writer.rollbackTransaction();
  await writer.release();
  expect(await store.openWriters()).toEqual([]);
});

it('P2 neither reads nor removes with a cursor that belongs to another log', async () => {
  const outbox = sandbox.outboxOf(sandbox.newRelay());
  for (let n = 1; n <= 3; n++) await sandbox.add(outbox, 'a', n);
  const { log } = await poll.holdLease(MINE, 60_000);
  const location = log?.location;

  expect(await store.read(Cursor.START, 10, 1_000_000, false, { location })).toHaveLength(3);
  expect(await store.read(new Cursor(4, []), 10, 1_000_000, false, { location })).toEqual([]);
  expect(await store.read(Cursor.START, 10, 1_000_000, false, { location: 'another server' })).toEqual([]);
  await sandbox.database.sql('update sandbox.relay_lease set position = 3');
  expect(await store.removeOld(0, new Cursor(3, []), 0, 10, 'another server')).toMatchObject({ count: 0 });
  expect(await store.removeOld(0, new Cursor(3, []), 0, 10, location)).toMatchObject({ count: 3 });
});
