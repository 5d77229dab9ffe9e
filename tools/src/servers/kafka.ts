import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { OperationalError } from '../errors.js';
import { readKafkaDefinition } from './kafka-definition.js';
import { dockerRuns, inDocker } from './kafka-in-docker.js';
import { CHOICES, downloadJars, findJava } from './kafka-jars.js';
import { NodeOnJava } from './kafka-on-java.js';
import { exists, type KafkaContext, type KafkaNode, type KafkaOptions, type KafkaServer } from './kafka-server.js';
import { steadyPort } from './ports.js';

/**
 * Starts Apache Kafka as the `kafka` service of docker-compose.yml defines it, and returns when it accepts requests. It runs in a
 * container if a Docker engine is running, otherwise with Java from Kafka's own jars, which Maven downloads once. A data directory
 * written by the jars is used with the jars again, because a container would not see it. A node that a killed earlier run has left
 * running on the same data is stopped first.
 */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaServer> {
  const context = await contextOf(options);
  const { dataDir } = context;

  const java = await findJava();
  const jarsHaveData = (await exists(join(dataDir, 'log'))) && java !== undefined;
  const make = !jarsHaveData && (await dockerRuns()) ? inDocker : await fromJars(context, java);

  // Another process may take the free port before Kafka listens on it.
  const attempts = options.port ? 1 : 3;
  for (let attempt = 1; ; attempt++) {
    const port = options.port || (await steadyPort());
    const node = make(context, port);
    try {
      await node.start();
      return serverOf(node, port, () => removeData(context, options.logFile !== undefined));
    } catch (error) {
      await node.stop();
      if (attempt >= attempts || options.signal?.aborted || !/address.* in use|already allocated/i.test(String(error)))
        throw error;
    }
  }
}

/** Creates the data directory, and adds the defaults of the options. */
export async function contextOf(options: KafkaOptions): Promise<KafkaContext> {
  const wanted = resolve(options.dataDir ?? (await mkdtemp(join(tmpdir(), 'twinbox-kafka-'))));
  await mkdir(dirname(wanted), { recursive: true });
  // A stale node is identified by the path in its command line, so the path must always be spelled the same way.
  const dataDir = join(await realpath(dirname(wanted)), basename(wanted));
  await mkdir(dataDir, { recursive: true });
  return {
    ...options,
    dataDir,
    logFile: options.logFile ?? `${dataDir}.log`,
    definition: await readKafkaDefinition(),
  };
}

async function fromJars(
  context: KafkaContext,
  java: string | undefined,
): Promise<(context: KafkaContext, port: number) => KafkaNode> {
  if (!java) throw new OperationalError(`Found neither a running Docker engine (with compose) nor Java 17. ${CHOICES}`);
  const jars = await downloadJars(context);
  return (_, port) => new NodeOnJava(context, java, jars, port);
}

export function serverOf(node: KafkaNode, port: number, removeFiles: () => Promise<void>): KafkaServer {
  return {
    brokers: `127.0.0.1:${port}`,
    port,
    start: () => node.start(),
    stop: () => node.stop(),
    kill: () => node.kill(),
    pause: () => node.pause(),
    resume: () => node.resume(),
    restart: async () => {
      await node.stop();
      await node.start();
    },
    remove: async () => {
      await node.remove();
      await removeFiles();
    },
  };
}

export async function removeData({ dataDir, logFile }: KafkaContext, keepsLog: boolean): Promise<void> {
  await rm(dataDir, { recursive: true, force: true });
  if (!keepsLog) await rm(logFile, { force: true });
}
