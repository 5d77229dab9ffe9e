import pg from 'pg';
import {
  linkWithOldGreeting,
  type ReplicatedPostgres,
  startReplicatedPostgres,
} from '../../test/replicated-postgres.js';
import { databaseErrorOf } from './database-errors.js';
import { SessionClient, type SessionClientConfig } from './session-client.js';

let servers: ReplicatedPostgres;

beforeAll(async () => {
  servers = await startReplicatedPostgres((url) =>
    connectedTo(url, (client) =>
      client.query('create table notes (id int generated always as identity); create unlogged table hints (id int)'),
    ),
  );
});
afterAll(() => servers.remove());

async function connectedTo<T>(
  connectionString: string,
  work: (client: pg.Client) => Promise<T>,
  config: SessionClientConfig = {},
): Promise<T> {
  const client = new SessionClient({ connectionString, ...config });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const REFUSED = { code: '25006', message: expect.stringContaining('is a standby and refuses changes') };

it('P8 a client refuses a standby, whose answers may be out of date, and the refusal counts as an unavailable database', async () => {
  const error: unknown = await connectedTo(servers.standby.url, () => Promise.resolve()).catch(
    (thrown: unknown) => thrown,
  );

  expect(error).toMatchObject(REFUSED);
  expect(databaseErrorOf(error)).toBe('unavailable');
});

it('P8 a pool whose address leads to a standby fails until it leads to a primary', async () => {
  servers.leadTo(servers.standby);
  const pool = new pg.Pool({ connectionString: servers.url, Client: SessionClient });
  await expect(pool.query('select 1')).rejects.toMatchObject(REFUSED);
  await expect(pool.query('select 1')).rejects.toMatchObject(REFUSED);

  servers.leadTo(servers.primary);

  expect((await pool.query('select pg_is_in_recovery() as standby')).rows).toEqual([{ standby: false }]);
  expect(pool.totalCount).toBe(1);
  await pool.end();
});

it('a client that accepts a standby reads from it', async () => {
  const read = (client: pg.Client) => client.query('select pg_is_in_recovery() as standby');

  const { rows } = await connectedTo(servers.standby.url, read, { acceptStandby: true });

  expect(rows).toEqual([{ standby: true }]);
});

it('a client believes the server, not a pooler that repeats what was true before a fail-over', async () => {
  const link = await linkWithOldGreeting(servers.primary);
  const claims: string[] = [];
  const client = new SessionClient({ connectionString: link.url });
  (client as unknown as { connection: NodeJS.EventEmitter }).connection.on('parameterStatus', (status) => {
    if (status.parameterName === 'in_hot_standby') claims.push(status.parameterValue);
  });

  await client.connect();

  expect(claims).toEqual(['on']);
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  await client.end();
  await link.close();
});

it.each([
  'listen channel',
  `select pg_notify('channel', '')`,
  'insert into notes default values',
  'select from notes for update',
  `select nextval('notes_id_seq')`,
  'begin; lock table notes',
  'begin read write',
  'begin isolation level serializable; select 1',
  'select pg_current_xact_id()',
  'select pg_current_wal_lsn()',
  'select from hints',
  'create temporary table more (id int)',
  'truncate notes',
])('P5 what a standby refuses is not the fault of a message: %s', async (statement) => {
  const refused = connectedTo(servers.standby.url, (client) => client.query(statement), { acceptStandby: true });

  const error: unknown = await refused.catch((thrown: unknown) => thrown);

  expect(databaseErrorOf(error)).toBe('unavailable');
});
