import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { until } from '@twinbox/messaging/testing';
import { type ServiceName } from '@twinbox/migrations/services';
import { ON_A_BUSY_MACHINE, SERVICE_HEAP, WITHOUT_RATE_LIMITS } from '@twinbox/tools';

/** A replica of a service, built and run as in production: a process that can be called over HTTP, stopped and killed. */
export interface ServiceProcess {
  readonly name: ServiceName;
  readonly url: string;
  readonly pid: number;
  /** Everything it has logged so far. */
  log(): string;
  /** Sends SIGTERM and returns the exit code. */
  stop(): Promise<number | null>;
  /** Sends SIGKILL. */
  kill(): Promise<void>;
}

const TELEMETRY = ['--import', '@twinbox/api-kit/telemetry'];

const running = new Set<ServiceProcess>();

/** Starts a replica on a free port and waits until it listens. */
export function startService(name: ServiceName, env: Record<string, string>): Promise<ServiceProcess> {
  return start(
    name,
    [SERVICE_HEAP, ...TELEMETRY, fileURLToPath(new URL(`../../apps/${name}/dist/main.js`, import.meta.url))],
    env,
  );
}

/** Starts a relay of the service as a separate process, like `npm run relay`. */
export function startRelay(name: ServiceName, env: Record<string, string>): Promise<ServiceProcess> {
  return start(name, [...TELEMETRY, fileURLToPath(new URL('../../tools/dist/relay.js', import.meta.url)), name], env);
}

async function start(name: ServiceName, args: string[], env: Record<string, string>): Promise<ServiceProcess> {
  // A few callers send all requests of a test. Tests of the limits set their own.
  const child = spawn(process.execPath, args, {
    env: {
      PATH: process.env['PATH'],
      PORT: '0',
      GRPC_PORT: '0',
      LOG_FORMAT: 'json',
      ...WITHOUT_RATE_LIMITS,
      ...ON_A_BUSY_MACHINE,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const url = await until(`${name} listens`, () => {
    if (hasEnded(child)) throw new Error(log);
    return /http:\/\/127\.0\.0\.1:\d+/.exec(log)?.[0];
  });
  const service: ServiceProcess = {
    name,
    url,
    pid: child.pid ?? 0,
    log: () => log,
    stop: () => end(child, 'SIGTERM'),
    async kill() {
      await end(child, 'SIGKILL');
    },
  };
  running.add(service);
  return service;
}

/** Kills every running replica; for `afterAll`. */
export async function stopServices(): Promise<void> {
  await Promise.all([...running].map((service) => service.kill()));
  running.clear();
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (!hasEnded(child)) {
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }
  return child.exitCode;
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
