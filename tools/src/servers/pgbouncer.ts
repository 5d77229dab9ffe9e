import { spawn } from 'node:child_process';
import { access, chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { acceptsConnections, freePort } from './ports.js';
import { unprivilegedUser } from './postgres-location.js';
import { type PostgresServer } from './postgres-server.js';
import { end, lastLines, logSince, openLog, until } from './processes.js';
import { OperationalError } from '../errors.js';

/** Debian installs PgBouncer in a directory that is on the PATH of administrators only. */
const SEARCH_PATH = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/usr/local/sbin'];

/**
 * Starts PgBouncer in front of a server, in transaction mode and otherwise with its defaults: what it rejects then, it rejects in most
 * installations. Returns the URL of the server through PgBouncer. Throws OperationalError when PgBouncer is not installed. It stops
 * together with the servers whose data is below the directory.
 */
export async function startPgBouncer(server: PostgresServer, directory: string): Promise<string> {
  const binary = await find();
  const user = process.getuid?.() === 0 ? await unprivilegedUser() : undefined;
  await mkdir(directory, { recursive: true });
  const port = await freePort();
  const { username, password, hostname } = new URL(server.url);
  const users = join(directory, 'users.txt');
  const config = join(directory, 'pgbouncer.ini');
  await writeFile(users, `"${username}" "${password}"\n`);
  await writeFile(config, configuration(`${hostname} port=${server.port}`, port, users));
  if (user) for (const path of [directory, users, config]) await chown(path, user.uid, user.gid);

  const logFile = join(directory, 'pgbouncer.log');
  const log = await openLog(logFile);
  const child = spawn(binary, [config], { ...user, detached: true, stdio: ['ignore', log.fd, log.fd] });
  let exited = false;
  child.once('exit', () => (exited = true)).once('error', () => (exited = true));
  await log.close();
  child.unref();
  await until(async () => exited || (await acceptsConnections(port)), 10_000, { everyMs: 20 });
  if (exited || !(await acceptsConnections(port))) {
    if (child.pid) await end([child.pid], 0);
    throw new OperationalError(
      `PgBouncer did not start. Its last log lines:\n${lastLines(await logSince(logFile, log.start))}`,
    );
  }
  const url = new URL(server.url);
  url.port = String(port);
  return url.href;
}

function configuration(host: string, port: number, users: string): string {
  return [
    '[databases]',
    `* = host=${host}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = scram-sha-256',
    `auth_file = ${users}`,
    'pool_mode = transaction',
    'max_client_conn = 500',
    'default_pool_size = 10',
    // Test files create databases of their own and drop them.
    'server_idle_timeout = 5',
    // Some tests make a database unavailable and then available again.
    'server_login_retry = 1',
    '',
  ].join('\n');
}

async function find(): Promise<string> {
  for (const directory of SEARCH_PATH) {
    const path = join(directory, 'pgbouncer');
    if (
      await access(path, 1).then(
        () => true,
        () => false,
      )
    )
      return path;
  }
  throw new OperationalError(
    'PgBouncer is not installed. Run "apt-get install pgbouncer" (Debian, Ubuntu) or "brew install pgbouncer" (macOS), then try again.',
  );
}
