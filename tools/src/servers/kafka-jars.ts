import { join } from 'node:path';
import { home, root } from '../checkout.js';
import { OperationalError } from '../errors.js';
import { readKafkaDefinition } from './kafka-definition.js';
import { exists, type KafkaContext } from './kafka-server.js';
import { downloadMavenJars } from './maven-jars.js';
import { ask } from './processes.js';

export const CHOICES =
  'Kafka needs one of these: a running Docker engine with compose; Java 17 or newer and Maven on the PATH; or KAFKA_BROKERS set ' +
  'to brokers that are already running (KAFKA_BROKERS=host:port).';

/** Returns the java command of JAVA_HOME or the PATH if it is recent enough for Kafka's server. */
export async function findJava(): Promise<string | undefined> {
  const ofJavaHome = process.env['JAVA_HOME'] ? [join(process.env['JAVA_HOME'], 'bin/java')] : [];
  for (const command of [...ofJavaHome, 'java']) {
    const version = /version "(\d+)/.exec((await ask(command, ['-version'], 10_000)) ?? '')?.[1];
    if (Number(version) >= 17) return command;
  }
  return undefined;
}

/** What is needed to run Kafka's own Java client. */
export interface KafkaJars {
  readonly java: string;
  /** The directory that contains the jars. */
  readonly directory: string;
}

/**
 * Finds Java and Kafka's jars, and downloads missing jars; Maven's output goes to `logFile`. Returns undefined without Java, or if the
 * jars are missing and Maven is too.
 */
export async function findKafkaJars(
  options: Pick<KafkaContext, 'onProgress' | 'signal' | 'logFile'>,
): Promise<KafkaJars | undefined> {
  const [java, definition, maven] = await Promise.all([
    findJava(),
    readKafkaDefinition(),
    ask('mvn', ['--version'], 20_000),
  ]);
  const directory = jarsOf(definition.version);
  if (java === undefined || !((await exists(directory)) || maven !== undefined)) return undefined;
  return { java, directory: await downloadJars({ ...options, definition }) };
}

const jarsOf = (version: string): string => join(home, `kafka-${version}`);

/** Kafka's jars (44 MB) and the plugins with which Maven copies them. */
const DOWNLOAD_MB = 53;

/** Has Maven download and verify the jars into .twinbox, once. The result is complete or absent, even with two concurrent runs. */
export async function downloadJars({
  definition: { version },
  ...options
}: Pick<KafkaContext, 'definition' | 'onProgress' | 'logFile' | 'signal'>): Promise<string> {
  const directory = jarsOf(version);
  if (await exists(directory)) return directory;
  if ((await ask('mvn', ['--version'], 20_000)) === undefined)
    throw new OperationalError(`Found neither a running Docker engine (with compose) nor Maven. ${CHOICES}`);
  const pom = join(root, 'tools/kafka/pom.xml');
  const properties = { 'kafka.version': version };
  await downloadMavenJars(
    { what: `Apache Kafka ${version}`, directory, pom, properties, megabytes: DOWNLOAD_MB },
    options,
  );
  return directory;
}
