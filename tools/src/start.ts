// npm start: PostgreSQL, Kafka, migrations, topics, demo data and both services, until Ctrl-C.
import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import pg from 'pg';
import { home, root } from './checkout.js';
import { endStaleKafka, type KafkaServer, startKafka } from './kafka.js';
import { STEP_HEAP } from './memory.js';
import { panel } from './panel.js';
import { answers, isFree } from './ports.js';
import { endStalePostgres, type PostgresServer, startPostgres } from './postgres.js';
import { end, run, serversBelow } from './processes.js';
import {
  endStaleServices,
  localEnvironment,
  type Service,
  type ServiceName,
  serviceProblems,
  startCompiler,
  startService,
} from './services.js';
import { takeLock } from './single-instance.js';
import { localPorts, type StartConfig, startConfig, urlAs, withoutPassword } from './start-config.js';
import { timed } from './timed.js';
import { describe, Trouble } from './trouble.js';

const DATA = { postgres: join(home, 'data/postgres'), kafka: join(home, 'data/kafka') };
const LOGS = join(home, 'logs');
const log = (name: string) => join(LOGS, `${name}.log`);

/** What runs, in the order in which it must be stopped: services before what they use. */
const running: {
  compiler?: { stop(): Promise<void> };
  services: Service[];
  postgres?: PostgresServer;
  kafka?: KafkaServer;
} = {
  services: [],
};

/** Everything was said already; only the exit status is left. */
class Ended extends Error {
  constructor(readonly exitCode: number) {
    super();
  }
}

/** Aborted by a signal, or by the failure of one step while another is under way. */
const stopping = new AbortController();

const say = (line: string) => console.log(line);

async function main(): Promise<void> {
  if (existsSync(join(root, '.env'))) process.loadEnvFile(join(root, '.env'));
  const config = await checkedConfig(process.env);
  const watch = process.argv.includes('--watch');

  const lock = await takeLock(join(home, 'run/start.lock'));
  if ('heldBy' in lock)
    throw new Trouble(
      `Twinbox is already running from this checkout (pid ${lock.heldBy}). Stop it there with Ctrl-C, or: kill ${lock.heldBy}`,
    );
  try {
    await endLeftovers();
    await checkPorts(config);
    say(`Starting Twinbox (logs in ${shown(LOGS)}) …`);
    const { databaseUrl, brokers } = await startServers(config);
    await startServices(config, databaseUrl, brokers, watch);
    await makeDemoOrders(config);
    if (watch) running.compiler = startCompiler();
    say(
      panel({
        ...config,
        // The local one's password is no secret, and so can be pasted.
        database: config.databaseUrl ? withoutPassword(databaseUrl) : databaseUrl,
        brokers,
        data: dataDirectories().join(' and '),
        logs: shown(LOGS),
      }),
    );
    await interruption();
  } catch (error) {
    // Before the stopping, which takes a moment. A string is the name of the signal that ended it: as asked for.
    if (typeof error !== 'string') console.error(`\n${describe(error)}`);
    throw new Ended(typeof error === 'string' ? 0 : 1);
  } finally {
    try {
      await stopEverything();
    } finally {
      await lock.release();
    }
  }
}

/** Every variable that is wrong, of the starter and of both services, before anything is started. */
async function checkedConfig(env: NodeJS.ProcessEnv): Promise<StartConfig> {
  say('Checking the configuration …');
  const problems = await serviceProblems(env);
  try {
    const config = startConfig(env);
    if (problems.length === 0) return config;
  } catch (error) {
    if (!(error instanceof Trouble)) throw error;
    problems.unshift(error.message);
  }
  throw new Trouble(problems.join('\n'));
}

/** PostgreSQL may have had to keep its data elsewhere: see startPostgres. */
function dataDirectories(): string[] {
  const postgres = running.postgres?.dataDir;
  return [shown(join(home, 'data')), ...(postgres && !postgres.startsWith(home) ? [postgres] : [])];
}

const shown = (path: string) => relative(process.cwd(), path) || path;

/** A killed starter could stop nothing: end what is left, and is ours for certain, before its ports are looked at. */
async function endLeftovers(): Promise<void> {
  const services = await endStaleServices();
  await Promise.all([endStalePostgres(DATA.postgres), endStaleKafka(DATA.kafka)]);
  if (services > 0) say('An earlier run did not end by itself; what it left running has been stopped.');
}

async function checkPorts(config: StartConfig): Promise<void> {
  const busy: string[] = [];
  for (const { what, variable, port } of localPorts(config))
    if (!(await isFree(port)))
      busy.push(
        `Port ${port} for ${what} is in use by another program. End that, or choose another port: ${variable}=${port + 1000} npm start`,
      );
  if (busy.length > 0) throw new Trouble(busy.join('\n'));
}

/** All at the same time; the first failure ends the others' work, and all have settled before anything is stopped. */
async function together<T extends readonly Promise<unknown>[]>(...work: T): Promise<{ [I in keyof T]: Awaited<T[I]> }> {
  for (const one of work) one.catch((error: unknown) => stopping.abort(error));
  await Promise.allSettled(work);
  stopping.signal.throwIfAborted();
  return Promise.all(work);
}

/** PostgreSQL and Kafka, each made ready for the services as soon as it runs. */
async function startServers(config: StartConfig): Promise<{ databaseUrl: string; brokers: string }> {
  say('  starting PostgreSQL and Kafka …');
  const [databaseUrl, brokers] = await together(prepareDatabase(config), prepareKafka(config));
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
  await step('demo products', 'migrations/dist/demo-products.js', env);
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
  await step('topics', 'migrations/dist/topics.js', { KAFKA_BROKERS: brokers });
  return brokers;
}

async function useBrokers(brokers: string): Promise<string> {
  await timed(`Kafka at ${brokers}`, () => checkBrokers(brokers));
  return brokers;
}

async function startBroker(port: number): Promise<string> {
  const onProgress = (what: string) => say(`    Kafka: ${what} …`);
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
    throw new Trouble(
      `DATABASE_URL=${withoutPassword(url)} cannot be used: ${message || code}. Check that the server runs, that the database exists ` +
        'and that the user may enter it; or unset DATABASE_URL for a local server.',
    );
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function checkBrokers(brokers: string): Promise<void> {
  const reachable = brokers.split(',').map((broker) => {
    const [host, port] = broker.split(':');
    return answers(Number(port), host, 5_000);
  });
  if (!(await Promise.all(reachable)).includes(true))
    throw new Trouble(
      `KAFKA_BROKERS=${brokers} cannot be reached. Check that Kafka runs there, or unset KAFKA_BROKERS for a local broker.`,
    );
}

/** Runs one of our commands to its end. */
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
    // Until then an order would wait for its payment, and its customer for the mail.
    await timed(`relay and consumers of ${name}`, () => service.messagingRuns(stopping.signal));
  };
  say('  starting the services …');
  await together(
    start('order-service', config.orderPort, 'orders', config.ordersPassword),
    start('payment-service', config.paymentPort, 'payments', config.paymentsPassword),
  );
}

async function makeDemoOrders(config: StartConfig): Promise<void> {
  if (process.env['RELAY']?.trim() === 'off')
    return say('  – no demo orders: with RELAY=off they would wait for relays (npm run relay -- order-service)');
  await step('demo orders', 'tools/dist/demo.js', {
    ORDER_URL: `http://127.0.0.1:${config.orderPort}`,
    PAYMENT_URL: `http://127.0.0.1:${config.paymentPort}`,
    WEBHOOK_SECRET: config.webhookSecret,
  });
}

/** Returns never: throws the signal's name, or the Trouble of a service that ended by itself. */
async function interruption(): Promise<never> {
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
  say('\nStopping …');
  await compiler?.stop();
  await Promise.all(services.map((service) => service.stop(10_000)));
  await Promise.all([postgres?.stop(), kafka?.stop()]);
  say(`Stopped (${((performance.now() - start) / 1000).toFixed(1)} s).`);
}

/** The second Ctrl-C: what is committed is safe in the data directories, so nothing is asked any more. */
async function force(): Promise<void> {
  say('Killing everything …');
  const { compiler, services, postgres, kafka } = running;
  await Promise.allSettled([
    compiler?.stop(),
    ...services.map((service) => service.stop(0)),
    postgres?.kill(),
    kafka?.kill(),
  ]);
  // One that was still starting is in no list yet.
  await end(await serversBelow(home), 0, 'SIGKILL');
  process.exit(1);
}

let interruptedAt = 0;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    // One Ctrl-C comes twice under npm: from the terminal, and passed on by npm itself.
    const again = interruptedAt > 0 && performance.now() - interruptedAt > 500;
    interruptedAt ||= performance.now();
    if (again) void force();
    else stopping.abort(signal);
  });
// After the terminal was closed there is nobody to tell, but everything still to stop.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

try {
  await main();
} catch (error) {
  if (!(error instanceof Ended)) console.error(describe(error));
  process.exit(error instanceof Ended ? error.exitCode : 1);
}
