import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { home, root } from './checkout.js';
import { end, lastLines, logSince, openLog, pidsWithArguments, until } from './processes.js';
import { Trouble } from './trouble.js';

/** Given to every process of ours that has no other mark: an argument no other program has. */
const MARK = `--started-by=${home}`;

const WATCHED = [
  'apps/order-service/dist',
  'apps/payment-service/dist',
  'libs/kernel/dist',
  'libs/fields/dist',
  'libs/contracts/dist',
  'libs/messaging/dist',
  'libs/api-kit/dist',
];

export interface Service {
  readonly name: string;
  /** Resolves, with what to tell, when it ends although nobody stopped it. */
  readonly died: Promise<Trouble>;
  /** Waits until it can serve requests. */
  ready(signal: AbortSignal): Promise<void>;
  /** SIGTERM, and SIGKILL when it still runs after `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

export interface ServiceOptions {
  /** The folder below apps. */
  readonly name: string;
  readonly port: number;
  readonly env: NodeJS.ProcessEnv;
  readonly logFile: string;
  /** Restart it when its build changes, and show its log in the terminal too. */
  readonly watch: boolean;
}

/** Starts a service in a process group of its own: a Ctrl-C reaches it through `stop` only, so that it ends before its servers. */
export async function startService({ name, port, env, logFile, watch }: ServiceOptions): Promise<Service> {
  const main = join(root, 'apps', name, 'dist/main.js');
  const watched = WATCHED.filter((path) => path.startsWith('libs/') || path.startsWith(`apps/${name}/`));
  const flags = watch
    ? ['--watch', '--watch-preserve-output', ...watched.map((path) => `--watch-path=${join(root, path)}`)]
    : [];
  const log = await openLog(logFile);
  const child = spawn(process.execPath, [...flags, main, MARK], {
    cwd: root,
    env: { ...process.env, ...env, PORT: String(port) },
    detached: true,
    stdio: watch ? ['ignore', 'pipe', 'pipe'] : ['ignore', log.fd, log.fd],
  });
  if (watch) show(name, child, logFile);
  await log.close();

  let stopped = false;
  const exit = new Promise<string>((resolve) => {
    child
      .once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`))
      .once('error', (error) => resolve(error.message));
  });
  const trouble = async (what: string) =>
    new Trouble(
      `${name} ${what}. Its last lines, more in ${logFile}:\n${lastLines(await logSince(logFile, log.start))}`,
    );
  const died = new Promise<Trouble>((resolve) => {
    void exit.then(async (how) => !stopped && resolve(await trouble(`ended by itself (${how})`)));
  });

  return {
    name,
    died,
    ready: async (signal) => {
      const answer = () => fetch(`http://127.0.0.1:${port}/health/ready`, { signal: AbortSignal.timeout(2_000) });
      const isReady = () =>
        answer().then(
          (response) => response.ok,
          () => false,
        );
      const waiting = new AbortController();
      const ready = until(isReady, 60_000, { everyMs: 50, signal: AbortSignal.any([signal, waiting.signal]) });
      try {
        const outcome = await Promise.race([ready, died]);
        if (outcome === false) throw await trouble(`is not ready after 60 s (http://127.0.0.1:${port}/health/ready)`);
        if (outcome instanceof Trouble) throw outcome;
      } finally {
        waiting.abort();
        await ready.catch(() => false);
      }
    },
    stop: async (graceMs) => {
      stopped = true;
      if (child.pid && child.exitCode === null && child.signalCode === null) await end([child.pid], graceMs);
    },
  };
}

/** Compiles whatever is saved, its messages in the terminal. */
export function startCompiler(): { stop(): Promise<void> } {
  const child = spawn(process.execPath, compiler, { cwd: root, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  show('tsc', child);
  return { stop: async () => (child.pid && child.exitCode === null ? end([child.pid], 2_000) : undefined) };
}

const tsc = join(root, 'node_modules/typescript/bin/tsc');
const compiler = [tsc, '-b', join(root, 'tsconfig.build.json'), '--watch', '--preserveWatchOutput'];

/** Ends what an earlier, killed run left running. */
export async function endStaleServices(): Promise<number> {
  const pids = [...(await pidsWithArguments(MARK)), ...(await pidsWithArguments(...compiler))];
  await end(pids, 10_000);
  return pids.length;
}

function show(name: string, child: ChildProcess, logFile?: string): void {
  const file = logFile ? createWriteStream(logFile, { flags: 'a' }) : undefined;
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue;
    createInterface({ input: stream }).on('line', (line) => {
      console.log(`${name} | ${line}`);
      file?.write(`${line}\n`);
    });
  }
}
