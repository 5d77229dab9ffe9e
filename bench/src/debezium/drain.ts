import { type Drain, watch } from '../parts/drain.js';
import { createWorld, seed, type Servers, type World } from '../support/servers.js';
import { cpuOf } from '../support/usage.js';
import { type Headers } from './configuration.js';
import { ConnectWorker } from './connect-worker.js';
import { OutboxConnector } from './outbox-connector.js';

/** Adds a backlog while the connector is stopped, starts it, and measures from the first batch on, like the relay. Stops it again. */
export async function drainBacklog(
  servers: Servers,
  { worker, connector, world }: Debezium,
  messages: number,
): Promise<Pick<Drain, 'perSecond' | 'cpu'>> {
  const before = await world.published();
  await seed(world, messages);
  const cpuPerMessage = await cpuOf(servers, { Debezium: [worker.pid] });
  await connector.start();
  const done = new AbortController();
  try {
    const drained = watch(async () => (await world.published()) - before, messages);
    const { perSecond } = await Promise.race([drained, connector.failure(done.signal)]);
    const cpu = await cpuPerMessage(messages);
    await connector.stop();
    return { perSecond, cpu };
  } finally {
    done.abort();
  }
}

/** A connector that is prepared but not started, for the outbox of a world of its own. */
export interface Debezium {
  readonly worker: ConnectWorker;
  readonly connector: OutboxConnector;
  readonly world: World;
}

/** Runs a worker, which is one JVM. */
export async function withWorker<T>(
  { brokers, signal }: Servers,
  use: (worker: ConnectWorker) => Promise<T>,
): Promise<T> {
  const worker = await ConnectWorker.start(brokers, signal);
  try {
    return await use(worker);
  } finally {
    await worker.end();
  }
}

export async function withConnector<T>(
  servers: Servers,
  worker: ConnectWorker,
  headers: Headers,
  use: (debezium: Debezium) => Promise<T>,
): Promise<T> {
  const world = await createWorld(servers);
  try {
    const connector = await OutboxConnector.prepare(worker, world, headers);
    try {
      return await use({ worker, connector, world });
    } finally {
      await connector.remove();
    }
  } finally {
    await world.close();
  }
}
