// The test runner: starts real disposable servers, runs jest and prints the totals.
// Usage: node tools/dist/test.js [--pgbouncer] [unit|integration|e2e] [jest arguments]
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './checkout.js';
import { startKafka } from './servers/kafka.js';
import { findKafkaJars } from './servers/kafka-jars.js';
import { startPgBouncer } from './servers/pgbouncer.js';
import { startPostgres } from './servers/postgres.js';
import { unmountBelow } from './servers/small-disk.js';
import { end, isRunning, serversBelow } from './servers/processes.js';
import { endStaleKafka } from './servers/stale-kafka.js';
import { describeError } from './errors.js';

/**
 * Makes jest exit when the event loop is empty, so that a leak is noticed, but skips Node's own cleanup: after tests that broke many
 * connections, Node 24.21 may spin in it forever (in `Environment::CleanupHandles`, seen with gdb).
 */
const EXIT_WITHOUT_CLEANUP = `data:text/javascript,process.once('beforeExit',()=>process.exit())`;

const KINDS = ['unit', 'integration', 'e2e'];

/**
 * PostgreSQL still recovers from a crash, because the file system's cache outlives it; only a power cut would lose data. A deadlock is
 * detected, and counted, before the services' lock_timeout hides it. The passwords are public, and hashing them 4,096 times
 * took 2 ms of the processor for each of the thousands of connections that the tests open.
 */
const FAST_SETTINGS = { fsync: 'off', full_page_writes: 'off', deadlock_timeout: '100ms', scram_iterations: '1' };

interface Totals {
  readonly passed: number;
  readonly failed: number;
}

async function main(): Promise<number> {
  const pooled = process.argv[2] === '--pgbouncer';
  const args = process.argv.slice(pooled ? 3 : 2);
  const kind = KINDS.find((name) => name === args[0]);
  const jestArgs = kind ? args.slice(1) : args;

  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort(signal));

  const temporary = await realpath(tmpdir());
  await removeAbandoned(temporary);
  const directory = await mkdtemp(join(temporary, `twinbox-test-${process.pid}-`));
  try {
    // mkdtemp gives access to the current user only, but when this runs as root, PostgreSQL runs as another user.
    await run('chmod', ['755', directory]);
    await mkdir(join(directory, 'tmp'));
    const env = { ...process.env, TMPDIR: join(directory, 'tmp') };
    if (kind !== 'unit') Object.assign(env, await startServers(directory, pooled, stop.signal));
    const code = await jest(kind, jestArgs, join(directory, 'result.json'), env, stop.signal);
    const { passed, failed } = await totals(join(directory, 'result.json'));
    await remove(directory);
    console.log(`${passed} passed, ${failed} failed`);
    return failed > 0 ? 1 : code;
  } finally {
    await remove(directory);
  }
}

async function startServers(directory: string, pooled: boolean, signal: AbortSignal): Promise<NodeJS.ProcessEnv> {
  console.log('Starting PostgreSQL and Kafka for the tests …');
  const [postgres, kafka] = await Promise.allSettled([
    startPostgres({ dataDir: join(directory, 'postgres'), settings: FAST_SETTINGS, signal }),
    startKafka({
      dataDir: join(directory, 'kafka'),
      shortLived: true,
      signal,
      onProgress: (what) => console.log(`Kafka: ${what} …`),
    }),
  ]);
  if (postgres.status === 'rejected') throw postgres.reason;
  if (kafka.status === 'rejected') throw kafka.reason;
  const { url } = postgres.value;
  const logFile = join(directory, 'maven.log');
  const jars = await findKafkaJars({ signal, logFile, onProgress: (what) => console.log(`Kafka: ${what} …`) });
  if (!jars) console.log("Skipping the tests with Kafka's own Java client, which need Java 17 and Maven.");
  return {
    ...(jars && { TEST_JAVA: jars.java, TEST_KAFKA_JARS: jars.directory }),
    TEST_DATABASE_URL: pooled ? await startPgBouncer(postgres.value, join(directory, 'pgbouncer')) : url,
    TEST_DIRECT_DATABASE_URL: url,
    TEST_KAFKA_BROKERS: kafka.value.brokers,
  };
}

/** Stops all servers whose data is below the directory, including those a test has started itself, and deletes the directory. */
async function remove(directory: string): Promise<void> {
  for (const parent of [directory, join(directory, 'tmp')])
    for (const name of await readdir(parent).catch(() => []))
      if (name.includes('kafka')) await endStaleKafka(join(parent, name), { remove: true });
  // SIGKILL at once: their data is deleted anyway.
  await end(await serversBelow(directory), 0, 'SIGKILL');
  await unmountBelow(directory);
  // Child processes of a killed PostgreSQL may still write for a moment.
  await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}

/** Removes the directories, and stops the servers, that killed test runs have left behind. */
async function removeAbandoned(temporary: string): Promise<void> {
  for (const name of await readdir(temporary)) {
    const pid = /^twinbox-test-(\d+)-/.exec(name)?.[1];
    if (pid && !(await isRunning(Number(pid)))) await remove(join(temporary, name)).catch(() => undefined);
  }
}

function jest(
  kind: string | undefined,
  args: string[],
  result: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<number> {
  // Must come last, because it consumes every argument that follows.
  const select = kind ? ['--selectProjects', kind] : [];
  const flags = [`--import=${EXIT_WITHOUT_CLEANUP}`, '--disable-warning=ExperimentalWarning'];
  const file = join(root, 'node_modules/jest/bin/jest.js');
  return run(
    process.execPath,
    [...flags, file, '--passWithNoTests', '--json', `--outputFile=${result}`, ...args, ...select],
    env,
    signal,
  );
}

function run(command: string, args: string[], env = process.env, signal?: AbortSignal): Promise<number> {
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, env, stdio: 'inherit' });
    signal?.addEventListener('abort', () => child.kill('SIGTERM'));
    child.once('error', reject).once('exit', (code) => resolve(code ?? 1));
  });
}

/** Reads the totals. A file that could not be run counts as one failure, and so does a jest that exited without a result. */
async function totals(result: string): Promise<Totals> {
  const text = await readFile(result, 'utf8').catch(() => undefined);
  if (!text) return { passed: 0, failed: 1 };
  const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites } = JSON.parse(text);
  return { passed: numPassedTests, failed: numFailedTests + numRuntimeErrorTestSuites };
}

try {
  process.exit(await main());
} catch (error) {
  // A string is the name of the signal that stopped the run, which needs no message.
  if (typeof error !== 'string') console.error(describeError(error));
  console.log('0 passed, 1 failed');
  process.exit(1);
}
