// npm start: starts PostgreSQL, Kafka, migrations, topics, demo data and both services, and keeps them running until Ctrl-C.
import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import pg from 'pg';
import { home, root } from '../checkout.js';
import { startKafka } from '../servers/kafka.js';
import { type KafkaServer } from '../servers/kafka-server.js';
import { endStaleKafka } from '../servers/stale-kafka.js';
import { STEP_HEAP } from '../memory.js';
import { panel } from './panel.js';
import { acceptsConnections, isFree } from '../servers/ports.js';
import { endStalePostgres, startPostgres } from '../servers/postgres.js';
import { type PostgresServer } from '../servers/postgres-server.js';
import { end, run, serversBelow } from '../servers/processes.js';
import {
  endStaleServices,
  localEnvironment,
  type Service,
  type ServiceName,
  serviceProblems,
  startCompiler,
  startService,
} from './service-process.js';
import { takeLock } from './single-instance.js';
import { localPorts, type StartConfig, startConfig, urlAs, withoutPassword } from './config.js';
import { timed } from './timed.js';
import { describeError, OperationalError } from '../errors.js';

const DATA = { postgres: join(home, 'data/postgres'), kafka: join(home, 'data/kafka') };
const LOGS = join(home, 'logs');
const log = (name: string) => join(LOGS, `${name}.log`);

/** The running parts, in the order in which they must be stopped: services before the servers they use. */
const running: {
  compiler?: { stop(): Promise<void> };
  services: Service[];
  postgres?: PostgresServer;
  kafka?: KafkaServer;
} = {
  services: [],
};

/** Carries the exit status to the top level when everything has been printed already. */
class Exit extends Error {
  constructor(readonly exitCode: number) {
    super();
  }
}

/** Aborted by a signal, or when one of several concurrent steps fails. */
const stopping = new AbortController();

const print = (line: string) => console.log(line);

async function main(): Promise<void> {
  if (existsSync(join(root, '.env'))) process.loadEnvFile(join(root, '.env'));
  const config = await checkedConfig(process.env);
  const watch = process.argv.includes('--watch');

  const lock = await takeLock(join(home, 'run/start.lock'));
  if ('heldBy' in lock)
    throw new OperationalError(
      `Twinbox is already running from this checkout (pid ${lock.heldBy}). Stop it with Ctrl-C there, or run: kill ${lock.heldBy}`,
    );
  try {
    await endLeftovers();
    await checkPorts(config);
    print(`Starting Twinbox (logs in ${displayPath(LOGS)}) …`);
    const { databaseUrl, brokers } = await startServers(config);
    await startServices(config, databaseUrl, brokers, watch);
    await createDemoOrders(config);
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
    await untilInterrupted();
  } catch (error) {
    // Printed before stopping, which takes a moment. A string is the name of the signal that requested the stop: not a failure.
    if (typeof error !== 'string') console.error(`\n${describeError(error)}`);
    throw new Exit(typeof error === 'string' ? 0 : 1);
  } finally {
    try {
      await stopEverything();
    } finally {
      await lock.release();
    }
  }
}

/** Checks the variables of `npm start` and of both services before anything starts, and reports every wrong one at once. */
async function checkedConfig(env: NodeJS.ProcessEnv): Promise<StartConfig> {
  print('Checking the configuration …');
  const problems = await serviceProblems(env);
  try {
    const config = startConfig(env);
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

const displayPath = (path: string) => relative(process.cwd(), path) || path;

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

/** Runs the work concurrently. The first failure aborts the rest; all of it has settled before anything is stopped. */
async function concurrently<T extends readonly Promise<unknown>[]>(
  ...work: T
): Promise<{ [I in keyof T]: Awaited<T[I]> }> {
  for (const one of work) one.catch((error: unknown) => stopping.abort(error));
  await Promise.allSettled(work);
  stopping.signal.throwIfAborted();
  return Promise.all(work);
}

/** Starts PostgreSQL and Kafka, and prepares each for the services as soon as it runs. */
async function startServers(config: StartConfig): Promise<{ databaseUrl: string; brokers: string }> {
  print('  starting PostgreSQL and Kafka …');
  const [databaseUrl, brokers] = await concurrently(prepareDatabase(config), prepareKafka(config));
  return { databaseUrl, brokers };
}

async function prepareDatabase(config: StartConfig): Promise<string> {
  const url = config.databaseUrl ? await useDatabase(config.databaseUrl) : await startDatabase(config.postgresPort);
  const env = {
    DATABASE_URL: url,
    ORDERS_DB_PASSWORD: config.ordersPassword,
    PAYMENTS_DB_PASSWORD: config.paymentsPassword,
  };
  await step('migrations', 'migrations/dist/migrate.js', env);
  await step('demo products', 'tools/dist/provisioning/demo-products.js', env);
  return url;
}

async function useDatabase(url: string): Promise<string> {
  await timed(`PostgreSQL at ${withoutPassword(url)}`, () => checkDatabase(url));
  return url;
}

async function startDatabase(port: number): Promise<string> {
  const options = {
    dataDir: DATA.postgres,
    port,
    database: 'twinbox',
    logFile: log('postgres'),
    signal: stopping.signal,
  };
  running.postgres = await timed(`PostgreSQL on port ${port}`, () => startPostgres(options));
  return running.postgres.url;
}

async function prepareKafka({ kafkaBrokers, kafkaPort }: StartConfig): Promise<string> {
  const brokers = kafkaBrokers ? await useBrokers(kafkaBrokers) : await startBroker(kafkaPort);
  await step('topics', 'tools/dist/provisioning/topics.js', { KAFKA_BROKERS: brokers });
  return brokers;
}

async function useBrokers(brokers: string): Promise<string> {
  await timed(`Kafka at ${brokers}`, () => checkBrokers(brokers));
  return brokers;
}

async function startBroker(port: number): Promise<string> {
  const onProgress = (what: string) => print(`    Kafka: ${what} …`);
  const options = { dataDir: DATA.kafka, port, logFile: log('kafka'), onProgress, signal: stopping.signal };
  running.kafka = await timed(`Kafka on port ${port}`, () => startKafka(options));
  return running.kafka.brokers;
}

async function checkDatabase(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  try {
    await client.connect();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new OperationalError(
      `DATABASE_URL=${withoutPassword(url)} cannot be used: ${message || code}. Check that the server is running, that the database ` +
        'exists and that the user may connect to it; or unset DATABASE_URL to use a local server.',
    );
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function checkBrokers(brokers: string): Promise<void> {
  const reachable = brokers.split(',').map((broker) => {
    const [host, port] = broker.split(':');
    return acceptsConnections(Number(port), host, 5_000);
  });
  if (!(await Promise.all(reachable)).includes(true))
    throw new OperationalError(
      `KAFKA_BROKERS=${brokers} cannot be reached. Check that Kafka is running there, or unset KAFKA_BROKERS to use a local broker.`,
    );
}

/** Runs one of the repository's own commands and waits for it to exit. */
const step = (what: string, file: string, env: NodeJS.ProcessEnv) =>
  timed(what, () => {
    const options = { what: `The step "${what}"`, logFile: log('setup'), cwd: root, signal: stopping.signal };
    return run(process.execPath, [STEP_HEAP, join(root, file)], { ...options, env: { ...process.env, ...env } });
  });

async function startServices(config: StartConfig, databaseUrl: string, brokers: string, watch: boolean): Promise<void> {
  const start = async (name: ServiceName, port: number, user: string, password: string) => {
    const service = await startService({
      name,
      port,
      watch,
      logFile: log(name),
      env: {
        ...localEnvironment(name),
        DATABASE_URL: urlAs(databaseUrl, user, password),
        KAFKA_BROKERS: brokers,
        LOG_FORMAT: watch ? 'pretty' : 'json',
        WEBHOOK_SECRET: config.webhookSecret,
      },
    });
    running.services.push(service);
    await timed(`${name} on port ${port}`, () => service.ready(stopping.signal));
    // Before that, the payment of an order and the e-mail to its customer would be delayed.
    await timed(`relay and consumers of ${name}`, () => service.messagingReady(stopping.signal));
  };
  print('  starting the services …');
  await concurrently(
    start('order-service', config.orderPort, 'orders', config.ordersPassword),
    start('payment-service', config.paymentPort, 'payments', config.paymentsPassword),
  );
}

async function createDemoOrders(config: StartConfig): Promise<void> {
  if (process.env['RELAY']?.trim() === 'off')
    return print('  – no demo orders: with RELAY=off they need separate relays (npm run relay -- order-service)');
  await step('demo orders', 'tools/dist/provisioning/demo-orders.js', {
    ORDER_URL: `http://127.0.0.1:${config.orderPort}`,
    PAYMENT_URL: `http://127.0.0.1:${config.paymentPort}`,
    WEBHOOK_SECRET: config.webhookSecret,
  });
}

/** Never returns: throws the name of the signal, or the error of a service that exited unexpectedly. */
async function untilInterrupted(): Promise<never> {
  const aborted = new Promise<never>((_, reject) => {
    if (stopping.signal.aborted) reject(stopping.signal.reason);
    stopping.signal.addEventListener('abort', () => reject(stopping.signal.reason));
  });
  throw await Promise.race([aborted, ...running.services.map(({ died }) => died)]);
}

async function stopEverything(): Promise<void> {
  const { compiler, services, postgres, kafka } = running;
  if (!compiler && services.length === 0 && !postgres && !kafka) return;
  const start = performance.now();
  print('\nStopping …');
  await compiler?.stop();
  await Promise.all(services.map((service) => service.stop(10_000)));
  await Promise.all([postgres?.stop(), kafka?.stop()]);
  print(`Stopped (${((performance.now() - start) / 1000).toFixed(1)} s).`);
}

/** Handles the second Ctrl-C: kills everything without a graceful shutdown. Committed data is safe in the data directories. */
async function killEverything(): Promise<void> {
  print('Killing everything …');
  const { compiler, services, postgres, kafka } = running;
  await Promise.allSettled([
    compiler?.stop(),
    ...services.map((service) => service.stop(0)),
    postgres?.kill(),
    kafka?.kill(),
  ]);
  // A server that is still starting is not in `running` yet.
  await end(await serversBelow(home), 0, 'SIGKILL');
  process.exit(1);
}

let interruptedAt = 0;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    // Under npm a single Ctrl-C arrives twice: from the terminal, and forwarded by npm.
    const again = interruptedAt > 0 && performance.now() - interruptedAt > 500;
    interruptedAt ||= performance.now();
    if (again) void killEverything();
    else stopping.abort(signal);
  });
// Once the terminal is closed, writing fails, but everything must still be stopped.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

try {
  await main();
} catch (error) {
  if (!(error instanceof Exit)) console.error(describeError(error));
  process.exit(error instanceof Exit ? error.exitCode : 1);
}
