import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type KafkaServer, type PostgresServer, root, startKafka, startPostgres } from '@twinbox/tools';
import { FaultProxy, type ProxyTls } from '@twinbox/tools/fault-proxy';
import { startKafkaCluster } from '@twinbox/tools/kafka-cluster';
import { saslVariables, startSecureKafka } from '@twinbox/tools/secure-servers';
import { type BrokerName, type LinkName, type Setup } from '../faults/schedule.js';

const exec = promisify(execFile);

const PASSWORDS = { ORDERS_DB_PASSWORD: 'orders', PAYMENTS_DB_PASSWORD: 'payments' };

/** The cleanup steps, to be run in reverse order. */
export type Undo = (() => Promise<unknown>)[];

export interface Servers {
  readonly postgres: PostgresServer;
  readonly kafka: ReadonlyMap<BrokerName, KafkaServer>;
  /** host:port of each broker, the format of KAFKA_BROKERS. */
  readonly brokers: string;
  /** How the services connect to a broker that requires TLS and SASL of them. */
  readonly secured?: Secured | undefined;
}

interface Secured {
  /** The port of the listener with TLS and SASL. */
  readonly port: number;
  /** For the links, which would otherwise see nothing but noise. */
  readonly tls: ProxyTls;
  readonly variables: Readonly<Record<string, string>>;
}

/** The settings of every PostgreSQL. Logs the process of each line, and who waited for whose lock. */
export const POSTGRES_SETTINGS = { log_line_prefix: '%m [%p] %a ', log_lock_waits: 'on' };

/** Starts PostgreSQL and Kafka with migrated schemas and the topics. */
export async function startServers(setup: Setup, logs: string, secure: boolean, undo: Undo): Promise<Servers> {
  const postgres = await startPostgres({
    database: 'twinbox',
    logFile: join(logs, 'postgres.log'),
    settings: POSTGRES_SETTINGS,
  });
  undo.push(() => postgres.remove());
  const { kafka, brokers, secured } = secure
    ? await startSecureBroker(setup.brokers, logs, undo)
    : await startBrokers(setup.brokers, logs, undo);
  const env = { PATH: process.env['PATH'], ...PASSWORDS, DATABASE_URL: postgres.url, KAFKA_BROKERS: brokers };
  for (const command of ['migrations/dist/migrate.js', 'tools/dist/provisioning/topics.js'])
    await exec(process.execPath, [join(root, command)], { env });
  return { postgres, kafka, brokers, secured };
}

async function startBrokers(
  names: readonly BrokerName[],
  logs: string,
  undo: Undo,
): Promise<Omit<Servers, 'postgres'>> {
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

async function startSecureBroker(
  names: readonly BrokerName[],
  logs: string,
  undo: Undo,
): Promise<Omit<Servers, 'postgres'>> {
  const node = await startSecureKafka({ shortLived: false, logFile: join(logs, 'kafka.log') });
  undo.push(() => node.remove());
  const ca = await readFile(node.authority.caFile, 'utf8');
  const { certFile, keyFile } = await node.authority.issue({ name: 'link', hosts: 'IP:127.0.0.1' });
  const [cert, key] = [await readFile(certFile, 'utf8'), await readFile(keyFile, 'utf8')];
  const secured = { port: Number(node.sasl.split(':')[1]), tls: { cert, key, ca }, variables: saslVariables(ca) };
  return { kafka: new Map(names.map((name) => [name, node])), brokers: node.brokers, secured };
}

/** Opens a link between each process and each server. */
export async function openLinks(
  setup: Setup,
  { postgres, kafka, secured }: Omit<Servers, 'brokers'>,
  undo: Undo,
): Promise<ReadonlyMap<LinkName, FaultProxy>> {
  const links = new Map<LinkName, FaultProxy>();
  const ports = secured ? [secured.port] : [...kafka.values()].map(({ port }) => port);
  const options = secured && { tls: secured.tls };
  for (const process of setup.processes) {
    links.set(`${process} → postgres`, await openLink(postgres.port, undo));
    const toBrokers = await FaultProxy.openAll(ports, options);
    for (const link of toBrokers) undo.push(() => link.close());
    for (const [n, broker] of [...kafka.keys()].entries())
      if (toBrokers[n]) links.set(`${process} → ${broker}`, toBrokers[n]);
  }
  return links;
}

export async function openLink(port: number, undo: Undo): Promise<FaultProxy> {
  const link = await FaultProxy.open(port);
  undo.push(() => link.close());
  return link;
}
