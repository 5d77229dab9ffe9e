import { execFile, spawn, type SpawnOptions } from 'node:child_process';
import { appendFile, mkdir, open, readdir, readFile, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Trouble } from './trouble.js';

const exec = promisify(execFile);

/** Waits until the condition holds; false when it still does not after `timeoutMs`. */
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

/** Whether this process id is taken, be it by a zombie or by a process that is not ours to signal. */
export function isTaken(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Every process with its command line, the arguments ended by NUL on Linux and by a space elsewhere. */
async function commandLines(): Promise<{ pid: number; line: string }[]> {
  if (process.platform === 'linux') {
    // Not ps: slim images do not have it, and it cannot tell a space in an argument from one between two.
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
 * The other processes that were started with these arguments in a row. Process ids are reused, so before one that an earlier
 * run left behind is ended, it is known by an argument no other program has: the path of our data directory.
 */
export async function pidsWithArguments(...args: string[]): Promise<number[]> {
  const end = process.platform === 'linux' ? '\0' : ' ';
  const wanted = end + args.join(end) + end;
  const found = (await commandLines()).filter(({ pid, line }) => pid !== process.pid && line.includes(wanted));
  return found.map(({ pid }) => pid);
}

/** Our servers whose data lies below this directory, by the arguments that only they have. */
export async function serversBelow(directory: string): Promise<number[]> {
  const end = process.platform === 'linux' ? '\0' : ' ';
  const marks = [`${end}-D${end}${directory}/`, `${end}-Dtwinbox.data=${directory}/`, `${end}${directory}/pgbouncer/`];
  return (await commandLines()).filter(({ line }) => marks.some((mark) => line.includes(mark))).map(({ pid }) => pid);
}

/** The processes whose title, as `ps` shows it, starts with this. */
export async function pidsTitled(title: string): Promise<number[]> {
  return (await commandLines()).filter(({ line }) => line.startsWith(title)).map(({ pid }) => pid);
}

/** When the process started, in whatever words the platform has: with the pid it names one process for ever. */
export async function startTimeOf(pid: number): Promise<string | undefined> {
  try {
    if (process.platform !== 'linux')
      return (await exec('ps', ['-o', 'lstart=', '-p', String(pid)])).stdout.trim() || undefined;
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    // A zombie has ended, only its parent has not looked yet; but while more of its threads end, its ports are still taken.
    return fields[0] === 'Z' && Number(fields[17]) <= 1 ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** Whether a process of this id runs. A zombie does not. */
export const isRunning = async (pid: number): Promise<boolean> => (await startTimeOf(pid)) !== undefined;

/** Signals one process; one that has just ended needs nothing. */
export function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function signalGroupOrProcess(pid: number, signal: NodeJS.Signals): void {
  // A process that leads no group (any more) is signalled itself; one that is gone needs nothing.
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, signal);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EPERM')
        throw new Trouble(
          `Process ${pid} was left behind by an earlier run of another user and cannot be ended. End it, then start again.`,
        );
    }
  }
}

/** Ends the processes, and their groups where they lead one: asks first, and insists after `graceMs`. */
export async function end(pids: readonly number[], graceMs: number, ask: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  const running = async () => (await Promise.all(pids.map(isRunning))).includes(true);
  for (const pid of pids) signalGroupOrProcess(pid, ask);
  if (!(await running()) || (await until(async () => !(await running()), graceMs, { everyMs: 20 }))) return;
  for (const pid of pids) signalGroupOrProcess(pid, 'SIGKILL');
  await until(async () => !(await running()), 5_000, { everyMs: 20 });
}

/** Opens a log to append to. One that has grown large is put aside first: logs stay bounded over many starts. */
export async function openLog(path: string): Promise<{ fd: number; start: number; close(): Promise<void> }> {
  await mkdir(dirname(path), { recursive: true });
  const size = (await stat(path).catch(() => undefined))?.size ?? 0;
  if (size > 10 * 1024 * 1024) await rename(path, `${path}.1`);
  const file = await open(path, 'a');
  return { fd: file.fd, start: (await file.stat()).size, close: () => file.close() };
}

/** What was written to the log since byte `start`. */
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
  /** What runs, for the message when it fails: "Migrating the database". */
  readonly what: string;
  readonly logFile: string;
  readonly signal?: AbortSignal | undefined;
  /** Called with each line that the command prints. */
  readonly onLine?: ((line: string) => void) | undefined;
}

/**
 * Runs a command to its end, its output appended to the log. Throws Trouble with the last lines of the output when it fails, and
 * the signal's reason when it was aborted. It has a process group of its own: a Ctrl-C reaches it through the signal only.
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
    throw new Trouble(
      `${what} failed (${command}: ${code}). Its last lines, more in ${logFile}:\n${lastLines(output)}`,
    );
}

/** The output of a command that only asks, or undefined where there is no such command, it fails, or it takes too long. */
export async function ask(command: string, args: readonly string[], timeoutMs: number): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await exec(command, args, { timeout: timeoutMs, killSignal: 'SIGKILL' });
    return `${stdout}${stderr}`;
  } catch {
    return undefined;
  }
}
