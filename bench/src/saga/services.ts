import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '@twinbox/messaging/testing';
import { type ServiceName, SERVICES } from '@twinbox/migrations/services';
import { freePort, root } from '@twinbox/tools';
import { type Shop } from './shop.js';
import { type Kinds } from '../support/usage.js';

/** Replicas of both services, built and run as in production. */
export interface Services {
  readonly orderUrls: readonly string[];
  readonly paymentUrls: readonly string[];
  readonly pids: Kinds;
  /** Sends SIGTERM to all and returns when they have ended. */
  stop(): Promise<void>;
}

interface Replica {
  readonly url: string;
  readonly child: ChildProcess;
}

const STOP_TIMEOUT_MS = 20_000;
/** The directory for a CPU profile of each replica, if set. */
const PROFILES = process.env['BENCH_CPU_PROF'];

/** As in production. Nothing is traced unless the settings ask for it. */
const TELEMETRY = ['--import', '@twinbox/api-kit/telemetry'];

type Settings = Readonly<Record<string, string>>;

/**
 * Starts one replica of each service, or only of those with the given names, for each of the settings, which are added to those of the
 * shop. Returns when all are ready.
 */
export async function startServices(
  shop: Shop,
  replicas: readonly Settings[],
  names: readonly ServiceName[] = SERVICES.map(({ name }) => name),
): Promise<Services> {
  // Logs are written, as in any deployment, but read only if a service fails.
  const logs = await mkdtemp(join(tmpdir(), 'twinbox-bench-'));
  const started: Replica[] = [];
  const stop = async () => {
    await Promise.all(started.map(({ child }) => end(child)));
    await rm(logs, { recursive: true, force: true });
  };
  const startAll = async (name: ServiceName) => {
    const mine: Replica[] = [];
    for (const [n, settings] of names.includes(name) ? replicas.entries() : []) {
      const logFile = join(logs, `${name}-${n + 1}.log`);
      const replica = await start(name, logFile, { ...shop.env(name), ...settings });
      started.push(replica);
      mine.push(replica);
      await ready(replica, logFile);
    }
    return mine;
  };
  try {
    const orders = await startAll('order-service');
    const payments = await startAll('payment-service');
    const pidsOf = (all: readonly Replica[]) => all.map(({ child }) => child.pid ?? 0);
    return {
      orderUrls: orders.map(({ url }) => url),
      paymentUrls: payments.map(({ url }) => url),
      pids: { 'order-service': pidsOf(orders), 'payment-service': pidsOf(payments) },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(name: ServiceName, logFile: string, env: Settings): Promise<Replica> {
  const port = await freePort();
  const profile = `${name}-${port}.cpuprofile`;
  const flags = PROFILES ? ['--cpu-prof', `--cpu-prof-dir=${PROFILES}`, `--cpu-prof-name=${profile}`] : [];
  const log = await open(logFile, 'a');
  const child = spawn(process.execPath, [...flags, ...TELEMETRY, join(root, 'apps', name, 'dist/main.js')], {
    // Only this environment, because the user's shell must not affect the measurement.
    env: {
      PATH: process.env['PATH'],
      PORT: String(port),
      GRPC_PORT: 'off',
      LOG_FORMAT: 'json',
      PAYMENT_GATEWAY: 'simulated',
      ...env,
    },
    stdio: ['ignore', log.fd, log.fd],
  });
  await log.close();
  // In case the benchmark is interrupted.
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.removeListener('exit', kill));
  return { url: `http://127.0.0.1:${port}`, child };
}

async function ready({ url, child }: Replica, logFile: string): Promise<void> {
  const outcome = await until(`${url} is ready`, async () => {
    if (hasEnded(child)) return 'ended';
    const { ok } = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(2000) });
    return ok && 'ready';
  });
  if (outcome === 'ended') throw new Error((await readFile(logFile, 'utf8')).slice(-4000));
}

async function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const killTimer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(killTimer);
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
