import { realpath } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { OperationalError } from '../errors.js';
import { readKafkaDefinition } from './kafka-definition.js';
import { dockerRuns, IN_DOCKER, inDocker } from './kafka-in-docker.js';
import { exists } from './kafka-server.js';
import { end, pidsWithArguments } from './processes.js';

/** The argument by which a node that runs from its jars is found again. */
export const marker = (dataDir: string): string[] => [`-Dtwinbox.data=${dataDir}`];

/** Stops the node that an earlier run has left running on this data directory, if any; `remove` also deletes the data of its container. */
export async function endStaleKafka(dataDir: string, { remove = false } = {}): Promise<void> {
  const dir = await realpath(dataDir).catch(() => resolve(dataDir));
  await end(await pidsWithArguments(...marker(dir)), 15_000);
  if (!(await exists(join(dir, IN_DOCKER)))) return;
  if (!(await dockerRuns()))
    throw new OperationalError(
      `An earlier run has left Kafka's data in Docker, which is not running. Start Docker, or discard that data: rm -rf ${dir}`,
    );
  const context = { dataDir: dir, logFile: join(dir, 'docker.log'), definition: await readKafkaDefinition() };
  const node = inDocker(context, 0);
  await (remove ? node.remove() : node.stop());
}
