import { chmod, chown, copyFile, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Authority, createAuthority } from './certificates.js';
import { startPostgres } from './postgres.js';
import { type PostgresServer } from './postgres-server.js';

/** A PostgreSQL that accepts only TLS, except from its superuser. Its certificate is valid for 127.0.0.1 only. */
export interface SecurePostgres extends PostgresServer {
  readonly authority: Authority;
  /** Returns the URL with `sslmode=verify-full` and the authority. */
  secured(url: string): string;
}

/** Only the role `certified` logs in with a client certificate; the others have passwords. */
const ACCESS = `
hostssl all certified all cert
hostssl all all all scram-sha-256
hostnossl all postgres all scram-sha-256
hostnossl all all all reject
`;

/** Starts a PostgreSQL with `ssl=on`. */
export async function startSecurePostgres(): Promise<SecurePostgres> {
  const directory = await mkdtemp(join(tmpdir(), 'twinbox-authority-'));
  const authority = await createAuthority(directory);
  const server = await startPostgres({ settings: { fsync: 'off' } });
  const { certFile, keyFile } = await authority.issue({ name: 'postgres', hosts: 'IP:127.0.0.1' });
  const { uid, gid } = await stat(join(server.dataDir, 'PG_VERSION'));
  for (const [from, name] of [
    [certFile, 'server.crt'],
    [keyFile, 'server.key'],
    [authority.caFile, 'root.crt'],
  ] as const) {
    const file = join(server.dataDir, name);
    await copyFile(from, file);
    // PostgreSQL refuses a key that others may read.
    await chmod(file, 0o600);
    await chown(file, uid, gid);
  }
  await writeFile(join(server.dataDir, 'pg_hba.conf'), ACCESS);
  await server.reconfigure({ ssl: 'on', ssl_ca_file: 'root.crt' });
  return {
    ...methodsOf(server),
    authority,
    secured(url) {
      const secured = new URL(url);
      secured.searchParams.set('sslmode', 'verify-full');
      secured.searchParams.set('sslrootcert', authority.caFile);
      return secured.href;
    },
    async remove() {
      await server.remove();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A spread would lose the methods of a class. */
function methodsOf(server: PostgresServer): PostgresServer {
  const { url, port, dataDir } = server;
  return {
    url,
    port,
    dataDir,
    start: () => server.start(),
    stop: () => server.stop(),
    restart: () => server.restart(),
    reconfigure: (settings) => server.reconfigure(settings),
    kill: () => server.kill(),
    pause: () => server.pause(),
    resume: () => server.resume(),
    remove: () => server.remove(),
  };
}
