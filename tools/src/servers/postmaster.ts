import { readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { shortHash } from '../checkout.js';
import { isRunning, isTaken, pidsTitled, pidsWithArguments, until } from './processes.js';

/** Appears in the titles of the server's processes. */
export const clusterName = (dataDir: string): string => `twinbox-${shortHash(dataDir)}`;

/** Reads the pid and the state from lines 1 and 8 of postmaster.pid, as pg_ctl does. */
async function lockFile(dataDir: string): Promise<{ pid: number; state: string } | undefined> {
  const lines = (await readFile(join(dataDir, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  return lines[0] ? { pid: Number(lines[0]), state: lines[7]?.trim() ?? '' } : undefined;
}

/** Whether the process is the server of the directory and accepts connections. */
export async function isReady(dataDir: string, pid: number | undefined): Promise<boolean> {
  const lock = await lockFile(dataDir);
  return lock?.pid === pid && lock?.state === 'ready';
}

/** Stops the server with a signal, then with harder ones, and waits until its child processes are gone too. */
export async function endServer(pid: number, dataDir: string, ask: NodeJS.Signals, graceMs: number): Promise<void> {
  const gone = async () => !(await isRunning(pid));
  // SIGQUIT is PostgreSQL's immediate shutdown: like a crash, except that it also stops the child processes.
  for (const [signal, waitMs] of [
    [ask, graceMs],
    ['SIGQUIT', 5_000],
    ['SIGKILL', 5_000],
  ] as const) {
    if (await gone()) break;
    process.kill(pid, signal);
    await until(gone, waitMs, { everyMs: 10 });
  }
  // The child processes of a killed server exit by themselves; until then they could still write to its files.
  await until(async () => (await pidsTitled(childrenTitle(dataDir))).length === 0, 10_000, { everyMs: 10 });
}

/** The beginning of the titles of a server's child processes, as `ps` shows them. */
export const childrenTitle = (dataDir: string): string => `postgres: ${clusterName(dataDir)}: `;

/** Stops the server that an earlier run has left running on this data directory. */
export async function endStale(dataDir: string): Promise<void> {
  const lock = await lockFile(dataDir);
  if (!lock) return;
  if ((await pidsWithArguments('-D', dataDir)).includes(lock.pid))
    return endServer(lock.pid, dataDir, 'SIGINT', 30_000);
  // If its pid now belongs to another program (or to a zombie), PostgreSQL would refuse to start. It handles an unused pid itself.
  if (isTaken(lock.pid) && (await pidsTitled(childrenTitle(dataDir))).length === 0)
    await unlink(join(dataDir, 'postmaster.pid'));
}
