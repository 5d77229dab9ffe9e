import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { startTimeOf } from '../servers/processes.js';

/**
 * Acquires the lock file for this process. If another running process holds it, returns the pid of that process. A lock left behind
 * by a killed process is taken over; the start time distinguishes its owner from a later process with the same pid.
 */
export async function takeLock(file: string): Promise<{ heldBy: number } | { release(): Promise<void> }> {
  const mine = JSON.stringify({ pid: process.pid, startTime: await startTimeOf(process.pid) });
  await mkdir(dirname(file), { recursive: true });
  for (;;) {
    try {
      await writeFile(file, mine, { flag: 'wx' });
      return { release: () => rm(file, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const heldBy = await owner(file);
    if (heldBy) return { heldBy };
    await rm(file, { force: true });
  }
}

async function owner(file: string): Promise<number | undefined> {
  try {
    const { pid, startTime } = JSON.parse(await readFile(file, 'utf8')) as { pid: number; startTime: string };
    return (await startTimeOf(pid)) === startTime ? pid : undefined;
  } catch {
    // Unreadable: the process that wrote it was killed while writing.
    return undefined;
  }
}
