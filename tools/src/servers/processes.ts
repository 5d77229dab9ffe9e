import { execFile, spawn, type SpawnOptions } from 'node:child_process';
import { appendFile, mkdir, open, readdir, readFile, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { OperationalError } from '../errors.js';

const exec = promisify(execFile);

/** Waits until the condition holds. Returns false if it still does not hold after `timeoutMs`. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
  { everyMs = 50, signal }: { everyMs?: number | undefined; signal?: AbortSignal | undefined } = {},
): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    signal?.throwIfAborted();
    if (performance.now() > deadline) return false;
    await sleep(everyMs);
  }
  return true;
}

/** Whether this process id is in use, even by a zombie or by a process of another user. */
export function isTaken(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Lists all processes with their command lines. Arguments end with NUL on Linux and with a space elsewhere. */
async function commandLines(): Promise<{ pid: number; line: string }[]> {
  if (process.platform === 'linux') {
    // Not ps: slim container images lack it, and its output does not distinguish spaces within arguments from those between them.
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const line = (pid: string) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    return Promise.all(pids.map(async (pid) => ({ pid: Number(pid), line: await line(pid) })));
  }
  const { stdout } = await exec('ps', ['-axww', '-o', 'pid=,command='], { maxBuffer: 64 * 1024 * 1024 });
  return stdout
    .split('\n')
    .map((text) => ({ pid: Number.parseInt(text, 10), line: `${text.replace(/^\s*\d+\s+/, '')} ` }));
}

/**
 * Returns the ids of the other processes that were started with these consecutive arguments. Process ids are reused, so a process left
 * behind by an earlier run must be identified before it is stopped, by an argument that no other program has: the path of its data
 * directory.
 */
export async function pidsWithArguments(...args: string[]): Promise<number[]> {
  const end = process.platform === 'linux' ? '\0' : ' ';
  const wanted = end + args.join(end) + end;
  const found = (await commandLines()).filter(({ pid, line }) => pid !== process.pid && line.includes(wanted));
  return found.map(({ pid }) => pid);
}

/** Returns the ids of the servers whose data is below this directory, identified by arguments that only they have. */
export async function serversBelow(directory: string): Promise<number[]> {
  const end = process.platform === 'linux' ? '\0' : ' ';
  const marks = [`${end}-D${end}${directory}/`, `${end}-Dtwinbox.data=${directory}/`, `${end}${directory}/pgbouncer/`];
  return (await commandLines()).filter(({ line }) => marks.some((mark) => line.includes(mark))).map(({ pid }) => pid);
}

/** Returns the ids of the processes whose title, as shown by `ps`, starts with the given one. */
export async function pidsTitled(title: string): Promise<number[]> {
  return (await commandLines()).filter(({ line }) => line.startsWith(title)).map(({ pid }) => pid);
}

/** Returns the start time of a process, in a platform-dependent format. Together with the pid it identifies a process uniquely. */
export async function startTimeOf(pid: number): Promise<string | undefined> {
  try {
    if (process.platform !== 'linux')
      return (await exec('ps', ['-o', 'lstart=', '-p', String(pid)])).stdout.trim() || undefined;
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    // A zombie has exited and only waits for its parent. But as long as other threads of it are still exiting, it holds its ports.
    return fields[0] === 'Z' && Number(fields[17]) <= 1 ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** Whether a process with this id is running. A zombie is not. */
export const isRunning = async (pid: number): Promise<boolean> => (await startTimeOf(pid)) !== undefined;

/** Sends a signal to a process. Does nothing if the process has exited. */
export function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function signalGroupOrProcess(pid: number, signal: NodeJS.Signals): void {
  // A process that does not lead a group is signalled itself; one that has exited is ignored.
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, signal);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EPERM')
        throw new OperationalError(
          `Process ${pid}, left behind by an earlier run, belongs to another user and cannot be stopped. Stop it, then start again.`,
        );
    }
  }
}

/** Stops the processes, with the process groups they lead: sends `signal` first, and SIGKILL to those still running after `graceMs`. */
export async function end(pids: readonly number[], graceMs: number, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  const running = async () => (await Promise.all(pids.map(isRunning))).includes(true);
  for (const pid of pids) signalGroupOrProcess(pid, signal);
  if (!(await running()) || (await until(async () => !(await running()), graceMs, { everyMs: 20 }))) return;
  for (const pid of pids) signalGroupOrProcess(pid, 'SIGKILL');
  await until(async () => !(await running()), 5_000, { everyMs: 20 });
}

/** Opens a log for appending. A large log is renamed first, so that logs do not grow without bound over many starts. */
export async function openLog(path: string): Promise<{ fd: number; start: number; close(): Promise<void> }> {
  await mkdir(dirname(path), { recursive: true });
  const size = (await stat(path).catch(() => undefined))?.size ?? 0;
  if (size > 10 * 1024 * 1024) await rename(path, `${path}.1`);
  const file = await open(path, 'a');
  return { fd: file.fd, start: (await file.stat()).size, close: () => file.close() };
}

/** Returns what has been written to the log since byte `start`. */
export async function logSince(path: string, start: number): Promise<string> {
  const text = await readFile(path).catch(() => Buffer.alloc(0));
  return text.subarray(start).toString('utf8');
}

export const lastLines = (text: string, count = 15): string =>
  text
    .trimEnd()
    .split('\n')
    .slice(-count)
    .map((line) => `    ${line}`)
    .join('\n');

export interface RunOptions extends Pick<SpawnOptions, 'cwd' | 'env' | 'uid' | 'gid'> {
  /** Describes the command in the error message: "Migrating the database". */
  readonly what: string;
  readonly logFile: string;
  readonly signal?: AbortSignal | undefined;
  /** Called with each line of output. */
  readonly onLine?: ((line: string) => void) | undefined;
}

/**
 * Runs a command, waits for it to exit and appends its output to the log. Throws OperationalError with the last lines of the output when
 * the command fails, and the reason of the signal when it is aborted. The command has its own process group, so Ctrl-C reaches it only
 * through the signal.
 */
export async function run(command: string, args: readonly string[], options: RunOptions): Promise<void> {
  const { what, logFile, signal, onLine, ...spawnOptions } = options;
  signal?.throwIfAborted();
  await mkdir(dirname(logFile), { recursive: true });
  let output = '';
  const code = await new Promise<number | string>((resolve, reject) => {
    const child = spawn(command, args, { ...spawnOptions, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const abort = () => child.pid && signalGroupOrProcess(child.pid, 'SIGTERM');
    signal?.addEventListener('abort', abort);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk) => (output += chunk));
      if (onLine) createInterface({ input: stream }).on('line', onLine);
    }
    child.once('error', reject);
    child.once('close', (exit, by) => {
      signal?.removeEventListener('abort', abort);
      resolve(exit ?? by ?? 'unknown');
    });
  }).catch((error: Error) => error.message);
  await appendFile(logFile, output);
  signal?.throwIfAborted();
  if (code !== 0)
    throw new OperationalError(
      `${what} failed (${command}: ${code}). Its last lines of output (all of it is in ${logFile}):\n${lastLines(output)}`,
    );
}

/** Returns the output of a read-only command, or undefined if the command does not exist, fails or takes too long. */
export async function ask(command: string, args: readonly string[], timeoutMs: number): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await exec(command, args, { timeout: timeoutMs, killSignal: 'SIGKILL' });
    return `${stdout}${stderr}`;
  } catch {
    return undefined;
  }
}
