import { join } from 'node:path';
import { home } from '../checkout.js';
import { OperationalError } from '../errors.js';
import { findJava, type KafkaJars } from './kafka-jars.js';
import { exists } from './kafka-server.js';
import { type DownloadOptions, downloadMavenJars, type MavenJars } from './maven-jars.js';
import { ask } from './processes.js';

/**
 * Returns Java and the directory with these jars, which Maven downloads into .twinbox, once.
 *
 * @throws OperationalError without Java, or if the jars are missing and Maven is too
 */
export async function provideJars(
  { name, ...jars }: Omit<MavenJars, 'directory'> & { readonly name: string },
  options: DownloadOptions,
): Promise<KafkaJars> {
  const java = await findJava();
  if (java === undefined)
    throw new OperationalError(`${jars.what} needs Java 17 or newer, on the PATH or in JAVA_HOME. Found none.`);
  const directory = join(home, name);
  if (await exists(directory)) return { java, directory };
  if ((await ask('mvn', ['--version'], 20_000)) === undefined)
    throw new OperationalError(`${jars.what} must be downloaded once, with Maven. Put mvn on the PATH.`);
  await downloadMavenJars({ ...jars, directory }, options);
  return { java, directory };
}
