import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ON_A_BUSY_MACHINE, QUOTAS_FOR_LOAD, steadyPort, WITHOUT_RATE_LIMITS } from '@twinbox/tools';
import { type FaultProxy } from '@twinbox/tools/fault-proxy';
import { KafkaLeaders } from '@twinbox/tools/kafka-cluster';
import pg from 'pg';
import { installDatabaseFaults, slowDown } from '../faults/database-faults.js';
import { type SimulatedGatewaySettings } from './simulated-gateway.js';
import { Replica } from './replica.js';
import { type LinkName, type ProcessName, type ServerName, serviceOf, type Setup } from '../faults/schedule.js';
import { ReplicatedPostgres, type ServerControl } from './replicated-postgres.js';
import { openLink, openLinks, POSTGRES_SETTINGS, type Servers, startServers, type Undo } from './servers.js';
import { openShop } from './shop.js';

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
  /** Whether Kafka requires TLS and SASL of the services. Default: false. */
  readonly secure?: boolean;
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
  const undo: Undo = [];
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

async function build(
  setup: Setup,
  payments: PaymentSettings,
  logs: string,
  { standby = false, secure = false }: SystemOptions,
  undo: Undo,
): Promise<Omit<System, 'remove'>> {
  await mkdir(logs, { recursive: true });
  const { postgres, kafka, brokers, secured } = await startServers(setup, logs, secure, undo);
  const direct = standby ? [await openLink(postgres.port, undo)] : [];
  const connectionString = withPort(postgres.url, direct[0]?.port ?? postgres.port);
  const database = new pg.Pool({ connectionString, max: 4, connectionTimeoutMillis: 5000 });
  // Idle connections are lost when the server stops; the next query opens a new one.
  database.on('error', () => undefined);
  undo.push(() => database.end());
  await openShop(database);
  await installDatabaseFaults(database);
  const replicated = standby
    ? await ReplicatedPostgres.start(postgres, POSTGRES_SETTINGS, (nth) => join(logs, `postgres-standby-${nth}.log`))
    : undefined;
  if (replicated) undo.push(() => replicated.remove());

  const links = await openLinks(setup, { postgres, kafka, secured }, undo);
  const unexpectedEvents: string[] = [];
  const own = { payments, secured };
  const processes = await startReplicas(setup, own, links, logs, undo, (what) => unexpectedEvents.push(what));

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
  { payments, secured }: { readonly payments: PaymentSettings } & Pick<Servers, 'secured'>,
  links: ReadonlyMap<LinkName, FaultProxy>,
  logs: string,
  undo: Undo,
  reportUnexpected: (what: string) => void,
): Promise<ReadonlyMap<ProcessName, Replica>> {
  const processes = new Map<ProcessName, Replica>();
  for (const name of setup.processes) {
    const logFile = join(logs, `${name.replace(/[ /]/g, '-')}.log`);
    const variables = { ...secured?.variables, ...variablesOf(name, links, setup, payments) };
    const replica = new Replica(name, await steadyPort(), variables, logFile, reportUnexpected);
    undo.push(() => replica.kill());
    processes.set(name, replica);
  }
  await Promise.all([...processes.values()].map((replica) => replica.start()));
  return processes;
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
    // The load comes from a few callers at one address.
    ...WITHOUT_RATE_LIMITS,
    ...ON_A_BUSY_MACHINE,
    DATABASE_URL: `postgres://${role}:${role}@127.0.0.1:${links.get(`${name} → postgres`)?.port}/twinbox`,
    KAFKA_BROKERS: setup.brokers.map((broker) => `127.0.0.1:${links.get(`${name} → ${broker}`)?.port}`).join(','),
    ...(serviceOf(name) === 'order-service' && QUOTAS_FOR_LOAD),
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
