import { mkdtemp, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { LocalPostgres } from './local-postgres.js';
import { steadyPort } from './ports.js';
import { elsewhere, locate } from './postgres-location.js';
import { type PostgresOptions, type PostgresServer } from './postgres-server.js';
import { endStale } from './postmaster.js';

/**
 * Starts a real PostgreSQL from the binaries that npm has installed, and returns when it accepts connections. A server that a killed
 * earlier run has left running on the same data is stopped first. PostgreSQL refuses to run as root, so root starts it as the user
 * `postgres`, created if missing; if that user cannot access the directories, binaries and data are placed below /var/tmp instead.
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const location = await locate(options.dataDir ?? (await newDataDir()));
  const server = new LocalPostgres(location, options.port || (await steadyPort()), options);
  await server.initialise();
  await server.start();
  try {
    options.signal?.throwIfAborted();
    await server.createDatabase();
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Stops the server that an earlier run has left running on this data directory, if any. */
export async function endStalePostgres(dataDir: string): Promise<void> {
  for (const dir of [resolve(dataDir), elsewhere(resolve(dataDir))])
    await endStale(await realpath(dir).catch(() => dir));
}

/** Creates the directory for a server whose caller has named none. */
export const newDataDir = (): Promise<string> => mkdtemp(join(tmpdir(), 'twinbox-postgres-'));
