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

/**
 * Returns the server.properties of a single node on loopback: the settings of the container, except for its listeners and data
 * directory. Besides the controller's listener there is only EXTERNAL, the one that the container publishes.
 */
export function serverProperties(
  environment: KafkaDefinition['environment'],
  { port, controllerPort, logDirs }: { port: number; controllerPort: number; logDirs: string },
): string {
  const settings = Object.entries(environment).filter(
    ([name]) => name.startsWith('KAFKA_') && !NOT_SETTINGS.test(name),
  );
  const properties: Record<string, string> = {
    ...Object.fromEntries(settings.map(([name, value]) => [propertyName(name), value])),
    listeners: `EXTERNAL://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `EXTERNAL://127.0.0.1:${port}`,
    'inter.broker.listener.name': 'EXTERNAL',
    'controller.quorum.voters': `${environment['KAFKA_NODE_ID']}@127.0.0.1:${controllerPort}`,
    'log.dirs': logDirs,
  };
  // In a properties file a backslash starts an escape.
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value.replaceAll('\\', '\\\\')}\n`)
    .join('');
}

/** Returns the JVM's memory options from the container's definition. */
export function heapOptions(environment: KafkaDefinition['environment']): string[] {
  return (environment['KAFKA_HEAP_OPTS'] ?? '').split(/\s+/).filter(Boolean);
}
