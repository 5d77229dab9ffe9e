import { SessionClient, withoutRefusal } from '@twinbox/messaging/session-client';
import { OperationalError } from '../errors.js';
import { acceptsConnections } from '../servers/ports.js';
import { withoutPassword } from './config.js';
import { timed } from './timed.js';

/** Checks that the server of DATABASE_URL can be used. Returns the URL. */
export async function useDatabase(url: string): Promise<string> {
  await timed(`PostgreSQL at ${withoutPassword(url)}`, () => checkDatabase(url));
  return url;
}

/** Checks that a broker of KAFKA_BROKERS can be reached. Returns the brokers. */
export async function useBrokers(brokers: string): Promise<string> {
  await timed(`Kafka at ${brokers}`, () => checkBrokers(brokers));
  return brokers;
}

async function checkDatabase(url: string): Promise<void> {
  try {
    // As the services connect, with the same rules for TLS and the same adaptation to poolers and older servers.
    await withoutRefusal(() => connectOnce(url));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new OperationalError(
      `DATABASE_URL=${withoutPassword(url)} cannot be used: ${message || code}. Check that the server is running, that the database ` +
        'exists and that the user may connect to it; or unset DATABASE_URL to use a local server.',
    );
  }
}

async function connectOnce(connectionString: string): Promise<void> {
  const client = new SessionClient({ connectionString, connectionTimeoutMillis: 5_000 });
  try {
    await client.connect();
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function checkBrokers(brokers: string): Promise<void> {
  const reachable = brokers.split(',').map((broker) => {
    const [host, port] = broker.split(':');
    return acceptsConnections(Number(port), host, 5_000);
  });
  if (!(await Promise.all(reachable)).includes(true))
    throw new OperationalError(
      `KAFKA_BROKERS=${brokers} cannot be reached. Check that Kafka is running there, or unset KAFKA_BROKERS to use a local broker.`,
    );
}
