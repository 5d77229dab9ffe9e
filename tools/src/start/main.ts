// npm start: starts PostgreSQL, Kafka, migrations, topics, demo data, the services and the console, and keeps them running until Ctrl-C.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { home, root } from '../checkout.js';
import { describeError, OperationalError } from '../errors.js';
import { isFree } from '../servers/ports.js';
import { endStalePostgres } from '../servers/postgres.js';
import { endStaleKafka } from '../servers/stale-kafka.js';
import { startCompiler } from './compiler.js';
import { consoleUrlOn, localPorts, type StartConfig, startConfig, withoutPassword } from './config.js';
import { openBrowser } from './open-browser.js';
import { panel } from './panel.js';
import { DATA, displayPath, LOGS } from './places.js';
import { Running } from './running.js';
import { endStaleServices } from './service-process.js';
import { serviceProblems } from './service-problems.js';
import { takeLock } from './single-instance.js';
import { startServers } from './start-servers.js';
import { createDemoOrders, startLogin, startServices } from './start-services.js';

const running = new Running();

/** Carries the exit status to the top level when everything has been printed already. */
class Exit extends Error {
  constructor(readonly exitCode: number) {
    super();
  }
}

const print = (line: string) => console.log(line);

async function main(): Promise<void> {
  if (existsSync(join(root, '.env'))) process.loadEnvFile(join(root, '.env'));
  const config = await checkedConfig(process.env, process.argv.includes('--auth'));

  const lock = await takeLock(join(home, 'run/start.lock'));
  if ('heldBy' in lock)
    throw new OperationalError(
      `Twinbox is already running from this checkout (pid ${lock.heldBy}). Stop it with Ctrl-C there, or run: kill ${lock.heldBy}`,
    );
  try {
    await startEverything(config, process.argv.includes('--watch'));
    if (process.argv.includes('--open')) openBrowser(consoleUrlOn(config.consolePort));
    await running.untilInterrupted();
  } catch (error) {
    // Printed before stopping, which takes a moment. A string is the name of the signal that requested the stop: not a failure.
    if (typeof error !== 'string') console.error(`\n${describeError(error)}`);
    throw new Exit(typeof error === 'string' ? 0 : 1);
  } finally {
    try {
      await running.stop();
    } finally {
      await lock.release();
    }
  }
}

async function startEverything(config: StartConfig, watch: boolean): Promise<void> {
  await endLeftovers();
  await checkPorts(config);
  print(`Starting Twinbox (logs in ${displayPath(LOGS)}) …`);
  await startLogin(config, running);
  const { databaseUrl, brokers } = await startServers(config, running);
  await startServices({ config, databaseUrl, brokers, watch }, running);
  await createDemoOrders(config, running);
  if (watch) running.compiler = startCompiler();
  print(
    panel({
      ...config,
      // The password of the local server is not a secret, so the URL is shown whole and can be pasted.
      database: config.databaseUrl ? withoutPassword(databaseUrl) : databaseUrl,
      brokers,
      data: dataDirectories().join(' and '),
      logs: displayPath(LOGS),
    }),
  );
}

/** Checks the variables of `npm start` and of all services before anything starts, and reports every wrong one at once. */
async function checkedConfig(env: NodeJS.ProcessEnv, auth: boolean): Promise<StartConfig> {
  print('Checking the configuration …');
  const problems = await serviceProblems(env, auth);
  try {
    const config = startConfig(env, { auth });
    if (problems.length === 0) return config;
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error;
    problems.unshift(error.message);
  }
  throw new OperationalError(problems.join('\n'));
}

/** Names the directory of PostgreSQL's data too where it is outside the checkout (see startPostgres). */
function dataDirectories(): string[] {
  const postgres = running.postgres?.dataDir;
  return [displayPath(join(home, 'data')), ...(postgres && !postgres.startsWith(home) ? [postgres] : [])];
}

/**
 * Stops the processes that a killed `npm start` has left running. Must come before the check of the ports, which they still occupy; only
 * processes that are certainly ours are stopped.
 */
async function endLeftovers(): Promise<void> {
  const services = await endStaleServices();
  await Promise.all([endStalePostgres(DATA.postgres), endStaleKafka(DATA.kafka)]);
  if (services > 0) print('An earlier run was killed; the processes it left running have been stopped.');
}

async function checkPorts(config: StartConfig): Promise<void> {
  const busy: string[] = [];
  for (const { what, variable, port } of localPorts(config))
    if (!(await isFree(port)))
      busy.push(
        `Port ${port} for ${what} is in use by another program. Stop it, or choose another port: ${variable}=${port + 1000} npm start`,
      );
  if (busy.length > 0) throw new OperationalError(busy.join('\n'));
}

/** Handles the second Ctrl-C. */
async function killEverything(): Promise<void> {
  print('Killing everything …');
  await running.kill();
  process.exit(1);
}

let interruptedAt = 0;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    // Under npm a single Ctrl-C arrives twice: from the terminal, and forwarded by npm.
    const again = interruptedAt > 0 && performance.now() - interruptedAt > 500;
    interruptedAt ||= performance.now();
    if (again) void killEverything();
    else running.interrupt(signal);
  });
// Once the terminal is closed, writing fails, but everything must still be stopped.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

try {
  await main();
} catch (error) {
  if (!(error instanceof Exit)) console.error(describeError(error));
  process.exit(error instanceof Exit ? error.exitCode : 1);
}
