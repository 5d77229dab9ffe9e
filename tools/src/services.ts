import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { home, root } from './checkout.js';
import { SERVICE_HEAP } from './memory.js';
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

export const SERVICES = ['order-service', 'payment-service'] as const;
export type ServiceName = (typeof SERVICES)[number];

/**
 * What `npm start` sets for a service, whatever the shell has. AUTH_MODE=dev trusts every caller, so it stays on loopback and out of
 * production. Each service has its own consumer group: with one for both, each would get a part of the messages only.
 */
export const localEnvironment = (name: ServiceName): Record<string, string> => ({
  AUTH_MODE: 'dev',
  HOST: '127.0.0.1',
  NODE_ENV: 'development',
  CONSUMER_GROUP: name,
});

export interface Service {
  readonly name: ServiceName;
  /** Resolves, with what to tell, when it ends although nobody stopped it. */
  readonly died: Promise<Trouble>;
  /** Waits until it can serve requests. */
  ready(signal: AbortSignal): Promise<void>;
  /** Waits until its relay publishes or stands by, and its consumers have joined their groups. */
  messagingRuns(signal: AbortSignal): Promise<void>;
  /** SIGTERM, and SIGKILL when it still runs after `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

export interface ServiceOptions {
  /** The folder below apps. */
  readonly name: ServiceName;
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
  const child = spawn(process.execPath, [...flags, SERVICE_HEAP, main, MARK], {
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

  /** Waits for the condition, for a minute at most and only as long as the service runs. `missing` says what it lacks until then. */
  const wait = async (missing: () => Promise<string | undefined>, signal: AbortSignal) => {
    let lack: string | undefined;
    const isThere = async () => (lack = await missing()) === undefined;
    const waiting = new AbortController();
    const there = until(isThere, 60_000, { everyMs: 50, signal: AbortSignal.any([signal, waiting.signal]) });
    try {
      const outcome = await Promise.race([there, died]);
      if (outcome === false) throw await trouble(`is not ready after 60 s: ${lack}`);
      if (outcome instanceof Trouble) throw outcome;
    } finally {
      waiting.abort();
      await there.catch(() => false);
    }
  };

  return {
    name,
    died,
    ready: (signal) => wait(() => unready(`http://127.0.0.1:${port}/health/ready`), signal),
    messagingRuns: (signal) => wait(() => missingOfMessaging(`http://127.0.0.1:${port}/health/messaging`), signal),
    stop: async (graceMs) => {
      stopped = true;
      if (child.pid && child.exitCode === null && child.signalCode === null) await end([child.pid], graceMs);
    },
  };
}

async function unready(url: string): Promise<string | undefined> {
  const isReady = await fetch(url, { signal: AbortSignal.timeout(2_000) }).then(
    ({ ok }) => ok,
    () => false,
  );
  return isReady ? undefined : url;
}

/** What is needed of a service's GET /health/messaging, be it 200 or 503: an old incident does not keep messages from flowing. */
interface MessagingHealth {
  readonly details: {
    readonly messaging: {
      readonly components: Readonly<Record<string, { readonly role?: string; readonly joins?: number }>>;
    };
  };
}

/** What does not run yet of a service's relay and consumers, by its GET /health/messaging; undefined once all of it does. */
export async function missingOfMessaging(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    const { components } = ((await response.json()) as MessagingHealth).details.messaging;
    const [name] =
      Object.entries(components).find(
        ([name, { role, joins }]) => role === 'disconnected' || (name.startsWith('inbox ') && !joins),
      ) ?? [];
    return name && `${name} does not run yet (${url})`;
  } catch {
    return url;
  }
}

/** What the services would refuse of the environment, each variable once, in the words of their own checks. */
export async function serviceProblems(env: NodeJS.ProcessEnv): Promise<string[]> {
  // The starter gives these their values, and checks them itself.
  const given = {
    PORT: '0',
    DATABASE_URL: 'postgres://twinbox:twinbox@127.0.0.1:5432/twinbox',
    KAFKA_BROKERS: '127.0.0.1:9092',
  };
  const outputs = await Promise.all(
    SERVICES.map((name) =>
      promisify(execFile)(process.execPath, [join(root, 'tools/dist/check-config.js'), name], {
        env: { ...env, ...given, ...localEnvironment(name) },
      }),
    ),
  );
  const lines = outputs.flatMap(({ stdout }) => stdout.split('\n')).filter((line) => line !== '');
  return [...new Set(lines)];
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
