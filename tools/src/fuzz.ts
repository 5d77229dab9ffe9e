// npm run fuzz:api: runs schemathesis against both services, started for it, as a customer and as an operator.
// Usage: npm run fuzz:api -- [--short] [arguments of "schemathesis run"]
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { passwordVariable, SERVICES } from '@twinbox/migrations/services';
import { home, root } from './checkout.js';
import { describeError } from './errors.js';
import { STEP_HEAP } from './memory.js';
import { startKafka } from './servers/kafka.js';
import { freePort } from './servers/ports.js';
import { startPostgres } from './servers/postgres.js';
import { ask, run } from './servers/processes.js';
import { localEnvironment, urlAs } from './start/config.js';
import { ServiceProcess } from './start/service-process.js';

const SCHEMATHESIS = '4.32.5';
const PYTHON = join(home, `python/schemathesis-${SCHEMATHESIS}`);
const WEBHOOK_SECRET = `whsec_${Buffer.from('twinbox: a secret for fuzzing').toString('base64')}`;

const CALLERS = {
  customer: ['X-User-Id: demo'],
  operator: ['X-User-Id: ops', 'X-Roles: customer,operator'],
};

/**
 * The arguments of the short form, for CI. It takes less than a minute on two cores, most of it in the coverage phase, which therefore
 * runs only once per service, as the caller with all permissions.
 */
const SHORT = {
  customer: ['--phases', 'fuzzing', '--max-examples', '5', '--seed', '1'],
  operator: ['--phases', 'coverage', '--seed', '1'],
};

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopping.abort(signal));

async function main(): Promise<number> {
  const isShort = process.argv[2] === '--short';
  const args = process.argv.slice(isShort ? 3 : 2);
  if (!(await ask('python3', ['-c', 'import sys, venv; assert sys.version_info >= (3, 10)'], 10_000).then(isTrue))) {
    console.log('Skipped: schemathesis needs Python 3.10 or later with the venv module.');
    console.log('0 passed, 0 failed');
    return 0;
  }
  const failure = await installSchemathesis().then(() => undefined, describeError);
  if (failure !== undefined) {
    stopping.signal.throwIfAborted();
    console.log(`Skipped: schemathesis cannot be installed. ${failure}`);
    console.log('0 passed, 0 failed');
    return 0;
  }

  const directory = await mkdtemp(join(await realpath(tmpdir()), 'twinbox-fuzz-'));
  const undo: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true, force: true, maxRetries: 10 })];
  try {
    const urls = await startServices(directory, undo);
    let failed = 0;
    for (const [name, url] of Object.entries(urls))
      for (const caller of ['customer', 'operator'] as const) {
        const short = isShort ? SHORT[caller] : [];
        console.log(`\n${name}, as ${caller === 'customer' ? 'a customer' : 'an operator'}`);
        if ((await schemathesis(url, CALLERS[caller], [...short, ...args], directory)) !== 0) failed++;
      }
    const runs = Object.keys(urls).length * Object.keys(CALLERS).length;
    console.log(`${runs - failed} passed, ${failed} failed`);
    return failed > 0 ? 1 : 0;
  } finally {
    for (let step = undo.pop(); step; step = undo.pop()) await step();
  }
}

/** The output is an empty string when Python succeeds, and undefined when it fails. */
const isTrue = (output: string | undefined): boolean => output !== undefined;

async function installSchemathesis(): Promise<void> {
  if (existsSync(join(PYTHON, 'installed'))) return;
  console.log(`Installing schemathesis ${SCHEMATHESIS} into ${PYTHON} …`);
  const options = { what: 'Installing schemathesis', logFile: join(home, 'logs/fuzz.log'), signal: stopping.signal };
  await rm(PYTHON, { recursive: true, force: true });
  await run('python3', ['-m', 'venv', PYTHON], options);
  await run(
    join(PYTHON, 'bin/pip'),
    ['install', '--quiet', '--retries', '1', '--timeout', '15', `schemathesis==${SCHEMATHESIS}`],
    options,
  );
  // Must come last, so that an interrupted installation is repeated.
  await mkdir(join(PYTHON, 'installed'));
}

interface Servers {
  readonly databaseUrl: string;
  readonly brokers: string;
}

/** Starts PostgreSQL, Kafka and the services, with the demo orders. Adds to `undo` the steps that stop them. */
async function startServices(
  directory: string,
  undo: (() => Promise<unknown>)[],
): Promise<Readonly<Record<string, string>>> {
  console.log('Starting PostgreSQL, Kafka and both services …');
  const step = (file: string, env: NodeJS.ProcessEnv) => runStep(file, env, join(directory, 'setup.log'));
  const servers = await startServers(directory, undo);
  const passwords = SERVICES.map(({ schema }) => [passwordVariable(schema), schema]);
  const admin = { DATABASE_URL: servers.databaseUrl, ...(Object.fromEntries(passwords) as Record<string, string>) };
  await step('migrations/dist/migrate.js', admin);
  await step('tools/dist/provisioning/demo-products.js', admin);
  await step('tools/dist/provisioning/topics.js', { KAFKA_BROKERS: servers.brokers });

  const urls: Record<string, string> = {};
  const variables: Record<string, string> = {};
  for (const service of SERVICES) {
    const url = await startService(service, servers, undo);
    urls[service.name] = url;
    variables[`${service.prefix}_URL`] = url;
  }
  await step('tools/dist/provisioning/demo-orders.js', { ...variables, WEBHOOK_SECRET });
  return urls;
}

async function startServers(directory: string, undo: (() => Promise<unknown>)[]): Promise<Servers> {
  // When this runs as root, PostgreSQL runs as another user, which needs access.
  await run('chmod', ['755', directory], { what: 'chmod', logFile: join(directory, 'setup.log') });
  const { signal } = stopping;
  const postgres = await startPostgres({ dataDir: join(directory, 'postgres'), database: 'twinbox', signal });
  undo.push(() => postgres.remove());
  const kafka = await startKafka({ dataDir: join(directory, 'kafka'), shortLived: true, signal });
  undo.push(() => kafka.remove());
  return { databaseUrl: postgres.url, brokers: kafka.brokers };
}

/** Runs one of the repository's own commands. */
function runStep(file: string, env: NodeJS.ProcessEnv, logFile: string): Promise<void> {
  const options = { what: file, logFile, cwd: root, signal: stopping.signal, env: { ...process.env, ...env } };
  return run(process.execPath, [STEP_HEAP, join(root, file)], options);
}

/** Starts a service on a free port and waits until it serves requests. Returns its URL. */
async function startService(
  { name, schema }: (typeof SERVICES)[number],
  { databaseUrl, brokers }: Servers,
  undo: (() => Promise<unknown>)[],
): Promise<string> {
  const port = await freePort();
  const service = await ServiceProcess.start({
    name,
    port,
    env: {
      ...localEnvironment(name, { oidcPort: undefined }),
      DATABASE_URL: urlAs(databaseUrl, schema, schema),
      KAFKA_BROKERS: brokers,
      LOG_FORMAT: 'json',
      WEBHOOK_SECRET,
    },
    logFile: join(home, `logs/fuzz-${name}.log`),
    watch: false,
  });
  undo.push(() => service.stop(10_000));
  await service.ready(stopping.signal);
  return `http://127.0.0.1:${port}`;
}

/** Runs schemathesis in a directory where it may store its findings, and returns its exit status. */
function schemathesis(url: string, headers: readonly string[], args: readonly string[], cwd: string): Promise<number> {
  const own = join(root, 'tools/schemathesis');
  const config = ['--config-file', join(own, 'schemathesis.toml')];
  const options = ['--generation-database', 'none', ...headers.flatMap((header) => ['--header', header]), ...args];
  return new Promise((resolve, reject) => {
    const child = spawn(join(PYTHON, 'bin/schemathesis'), [...config, 'run', ...options, `${url}/openapi.json`], {
      cwd,
      env: { ...process.env, PYTHONPATH: own, PYTHONDONTWRITEBYTECODE: '1' },
      stdio: 'inherit',
      signal: stopping.signal,
    });
    child.once('error', reject).once('exit', (code) => resolve(code ?? 1));
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!stopping.signal.aborted) console.error(describeError(error));
  process.exitCode = 1;
}
