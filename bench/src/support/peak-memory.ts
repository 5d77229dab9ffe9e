import { readFile } from 'node:fs/promises';

/**
 * Returns the peak resident memory of a process in MB, or undefined where /proc does not show it. getrusage also counts the memory that
 * the parent had when it started the process (Linux, `exec_mmap`).
 */
export async function peakMemoryMb(pid: number | 'self'): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const [, kb] = /^VmHWM:\s+(\d+) kB$/m.exec(status) ?? [];
  return kb === undefined ? undefined : Number(kb) / 1024;
}
