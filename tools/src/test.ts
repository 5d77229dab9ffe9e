// The test runner: real throw-away servers, jest, and the totals. `node tools/dist/test.js [--pgbouncer] [unit|integration|e2e] [jest arguments]`
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './checkout.js';
import { endStaleKafka, findKafkaJars, startKafka } from './kafka.js';
import { startPgBouncer } from './pgbouncer.js';
import { startPostgres } from './postgres.js';
import { end, isRunning, serversBelow } from './processes.js';
import { describe } from './trouble.js';

/**
 * Jest ends when nothing is left to wait for, so that a leak is noticed; then at once, without Node's own tidying up, in which
 * Node 24.21 may spin for ever after tests that broke many connections (in `Environment::CleanupHandles`, seen with gdb).
 */
const END_AT_ONCE = `data:text/javascript,process.once('beforeExit',()=>process.exit())`;

const KINDS = ['unit', 'integration', 'e2e'];

/**
 * A crash of PostgreSQL is still recovered from, for the file system's cache outlives it: only a power cut would lose data. A deadlock
 * is found, and counted, before the services' lock_timeout hides it.
 */
const QUICK = { fsync: 'off', full_page_writes: 'off', deadlock_timeout: '100ms' };

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
    // mkdtemp makes it ours alone, but as root PostgreSQL runs as another user.
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
  console.log('Starting a PostgreSQL and a Kafka for the tests …');
  const [postgres, kafka] = await Promise.allSettled([
    startPostgres({ dataDir: join(directory, 'postgres'), settings: QUICK, signal }),
    startKafka({ dataDir: join(directory, 'kafka'), signal, onProgress: (what) => console.log(`Kafka: ${what} …`) }),
  ]);
  if (postgres.status === 'rejected') throw postgres.reason;
  if (kafka.status === 'rejected') throw kafka.reason;
  const { url } = postgres.value;
  const logFile = join(directory, 'maven.log');
  const jars = await findKafkaJars({ signal, logFile, onProgress: (what) => console.log(`Kafka: ${what} …`) });
  if (!jars) console.log("Without Java 17 and Maven the tests with Kafka's own Java client are skipped.");
  return {
    ...(jars && { TEST_JAVA: jars.java, TEST_KAFKA_JARS: jars.directory }),
    TEST_DATABASE_URL: pooled ? await startPgBouncer(postgres.value, join(directory, 'pgbouncer')) : url,
    TEST_DIRECT_DATABASE_URL: url,
    TEST_KAFKA_BROKERS: kafka.value.brokers,
  };
}

/** Ends whatever still runs below the directory, a test's own servers included, and deletes it. */
async function remove(directory: string): Promise<void> {
  for (const parent of [directory, join(directory, 'tmp')])
    for (const name of await readdir(parent).catch(() => []))
      if (name.includes('kafka')) await endStaleKafka(join(parent, name), { remove: true });
  // Their data is deleted, so nothing is lost by not asking first.
  await end(await serversBelow(directory), 0, 'SIGKILL');
  // Children of a killed PostgreSQL may still write for a moment.
  await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}

/** What runs that were killed left behind. */
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
  // Last, for it takes every argument that follows.
  const select = kind ? ['--selectProjects', kind] : [];
  const flags = [`--import=${END_AT_ONCE}`, '--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
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

/** A file that could not be run at all counts as one failure, and so does a jest that ended without a result. */
async function totals(result: string): Promise<Totals> {
  const text = await readFile(result, 'utf8').catch(() => undefined);
  if (!text) return { passed: 0, failed: 1 };
  const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites } = JSON.parse(text);
  return { passed: numPassedTests, failed: numFailedTests + numRuntimeErrorTestSuites };
}

try {
  process.exit(await main());
} catch (error) {
  // A signal is no failure to explain.
  if (typeof error !== 'string') console.error(describe(error));
  console.log('0 passed, 1 failed');
  process.exit(1);
}
