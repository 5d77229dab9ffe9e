import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { home, root } from '../checkout.js';
import { SERVICE_HEAP } from '../memory.js';
import { end, lastLines, logSince, openLog, pidsWithArguments, until } from '../servers/processes.js';
import { OperationalError } from '../errors.js';

/** An argument that no other program has. It identifies those of our processes that have no other identifying argument. */
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
 * The variables that `npm start` sets for a service, overriding those of the shell. AUTH_MODE=dev trusts every caller, so the service
 * listens on loopback only and not in production mode. Each service has its own consumer group: if both shared one, each would receive
 * only some of the messages.
 */
export const localEnvironment = (name: ServiceName): Record<string, string> => ({
  AUTH_MODE: 'dev',
  HOST: '127.0.0.1',
  NODE_ENV: 'development',
  CONSUMER_GROUP: name,
});

export interface Service {
  readonly name: ServiceName;
  /** Resolves with an error to print when the service exits without `stop`. */
  readonly died: Promise<OperationalError>;
  /** Waits until the service can serve requests. */
  ready(signal: AbortSignal): Promise<void>;
  /** Waits until its relay is publishing or on standby, and its consumers have joined their groups. */
  messagingReady(signal: AbortSignal): Promise<void>;
  /** Sends SIGTERM, then SIGKILL if it is still running after `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

export interface ServiceOptions {
  /** The folder under `apps`. */
  readonly name: ServiceName;
  readonly port: number;
  readonly env: NodeJS.ProcessEnv;
  readonly logFile: string;
  /** Whether to restart the service when its build changes, and to show its log in the terminal too. */
  readonly watch: boolean;
}

/** Starts a service in its own process group, so that Ctrl-C does not reach it directly and `stop` can end it before its servers. */
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
  const failure = async (what: string) =>
    new OperationalError(
      `${name} ${what}. Its last log lines (all of them are in ${logFile}):\n${lastLines(await logSince(logFile, log.start))}`,
    );
  const died = new Promise<OperationalError>((resolve) => {
    void exit.then(async (how) => !stopped && resolve(await failure(`exited unexpectedly (${how})`)));
  });

  /** Waits until `notReady` returns undefined instead of a reason: for at most a minute, and only as long as the service is running. */
  const wait = async (notReady: () => Promise<string | undefined>, signal: AbortSignal) => {
    let reason: string | undefined;
    const isReady = async () => (reason = await notReady()) === undefined;
    const waiting = new AbortController();
    const ready = until(isReady, 60_000, { everyMs: 50, signal: AbortSignal.any([signal, waiting.signal]) });
    try {
      const outcome = await Promise.race([ready, died]);
      if (outcome === false) throw await failure(`is not ready after 60 s: ${reason}`);
      if (outcome instanceof OperationalError) throw outcome;
    } finally {
      waiting.abort();
      await ready.catch(() => false);
    }
  };

  return {
    name,
    died,
    ready: (signal) => wait(() => serviceNotReady(`http://127.0.0.1:${port}/health/ready`), signal),
    messagingReady: (signal) => wait(() => messagingNotReady(`http://127.0.0.1:${port}/health/messaging`), signal),
    stop: async (graceMs) => {
      stopped = true;
      if (child.pid && child.exitCode === null && child.signalCode === null) await end([child.pid], graceMs);
    },
  };
}

async function serviceNotReady(url: string): Promise<string | undefined> {
  const isReady = await fetch(url, { signal: AbortSignal.timeout(2_000) }).then(
    ({ ok }) => ok,
    () => false,
  );
  return isReady ? undefined : `${url} does not answer with 200`;
}

/** The fields used from GET /health/messaging. The status may be 503: an old incident does not stop messages from flowing. */
interface MessagingHealth {
  readonly details: {
    readonly messaging: {
      readonly components: Readonly<Record<string, { readonly role?: string; readonly joins?: number }>>;
    };
  };
}

/** Returns which of a service's relay and consumers is not running yet, as its GET /health/messaging reports; undefined once all are. */
export async function messagingNotReady(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    const { components } = ((await response.json()) as MessagingHealth).details.messaging;
    const [name] =
      Object.entries(components).find(
        ([name, { role, joins }]) => role === 'disconnected' || (name.startsWith('inbox ') && !joins),
      ) ?? [];
    return name && `${name} is not running yet (${url})`;
  } catch {
    return `${url} returns no health report`;
  }
}

/** Returns the messages of the services' own configuration checks for this environment, each variable once. */
export async function serviceProblems(env: NodeJS.ProcessEnv): Promise<string[]> {
  // `npm start` sets these and checks them itself.
  const given = {
    PORT: '0',
    DATABASE_URL: 'postgres://twinbox:twinbox@127.0.0.1:5432/twinbox',
    KAFKA_BROKERS: '127.0.0.1:9092',
  };
  const outputs = await Promise.all(
    SERVICES.map((name) =>
      promisify(execFile)(process.execPath, [join(root, 'tools/dist/start/check-config.js'), name], {
        env: { ...env, ...given, ...localEnvironment(name) },
      }),
    ),
  );
  const lines = outputs.flatMap(({ stdout }) => stdout.split('\n')).filter((line) => line !== '');
  return [...new Set(lines)];
}

/** Starts the compiler in watch mode, with its output in the terminal. */
export function startCompiler(): { stop(): Promise<void> } {
  const child = spawn(process.execPath, compiler, { cwd: root, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  show('tsc', child);
  return { stop: async () => (child.pid && child.exitCode === null ? end([child.pid], 2_000) : undefined) };
}

const tsc = join(root, 'node_modules/typescript/bin/tsc');
const compiler = [tsc, '-b', join(root, 'tsconfig.build.json'), '--watch', '--preserveWatchOutput'];

/** Stops the processes that a killed earlier run has left running, and returns how many there were. */
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
