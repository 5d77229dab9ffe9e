import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { home, root } from '../checkout.js';
import { OperationalError } from '../errors.js';
import { readKafkaDefinition } from './kafka-definition.js';
import { exists, type KafkaContext } from './kafka-server.js';
import { ask, isRunning, run } from './processes.js';

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

/** Returns a reader for the lines of Maven's output that reports the downloaded megabytes after every five more. */
export function downloadProgress(report: (mb: number) => void): (line: string) => void {
  const bytes = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 };
  let arrived = 0;
  let reported = 0;
  return (line) => {
    // Downloaded from central: https://… (4.5 MB at 8.3 MB/s)
    const [, size, unit] = /Downloaded from .* \(([\d.]+) (B|kB|MB|GB) at /.exec(line) ?? [];
    if (!unit) return;
    arrived += Number(size) * bytes[unit as keyof typeof bytes];
    const mb = Math.floor(arrived / 1e6);
    if (mb < reported + 5) return;
    reported = mb;
    report(mb);
  };
}

/** Has Maven download and verify the jars into .twinbox, once. The result is complete or absent, even with two concurrent runs. */
export async function downloadJars({
  definition: { version },
  onProgress,
  logFile,
  signal,
}: Pick<KafkaContext, 'definition' | 'onProgress' | 'logFile' | 'signal'>): Promise<string> {
  const jars = jarsOf(version);
  if (await exists(jars)) return jars;
  if ((await ask('mvn', ['--version'], 20_000)) === undefined)
    throw new OperationalError(`Found neither a running Docker engine (with compose) nor Maven. ${CHOICES}`);
  onProgress?.(`downloading Apache Kafka ${version} with Maven (about ${DOWNLOAD_MB} MB, once)`);
  await mkdir(home, { recursive: true });
  await removeUnfinished(home);
  const unfinished = await mkdtemp(join(home, `kafka-${version}.${process.pid}.unfinished-`));
  try {
    const pom = ['--file', join(root, 'tools/kafka/pom.xml'), `-Dkafka.version=${version}`];
    const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${unfinished}`];
    await run('mvn', ['--batch-mode', ...pom, ...goal], {
      what: `Downloading Apache Kafka ${version} with Maven`,
      logFile,
      signal,
      onLine: downloadProgress((mb) => onProgress?.(`${mb} of about ${DOWNLOAD_MB} MB`)),
    });
    // Fails if another run has finished first, which has downloaded the same jars.
    await rename(unfinished, jars).catch(async (error) => {
      if (!(await exists(jars))) throw error;
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return jars;
}

async function removeUnfinished(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const pid = /\.(\d+)\.unfinished-/.exec(name)?.[1];
    if (pid && !(await isRunning(Number(pid)))) await rm(join(directory, name), { recursive: true, force: true });
  }
}
