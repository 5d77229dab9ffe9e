import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';
import { type SecurePostgres, startSecurePostgres } from '../../test/secure-servers.js';
import { MessagingModule } from '../messaging.module.js';
import { testServerUrl } from '../testing/database.js';
import { until } from '../testing/until.js';
import { Connection } from './connection.js';
import { databaseErrorOf } from './database-errors.js';
import { endClient, SessionClient, type SessionClientConfig } from './session-client.js';

let server: SecurePostgres;
let admin: pg.Client;

beforeAll(async () => {
  server = await startSecurePostgres();
  admin = new pg.Client({ connectionString: server.url });
  await admin.connect();
  await admin.query(`create role certified login`);
});
afterAll(async () => {
  await admin.end();
  await server.remove();
});

/** Connects, and returns whether the server sees TLS. */
async function connect(config: SessionClientConfig): Promise<boolean> {
  const client = new SessionClient(config);
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ ssl: boolean }>('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
    return rows[0]!.ssl;
  } finally {
    await endClient(client);
  }
}

/** The TLS of all sessions of a database, by their names. */
async function sessionsOf(sandbox: Sandbox): Promise<Map<string, boolean>> {
  const { rows } = await admin.query<{ name: string; ssl: boolean }>(
    `select application_name as name, ssl from pg_stat_activity join pg_stat_ssl using (pid) where datname = $1`,
    [new URL(sandbox.database.url).pathname.slice(1)],
  );
  return new Map(rows.map(({ name, ssl }) => [name, ssl]));
}

it('connects with TLS if the server proves its name', async () => {
  expect(await connect({ url: server.secured(server.url) })).toBe(true);
  expect(await connect({ connectionString: server.secured(server.url) })).toBe(true);
});

it('logs in with a client certificate instead of a password', async () => {
  const { certFile, keyFile } = await server.authority.issue({ name: 'certified' });
  const url = new URL(server.secured(server.url));
  url.username = 'certified';
  url.password = '';
  await expect(connect({ url: url.href })).rejects.toThrow('client certificate');

  url.searchParams.set('sslcert', certFile);
  url.searchParams.set('sslkey', keyFile);

  expect(await connect({ url: url.href })).toBe(true);
});

it('P8 a file that is missing at a new connection makes the database unavailable, until the file is back', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ca-'));
  const file = join(directory, 'ca.pem');
  copyFileSync(server.authority.caFile, file);
  const url = `${server.url}?sslmode=verify-full&sslrootcert=${file}`;
  // An error in the constructor of a client would end the process: the pool calls it where nothing catches an error.
  const pool = new pg.Pool({ Client: SessionClient, url, max: 1, idleTimeoutMillis: 1 } as pg.PoolConfig);
  const ssl = async () => (await pool.query<{ ssl: boolean }>('select ssl from pg_stat_ssl limit 1')).rows.length;
  expect(await ssl()).toBe(1);
  await until('the connection is closed', () => pool.totalCount === 0);

  rmSync(file);
  const error: unknown = await ssl().catch((caught: unknown) => caught);

  expect(String(error)).toContain(`sslrootcert=${file} cannot be read (ENOENT)`);
  expect(databaseErrorOf(error)).toBe('unavailable');
  copyFileSync(server.authority.caFile, file);
  expect(await ssl()).toBe(1);
  await pool.end();
  rmSync(directory, { recursive: true });
});

it('P10 a file with the URL that asks for TLS that only looks secure makes it unavailable too', async () => {
  const error: unknown = await connect({ url: () => `${server.url}?sslmode=require` }).catch(
    (caught: unknown) => caught,
  );

  expect(String(error)).toContain('sslmode=require');
  expect(databaseErrorOf(error)).toBe('unavailable');
  expect(() => new SessionClient({ url: `${server.url}?sslmode=require` })).toThrow('sslmode=require');
});

it.each([
  ['another host name', () => server.secured(server.url).replace('127.0.0.1', 'localhost'), 'does not match'],
  ['an unknown authority', () => `${server.url}?sslmode=verify-full`, 'certificate'],
  ['no TLS', () => `${testServerUrl()}?sslmode=verify-full`, 'does not support SSL'],
])('P10 does not connect to a server with %s, and takes it for unavailable', async (_, url, reason) => {
  const error: unknown = await connect({ url: url() }).catch((caught: unknown) => caught);

  expect(String(error)).toContain(reason);
  expect(databaseErrorOf(error, { anySocket: true })).toBe('unavailable');
});

it.each(['require', 'prefer', 'allow', 'no-verify', 'verify-ca'])('P10 refuses sslmode=%s', (mode) => {
  const url = `${server.url}?sslmode=${mode}`;

  expect(() => new SessionClient({ url })).toThrow(`sslmode=${mode}`);
  expect(() => new SessionClient({ connectionString: url })).toThrow(`sslmode=${mode}`);
  expect(() => new SessionClient({ url })).not.toThrow(new URL(url).password);
  const options = { schema: 'orders', databaseUrl: url, brokers: [], service: 'orders', publishes: [], consumes: [] };
  expect(() => MessagingModule.forRoot(options)).toThrow(`databaseUrl: sslmode=${mode}`);
});

it('P2 publishes over TLS', async () => {
  const sandbox = await createSandbox({ databaseUrl: server.secured(server.url) });
  const relay = sandbox.newRelay();
  relay.start();

  await sandbox.add(sandbox.outboxOf(relay), 'a', 1);
  await sandbox.drained();

  const sessions = await sessionsOf(sandbox);
  expect(sessions.get(`${sandbox.options.service} relay`)).toBe(true);
  expect(sandbox.topic.records).toHaveLength(1);
  await sandbox.close();
});

it('P6 cancels a statement that takes too long over TLS', async () => {
  const connection = await Connection.connect(
    { databaseUrl: server.secured(server.url), name: 'slow' },
    () => undefined,
    () => undefined,
  );

  await expect(connection.query('select pg_sleep(600)')).rejects.toThrow('Query read timeout');

  await until('the statement is cancelled', async () => {
    const active = `select from pg_stat_activity where application_name = 'slow' and state = 'active'`;
    return (await admin.query(active)).rowCount === 0;
  });
  await connection.close();
});

it('P2 P10 a relay connects again after its password was replaced, first here or first in the server', async () => {
  const sandbox = await createSandbox({ databaseUrl: server.secured(server.url) });
  await admin.query(`create role rotating superuser login password 'first'`);
  const urlWith = (password: string) => {
    const url = new URL(server.secured(sandbox.database.url));
    [url.username, url.password] = ['rotating', password];
    return url.href;
  };
  let databaseUrl = urlWith('first');
  const relay = sandbox.newRelay(undefined, undefined, { databaseUrl: () => databaseUrl });
  relay.start();
  const publish = async (n: number) => {
    await sandbox.add(sandbox.outboxOf(relay), 'a', n);
    await sandbox.drained();
  };
  const cutOff = () => admin.query(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'rotating'`);
  await publish(1);

  await admin.query(`alter role rotating password 'second'`);
  await cutOff();
  await until('the relay is refused', () =>
    String(relay.health()['problem']).includes('password authentication failed'),
  );
  databaseUrl = urlWith('second');
  await publish(2);
  databaseUrl = urlWith('third');
  await admin.query(`alter role rotating password 'third'`);
  await cutOff();
  await publish(3);

  expect(sandbox.topic.records).toHaveLength(3);
  await sandbox.close();
});
