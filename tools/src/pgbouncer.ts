import { spawn } from 'node:child_process';
import { access, chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { answers, freePort } from './ports.js';
import { type PostgresServer, unprivilegedUser } from './postgres.js';
import { end, lastLines, logSince, openLog, until } from './processes.js';
import { Trouble } from './trouble.js';

/** Debian puts it where only administrators have their path. */
const PLACES = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/usr/local/sbin'];

/**
 * Starts PgBouncer before a server, in transaction mode and otherwise as it comes: what it refuses there it refuses in most
 * installations. Returns the server's URL by way of it. Throws Trouble when it is not installed. Whoever ends the servers
 * below the directory ends it too.
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
  await writeFile(
    config,
    [
      '[databases]',
      `* = host=${hostname} port=${server.port}`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${port}`,
      'unix_socket_dir =',
      'auth_type = scram-sha-256',
      `auth_file = ${users}`,
      'pool_mode = transaction',
      'max_client_conn = 500',
      'default_pool_size = 10',
      // Tests come with databases of their own, and drop them.
      'server_idle_timeout = 5',
      // And let a database come back.
      'server_login_retry = 1',
      '',
    ].join('\n'),
  );
  if (user) for (const path of [directory, users, config]) await chown(path, user.uid, user.gid);

  const logFile = join(directory, 'pgbouncer.log');
  const log = await openLog(logFile);
  const child = spawn(binary, [config], { ...user, detached: true, stdio: ['ignore', log.fd, log.fd] });
  let exited = false;
  child.once('exit', () => (exited = true)).once('error', () => (exited = true));
  await log.close();
  child.unref();
  await until(async () => exited || (await answers(port)), 10_000, { everyMs: 20 });
  if (exited || !(await answers(port))) {
    if (child.pid) await end([child.pid], 0);
    throw new Trouble(`PgBouncer does not start. Its last lines:\n${lastLines(await logSince(logFile, log.start))}`);
  }
  const url = new URL(server.url);
  url.port = String(port);
  return url.href;
}

async function find(): Promise<string> {
  for (const place of PLACES) {
    const path = join(place, 'pgbouncer');
    if (
      await access(path, 1).then(
        () => true,
        () => false,
      )
    )
      return path;
  }
  throw new Trouble(
    'PgBouncer is not installed. On Debian and Ubuntu: "apt-get install pgbouncer", on macOS: "brew install pgbouncer"; then try again.',
  );
}
