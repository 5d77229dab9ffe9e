import { connect, createServer, type Server } from 'node:net';
import pg from 'pg';
import { type DeadLetter } from '../dead-letters/dead-letter.js';
import { roleSettings, SessionClient, withoutRefusal } from './session-client.js';
import { counts, createSandbox, type Sandbox } from '../../test/sandbox.js';
import { createDatabase, type TestDatabase, testServerUrl } from '../testing/database.js';
import { HOSTILE_SETTINGS, setForDatabase, setForRole } from '../testing/hostile-settings.js';
import { until } from '../testing/until.js';

const isPooled = process.env['TEST_DIRECT_DATABASE_URL'] !== process.env['TEST_DATABASE_URL'];

/**
 * Gives a database and its role unexpected settings. Behind a pooler the role has the settings from the migrations, because a
 * connection cannot send most of them there.
 */
async function makeHostile(database: TestDatabase): Promise<void> {
  await setForDatabase(database, HOSTILE_SETTINGS);
  await setForRole(database, 'postgres', isPooled ? roleSettings({}) : HOSTILE_SETTINGS);
}

describe('a session', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase(testServerUrl());
    await makeHostile(database);
  });
  afterAll(() => database.drop());

  const settingsOf = async (connectionString: string, settings = {}) =>
    withoutRefusal(async () => {
      const client = new SessionClient({ connectionString, settings });
      await client.connect();
      const { rows } = await client.query<{ name: string; setting: string }>('select name, setting from pg_settings');
      await client.end();
      return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]));
    });
  const expected = {
    ...Object.fromEntries(Object.entries(roleSettings({})).map(([name, value]) => [name, String(value)])),
    search_path: expect.stringMatching(/^"\$user", ?public$/),
  };

  it('has the settings that the code depends on, whatever the role and the database have set', async () => {
    expect(await settingsOf(database.url)).toMatchObject(expected);
  });

  it('reads times correctly', async () => {
    const at = new Date('2026-02-03T04:05:06.789Z');

    const [row] = await database.sql<{ at: Date }>('select $1::timestamptz as at', [at]);

    expect(row).toEqual({ at });
  });

  it('has the settings even if options in the URL differ', async () => {
    const url = new URL(database.directUrl);
    url.searchParams.set('options', '-c default_transaction_read_only=on -c DateStyle=German -c work_mem=8MB');

    expect(await settingsOf(url.href)).toMatchObject({ ...expected, work_mem: '8192' });
  });

  it('has its own settings, with any characters in their values', async () => {
    const settings = await settingsOf(database.directUrl, { search_path: '"a b", c\\d', statement_timeout: 1234 });

    expect(settings).toMatchObject({ search_path: '"a b", c\\d', statement_timeout: '1234', lock_timeout: '0' });
  });
});

/** Opens a proxy to the server that rejects start-up messages with `transaction_timeout`, as servers before PostgreSQL 17 do. */
async function anOlderServer(serverUrl: string): Promise<{ url: string; refused: () => number; server: Server }> {
  const to = new URL(serverUrl);
  let refused = 0;
  const server = createServer((client) => {
    client.on('error', () => undefined);
    client.once('data', (startUp) => {
      if (startUp.includes('transaction_timeout')) {
        refused++;
        const fields = 'SFATAL\0VFATAL\0C42704\0Munrecognized configuration parameter "transaction_timeout"\0\0';
        const head = Buffer.alloc(5, 'E');
        head.writeInt32BE(4 + fields.length, 1);
        client.end(Buffer.concat([head, Buffer.from(fields)]));
        return;
      }
      const upstream = connect(Number(to.port), to.hostname).on('error', () => undefined);
      upstream.write(startUp);
      client.pipe(upstream).pipe(client);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(serverUrl);
  url.port = String((server.address() as { port: number }).port);
  return { url: url.href, refused: () => refused, server };
}

it('a session with a server before PostgreSQL 17 has all settings that the server supports, after one rejection', async () => {
  const { url, refused, server } = await anOlderServer(process.env['TEST_DIRECT_DATABASE_URL'] ?? testServerUrl());
  const statementTimeout = () =>
    withoutRefusal(async () => {
      const client = new SessionClient({ connectionString: url, settings: { statement_timeout: 1234 } });
      await client.connect();
      const { rows } = await client.query<{ setting: string }>(
        `select current_setting('statement_timeout') as setting`,
      );
      await client.end();
      return rows;
    });

  const sessions = [await statementTimeout(), await statementTimeout()];

  expect(sessions).toEqual([[{ setting: '1234ms' }], [{ setting: '1234ms' }]]);
  expect(refused()).toBe(1);
  await new Promise((resolve) => server.close(resolve));
});

describe('messaging', () => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    sandbox = await createSandbox();
    await makeHostile(sandbox.database);
  });
  afterAll(() => sandbox.close());

  it('P2 publishes with the correct times, whatever the role and the database have set', async () => {
    const relay = sandbox.newRelay();
    relay.start();
    const before = Date.now();

    await sandbox.add(sandbox.outboxOf(relay), 'a', 1);
    await sandbox.add(sandbox.outboxOf(relay), 'a', 2);
    await sandbox.drained();
    await until('both are published', () => counts(sandbox.topic, 'a').length === 2);

    const [record] = sandbox.topic.ofKey('a');
    expect(Math.abs((record?.timestamp.getTime() ?? 0) - before)).toBeLessThan(60_000);
  });

  it('P5 shows when a dead letter died, whatever the role and the database have set', async () => {
    await sandbox.database.sql(
      `insert into sandbox.outbox_parked
         (position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at, error, dead_at)
       values (-1, gen_random_uuid(), 'counter', 'b', 'Counted', 'urn:event:Counted:1', 1, '{}', '2026-02-03T04:05:06Z', 'no',
               '2026-02-03T04:05:06.789Z')`,
    );

    const { items } = await sandbox.deadLetters.list({ box: 'outbox' });

    const [letter] = items as [DeadLetter];
    expect(letter.diedAt).toEqual(new Date('2026-02-03T04:05:06.789Z'));
  });
});

it('a client whose settings were not rejected reports what is wrong with the server', async () => {
  const url = new URL(testServerUrl());
  url.pathname = '/no_such_database';

  await expect(
    withoutRefusal(async () => new SessionClient({ connectionString: url.href }).connect()),
  ).rejects.toBeInstanceOf(pg.DatabaseError);
});
