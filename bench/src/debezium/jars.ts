import { join } from 'node:path';
import { provideJars, root } from '@twinbox/tools';

export const DEBEZIUM_VERSION = '3.7.0.Final';

/** The version of Kafka that this version of Debezium is built with. */
const CONNECT_VERSION = '4.3.1';

/** Returns Java and the directory with the jars of Kafka Connect and Debezium, which Maven downloads once. */
export function debeziumJars(logFile: string, signal: AbortSignal): ReturnType<typeof provideJars> {
  return provideJars(
    {
      name: `debezium-${DEBEZIUM_VERSION}-connect-${CONNECT_VERSION}`,
      what: `Debezium ${DEBEZIUM_VERSION}`,
      pom: join(root, 'bench/debezium/pom.xml'),
      properties: { 'debezium.version': DEBEZIUM_VERSION, 'connect.version': CONNECT_VERSION },
      megabytes: 50,
    },
    { logFile, signal, onProgress: (what) => console.error(`Debezium: ${what} …`) },
  );
}
