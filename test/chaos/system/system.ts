import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort, type KafkaServer, type PostgresServer, root, startKafka, startPostgres } from '@twinbox/tools';
import { FaultProxy } from '@twinbox/tools/fault-proxy';
import { KafkaLeaders, startKafkaCluster } from '@twinbox/tools/kafka-cluster';
import pg from 'pg';
import { installDatabaseFaults, slowDown } from '../faults/database-faults.js';
import { type SimulatedGatewaySettings } from './simulated-gateway.js';
import { Replica } from './replica.js';
import {
  type BrokerName,
  type LinkName,
  type ProcessName,
  type ServerName,
  serviceOf,
  type Setup,
} from '../faults/schedule.js';
import { ReplicatedPostgres, type ServerControl } from './replicated-postgres.js';
import { openShop } from './shop.js';

const exec = promisify(execFile);

const PASSWORDS = { ORDERS_DB_PASSWORD: 'orders', PAYMENTS_DB_PASSWORD: 'payments' };

export const TOPICS = ['order.events', 'payment.events'] as const;
/** The consumers, each with its topic, by the default names of the services. */
export const CONSUMERS = [
  { groupId: 'order-service', topic: 'payment.events' },
  { groupId: 'payment-service', topic: 'order.events' },
  { groupId: 'order-service-notifications', topic: 'order.events' },
] as const;

/** The settings of payment-service in a run. */
export interface PaymentSettings {
  readonly ttlMs: number;
  readonly webhookSecret: string;
  readonly simulated: SimulatedGatewaySettings;
}

/** Two replicas of every process, as shipped, with their own PostgreSQL and Kafka, and a link between each process and each server. */
export interface System {
  readonly processes: ReadonlyMap<ProcessName, Replica>;
  readonly links: ReadonlyMap<LinkName, FaultProxy>;
  /** In a run with a standby, `postgres` is whichever server is the primary. */
  readonly servers: ReadonlyMap<ServerName, ServerControl>;
  /** The primary and its standby, in a run with a standby. */
  readonly replicated: ReplicatedPostgres | undefined;
  /** All connections to PostgreSQL go through these, in a run with a standby including those of `database`. */
  readonly databaseLinks: readonly FaultProxy[];
  /** host:port of each broker, the format of KAFKA_BROKERS. */
  readonly brokers: string;
  /** The partition leaders of a cluster. */
  readonly leaders?: KafkaLeaders;
  /** Connects as a superuser, not through a link that fails. */
  readonly database: pg.Pool;
  /** Descriptions of events that no injected fault explains. */
  readonly unexpectedEvents: readonly string[];
  /** Ends all faults: afterwards everything is running and every link is open. */
  heal(): Promise<void>;
  /** Sends SIGTERM to all processes at once, and returns when they have exited. The servers keep running. */
  terminate(): Promise<void>;
  /** Stops everything and deletes the data of the servers. */
  remove(): Promise<void>;
}

export interface SystemOptions {
  /** Whether PostgreSQL has a synchronous standby. Default: false. */
  readonly standby?: boolean;
}

/**
 * Starts the system. If a part does not start, stops everything again and throws.
 *
 * @param logs the directory for all logs, created if missing
 */
export async function startSystem(
  setup: Setup,
  payments: PaymentSettings,
  logs: string,
  options: SystemOptions = {},
): Promise<System> {
  /** The cleanup steps, to be run in reverse order. */
  const undo: (() => Promise<unknown>)[] = [];
  const remove = async () => {
    for (let step = undo.pop(); step; step = undo.pop()) await step();
  };
  try {
    return { ...(await build(setup, payments, logs, options, undo)), remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

type Undo = (() => Promise<unknown>)[];

async function build(
  setup: Setup,
  payments: PaymentSettings,
  logs: string,
  { standby = false }: SystemOptions,
  undo: Undo,
): Promise<Omit<System, 'remove'>> {
  await mkdir(logs, { recursive: true });
  const { postgres, kafka, brokers } = await startServers(setup, logs, undo);
  const direct = standby ? [await openLink(postgres.port, undo)] : [];
  const connectionString = withPort(postgres.url, direct[0]?.port ?? postgres.port);
  const database = new pg.Pool({ connectionString, max: 4, connectionTimeoutMillis: 5000 });
  // Idle connections are lost when the server stops; the next query opens a new one.
  database.on('error', () => undefined);
  undo.push(() => database.end());
  await openShop(database);
  await installDatabaseFaults(database);
  const replicated = standby
    ? await ReplicatedPostgres.start(postgres, SETTINGS, (nth) => join(logs, `postgres-standby-${nth}.log`))
    : undefined;
  if (replicated) undo.push(() => replicated.remove());

  const links = await openLinks(setup, { postgres, kafka }, undo);
  const unexpectedEvents: string[] = [];
  const processes = await startReplicas(setup, payments, links, logs, undo, (what) => unexpectedEvents.push(what));

  return {
    processes,
    links,
    servers: new Map<ServerName, ServerControl>([['postgres', replicated?.primary ?? postgres], ...kafka]),
    replicated,
    databaseLinks: [...direct, ...[...links].flatMap(([name, link]) => (name.endsWith('postgres') ? [link] : []))],
    brokers,
    ...(kafka.size > 1 && { leaders: new KafkaLeaders(brokers.split(','), TOPICS) }),
    database,
    unexpectedEvents,
    async terminate() {
      await Promise.all([...processes.values()].map((replica) => replica.terminate()));
    },
    async heal() {
      for (const link of links.values()) link.heal();
      const servers = [...(replicated ? [] : [postgres]), ...kafka.values()];
      await Promise.all(servers.map((server) => server.resume()));
      await Promise.all(servers.map((server) => server.start()));
      await replicated?.heal();
      await slowDown(database, 0);
      for (const replica of processes.values()) replica.resume();
      await Promise.all([...processes.values()].map((replica) => replica.start()));
    },
  };
}

async function startReplicas(
  setup: Setup,
  payments: PaymentSettings,
  links: ReadonlyMap<LinkName, FaultProxy>,
  logs: string,
  undo: Undo,
  reportUnexpected: (what: string) => void,
): Promise<ReadonlyMap<ProcessName, Replica>> {
  const processes = new Map<ProcessName, Replica>();
  for (const name of setup.processes) {
    const logFile = join(logs, `${name.replace(/[ /]/g, '-')}.log`);
    const variables = variablesOf(name, links, setup, payments);
    const replica = new Replica(name, await freePort(), variables, logFile, reportUnexpected);
    undo.push(() => replica.kill());
    processes.set(name, replica);
  }
  await Promise.all([...processes.values()].map((replica) => replica.start()));
  return processes;
}

interface Servers {
  readonly postgres: PostgresServer;
  readonly kafka: ReadonlyMap<BrokerName, KafkaServer>;
  readonly brokers: string;
}

/** Logs the process of each line, and who waited for whose lock. */
const SETTINGS = { log_line_prefix: '%m [%p] %a ', log_lock_waits: 'on' };

/** Starts PostgreSQL and Kafka with migrated schemas and the topics. */
async function startServers(setup: Setup, logs: string, undo: Undo): Promise<Servers> {
  const postgres = await startPostgres({
    database: 'twinbox',
    logFile: join(logs, 'postgres.log'),
    settings: SETTINGS,
  });
  undo.push(() => postgres.remove());
  const { kafka, brokers } = await startBrokers(setup.brokers, logs, undo);
  const env = { PATH: process.env['PATH'], ...PASSWORDS, DATABASE_URL: postgres.url, KAFKA_BROKERS: brokers };
  for (const command of ['migrations/dist/migrate.js', 'tools/dist/provisioning/topics.js'])
    await exec(process.execPath, [join(root, command)], { env });
  return { postgres, kafka, brokers };
}

async function startBrokers(
  names: readonly BrokerName[],
  logs: string,
  undo: Undo,
): Promise<Pick<Servers, 'kafka' | 'brokers'>> {
  const logFile = join(logs, 'kafka.log');
  if (names.length === 1) {
    const node = await startKafka({ logFile });
    undo.push(() => node.remove());
    return { kafka: new Map(names.map((name) => [name, node])), brokers: node.brokers };
  }
  const cluster = await startKafkaCluster({ size: names.length, logFile });
  undo.push(() => cluster.remove());
  // The node ids are in the names.
  const kafka = new Map(cluster.nodes.map((node, n): [BrokerName, KafkaServer] => [`kafka-${n + 1}`, node]));
  return { kafka, brokers: cluster.brokers };
}

async function openLinks(
  setup: Setup,
  { postgres, kafka }: Omit<Servers, 'brokers'>,
  undo: Undo,
): Promise<ReadonlyMap<LinkName, FaultProxy>> {
  const links = new Map<LinkName, FaultProxy>();
  const ports = [...kafka.values()].map(({ port }) => port);
  for (const process of setup.processes) {
    const toPostgres = await FaultProxy.open(postgres.port);
    const toBrokers = await FaultProxy.openAll(ports);
    for (const link of [toPostgres, ...toBrokers]) undo.push(() => link.close());
    links.set(`${process} → postgres`, toPostgres);
    for (const [n, broker] of [...kafka.keys()].entries())
      if (toBrokers[n]) links.set(`${process} → ${broker}`, toBrokers[n]);
  }
  return links;
}

async function openLink(port: number, undo: Undo): Promise<FaultProxy> {
  const link = await FaultProxy.open(port);
  undo.push(() => link.close());
  return link;
}

function withPort(url: string, port: number): string {
  const changed = new URL(url);
  changed.port = String(port);
  return changed.href;
}

function variablesOf(
  name: ProcessName,
  links: ReadonlyMap<LinkName, FaultProxy>,
  setup: Setup,
  payments: PaymentSettings,
): Record<string, string> {
  const role = serviceOf(name) === 'order-service' ? 'orders' : 'payments';
  const isRelay = name.includes(' relay/');
  return {
    DATABASE_URL: `postgres://${role}:${role}@127.0.0.1:${links.get(`${name} → postgres`)?.port}/twinbox`,
    KAFKA_BROKERS: setup.brokers.map((broker) => `127.0.0.1:${links.get(`${name} → ${broker}`)?.port}`).join(','),
    ...(serviceOf(name) === setup.separateRelaysOf && !isRelay && { RELAY: 'off' }),
    ...(name.startsWith('payment-service/') && paymentVariables(setup, payments)),
  };
}

function paymentVariables(
  { gateway }: Setup,
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
