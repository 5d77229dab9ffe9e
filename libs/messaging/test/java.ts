import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

export { runsJava } from '@twinbox/tools/secure-servers';

/** Java and Maven provide Kafka's own client. */
const { TEST_JAVA: java, TEST_KAFKA_JARS: jars } = process.env;

/** A program runs for seconds, and the optimising compiler would take longer to pay for itself. */
const SHORT_LIVED = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'];

/** Runs a program of this folder with Kafka's client, and returns the lines that it prints. */
export async function runJava(program: string, ...args: readonly string[]): Promise<string[]> {
  const command = [...SHORT_LIVED, '-cp', join(jars ?? '', '*'), join(import.meta.dirname, program), ...args];
  const { stdout } = await promisify(execFile)(java ?? '', command, {
    maxBuffer: 64 * 1024 * 1024,
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  return stdout.trimEnd().split('\n');
}
