import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort, type KafkaServer, type PostgresServer, root, startKafka, startPostgres } from '@twinbox/tools';
import pg from 'pg';
import { installDatabaseFaults, slowDown } from './database-faults.js';
import { type GatewayTerms } from './gateway-books.js';
import { Link } from './link.js';
import { Replica } from './replica.js';
import { type Cast, type LinkName, type ProcessName, serviceOf } from './schedule.js';
import { openShop } from './shop.js';

const exec = promisify(execFile);

const PASSWORDS = { ORDERS_DB_PASSWORD: 'orders', PAYMENTS_DB_PASSWORD: 'payments' };

export const TOPICS = ['order.events', 'payment.events'] as const;
/** The consumers, each with the topic that it hears; both are named by the services' defaults. */
export const CONSUMERS = [
  { groupId: 'order-service', topic: 'payment.events' },
  { groupId: 'payment-service', topic: 'order.events' },
  { groupId: 'order-service-notifications', topic: 'order.events' },
] as const;

/** What a run sets of payment-service. */
export interface PaymentSettings {
  readonly ttlMs: number;
  readonly webhookSecret: string;
  readonly simulated: GatewayTerms;
}

/** Two replicas of whatever runs, as it ships, on a PostgreSQL and a Kafka of their own, with a link before each. */
export interface System {
  readonly processes: ReadonlyMap<ProcessName, Replica>;
  readonly links: ReadonlyMap<LinkName, Link>;
  readonly postgres: PostgresServer;
  readonly kafka: KafkaServer;
  /** Past all links, as a superuser. */
  readonly database: pg.Pool;
  /** What nobody did to it and still happened. */
  readonly complaints: readonly string[];
  /** Everything runs and every link is open, whatever was done to it before. */
  heal(): Promise<void>;
  /** SIGTERM to all processes at once; returns when they have ended. The servers go on. */
  terminate(): Promise<void>;
  /** Ends everything and deletes the servers' data. */
  remove(): Promise<void>;
}

/**
 * @param logs the directory for the logs of everything, made when missing
 * @throws with everything ended again, when a part does not start
 */
export async function startSystem(cast: Cast, payments: PaymentSettings, logs: string): Promise<System> {
  /** What undoes what was done, in reverse. */
  const undo: (() => Promise<unknown>)[] = [];
  const remove = async () => {
    for (let step = undo.pop(); step; step = undo.pop()) await step();
  };
  try {
    return { ...(await build(cast, payments, logs, undo)), remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function build(
  cast: Cast,
  payments: PaymentSettings,
  logs: string,
  undo: (() => Promise<unknown>)[],
): Promise<Omit<System, 'remove'>> {
  await mkdir(logs, { recursive: true });
  const postgres = await startPostgres({
    database: 'twinbox',
    logFile: join(logs, 'postgres.log'),
    // Which process a line is about, and who waited for whom.
    settings: { log_line_prefix: '%m [%p] %a ', log_lock_waits: 'on' },
  });
  undo.push(() => postgres.remove());
  const kafka = await startKafka({ logFile: join(logs, 'kafka.log') });
  undo.push(() => kafka.remove());
  const env = { PATH: process.env['PATH'], ...PASSWORDS, DATABASE_URL: postgres.url, KAFKA_BROKERS: kafka.brokers };
  for (const command of ['migrate', 'topics'])
    await exec(process.execPath, [join(root, `migrations/dist/${command}.js`)], { env });
  const database = new pg.Pool({ connectionString: postgres.url, max: 4, connectionTimeoutMillis: 5000 });
  // An idle connection ends with its server; the next query makes a new one.
  database.on('error', () => undefined);
  undo.push(() => database.end());
  await openShop(database);
  await installDatabaseFaults(database);

  const links = new Map<LinkName, Link>();
  for (const name of cast.links) {
    const isKafka = name.endsWith('kafka');
    const link = await Link.open(isKafka ? kafka.port : postgres.port, { advertises: isKafka });
    undo.push(() => link.close());
    links.set(name, link);
  }

  const complaints: string[] = [];
  const processes = new Map<ProcessName, Replica>();
  for (const name of cast.processes) {
    const role = serviceOf(name) === 'order-service' ? 'orders' : 'payments';
    const isRelay = name.includes(' relay/');
    const logFile = join(logs, `${name.replace(/[ /]/g, '-')}.log`);
    const variables = {
      DATABASE_URL: `postgres://${role}:${role}@127.0.0.1:${links.get(`${name} → postgres`)?.port}/twinbox`,
      KAFKA_BROKERS: `127.0.0.1:${links.get(`${name} → kafka`)?.port}`,
      ...(serviceOf(name) === cast.relaysApart && !isRelay && { RELAY: 'off' }),
      ...(name.startsWith('payment-service/') && paymentVariables(cast, payments)),
    };
    const replica = new Replica(name, await freePort(), variables, logFile, (what) => complaints.push(what));
    undo.push(() => replica.kill());
    processes.set(name, replica);
  }
  await Promise.all([...processes.values()].map((replica) => replica.start()));

  return {
    processes,
    links,
    postgres,
    kafka,
    database,
    complaints,
    async terminate() {
      await Promise.all([...processes.values()].map((replica) => replica.terminate()));
    },
    async heal() {
      for (const link of links.values()) link.heal();
      await Promise.all([postgres.resume(), kafka.resume()]);
      await Promise.all([postgres.start(), kafka.start()]);
      await slowDown(database, 0);
      for (const replica of processes.values()) replica.resume();
      await Promise.all([...processes.values()].map((replica) => replica.start()));
    },
  };
}

function paymentVariables(
  { gateway }: Cast,
  { ttlMs, webhookSecret, simulated }: PaymentSettings,
): Record<string, string> {
  return {
    PAYMENT_TTL: `${ttlMs}ms`,
    WEBHOOK_SECRET: webhookSecret,
    PAYMENT_GATEWAY: gateway,
    SIMULATED_DELAY: `${simulated.delayMs}ms`,
    SIMULATED_FAILURE_RATE: String(simulated.failureRate),
    SIMULATED_SEED: simulated.seed,
  };
}
