import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { root } from '../checkout.js';

/** The definition of Kafka in docker-compose.yml, which is the only source whether Kafka runs in a container or from its jars. */
export interface KafkaDefinition {
  readonly image: string;
  /** The tag of the image. */
  readonly version: string;
  readonly environment: Readonly<Record<string, string>>;
}

export async function readKafkaDefinition(file = join(root, 'docker-compose.yml')): Promise<KafkaDefinition> {
  return parseKafkaDefinition(await readFile(file, 'utf8'));
}

export function parseKafkaDefinition(yaml: string): KafkaDefinition {
  const { image, environment } = parse(yaml).services.kafka as { image: string; environment: Record<string, unknown> };
  const version = /:(\d+\.\d+\.\d+)$/.exec(image)?.[1];
  if (!version) throw new Error(`The image ${image} of the service kafka has no tag like 4.3.0.`);
  return {
    image,
    version,
    environment: Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, String(value)])),
  };
}

/** The image's own variables that are not broker settings; kafka.docker.KafkaDockerWrapper excludes the same ones. */
const NOT_SETTINGS = /^KAFKA_(VERSION|OPTS|JMX_.*|GC_LOG_OPTS|HEAP_OPTS|JVM_PERFORMANCE_OPTS|LOG4J_.*|TOOLS_LOG4J_.*)$/;

/** Converts KAFKA_NUM_PARTITIONS to num.partitions by the rules of the image: ___ is a dash, __ an underscore, _ a dot. */
export function propertyName(variable: string): string {
  const signs: Record<string, string> = { ___: '-', __: '_', _: '.' };
  return variable
    .slice('KAFKA_'.length)
    .toLowerCase()
    .replaceAll(/___|__|_/g, (sign) => signs[sign] ?? sign);
}

/** The place of a node in a cluster whose nodes are all brokers and controllers. */
export interface ClusterMember {
  readonly nodeId: number;
  /** The controllers' ports by node id, the same for every node. */
  readonly controllerPorts: ReadonlyMap<number, number>;
  readonly clusterId: string;
}

/** What a node that runs from its jars has besides the definition of docker-compose.yml. */
export interface KafkaExtras {
  /** Further listeners, each with its port. */
  readonly listeners: Readonly<Record<string, number>>;
  /** Settings of server.properties. */
  readonly properties: Readonly<Record<string, string>>;
  /** Options of the command that formats the storage. */
  readonly formatOptions: readonly string[];
  readonly javaOptions: readonly string[];
}

/** How a node listens on loopback, and where it stores its data. */
export interface NodePlace {
  readonly port: number;
  readonly controllerPort: number;
  readonly logDirs: string;
  /** Absent for a single node. */
  readonly member?: ClusterMember | undefined;
  readonly extras?: Pick<KafkaExtras, 'listeners' | 'properties'> | undefined;
}

/**
 * Returns the server.properties of a node on loopback: the settings of the container, except for its listeners and data directory, and
 * in a cluster for its id and the numbers of copies. Besides the controller's listener there is only EXTERNAL, the one that the
 * container publishes, unless there are extras.
 */
export function serverProperties(
  environment: KafkaDefinition['environment'],
  { port, controllerPort, logDirs, member, extras }: NodePlace,
): string {
  const settings = Object.entries(environment).filter(
    ([name]) => name.startsWith('KAFKA_') && !NOT_SETTINGS.test(name),
  );
  const properties: Record<string, string> = {
    ...Object.fromEntries(settings.map(([name, value]) => [propertyName(name), value])),
    listeners: addresses({ EXTERNAL: port, CONTROLLER: controllerPort, ...extras?.listeners }),
    'advertised.listeners': addresses({ EXTERNAL: port, ...extras?.listeners }),
    'inter.broker.listener.name': 'EXTERNAL',
    'controller.quorum.voters': `${environment['KAFKA_NODE_ID']}@127.0.0.1:${controllerPort}`,
    'log.dirs': logDirs,
    ...(member && clusterProperties(member)),
    ...extras?.properties,
  };
  // In a properties file a backslash starts an escape.
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value.replaceAll('\\', '\\\\')}\n`)
    .join('');
}

function addresses(listeners: Readonly<Record<string, number>>): string {
  return Object.entries(listeners)
    .map(([name, port]) => `${name}://127.0.0.1:${port}`)
    .join(',');
}

/** Only what differs from the definition of a single node: with three nodes, everything has three copies, and two of them acknowledge. */
function clusterProperties({ nodeId, controllerPorts }: ClusterMember): Record<string, string> {
  const copies = String(Math.min(3, controllerPorts.size));
  const acknowledged = String(Math.min(2, controllerPorts.size));
  return {
    'node.id': String(nodeId),
    'controller.quorum.voters': [...controllerPorts].map(([id, port]) => `${id}@127.0.0.1:${port}`).join(','),
    'default.replication.factor': copies,
    'min.insync.replicas': acknowledged,
    'offsets.topic.replication.factor': copies,
    'transaction.state.log.replication.factor': copies,
    'transaction.state.log.min.isr': acknowledged,
    'share.coordinator.state.topic.replication.factor': copies,
    'share.coordinator.state.topic.min.isr': acknowledged,
  };
}

/** Returns the JVM's memory options from the container's definition. */
export function heapOptions(environment: KafkaDefinition['environment']): string[] {
  return (environment['KAFKA_HEAP_OPTS'] ?? '').split(/\s+/).filter(Boolean);
}
