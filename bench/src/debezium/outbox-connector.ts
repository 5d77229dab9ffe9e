import { until } from '@twinbox/messaging/testing';
import { connectorConfig, type Headers, PREPARATION, SLOT } from './configuration.js';
import { type ConnectWorker } from './connect-worker.js';
import { type World } from '../support/servers.js';

/** Debezium for the outbox of one world. */
export class OutboxConnector {
  private exists = false;

  private constructor(
    private readonly worker: ConnectWorker,
    private readonly world: World,
    private readonly headers: Headers,
  ) {}

  /** Creates the publication and the slot. From then on Debezium will publish what is added, whenever it starts. */
  static async prepare(worker: ConnectWorker, world: World, headers: Headers): Promise<OutboxConnector> {
    for (const statement of PREPARATION) await world.database.sql(statement);
    return new OutboxConnector(worker, world, headers);
  }

  /** Starts it, or starts it again after `stop`. */
  async start(): Promise<void> {
    if (this.exists) return this.worker.resume(this.world.name);
    this.exists = true;
    await this.worker.create(this.world.name, connectorConfig(this.world, this.headers));
  }

  /** Stops the connector; the JVM keeps running. */
  stop(): Promise<void> {
    return this.worker.stop(this.world.name);
  }

  failure(done: AbortSignal): Promise<never> {
    return this.worker.failure(this.world.name, done);
  }

  /** Removes the connector and its slot, which otherwise keeps the database from being dropped. */
  async remove(): Promise<void> {
    // A worker that has ended is reported where it was needed.
    if (this.exists) await this.worker.remove(this.world.name).catch(() => undefined);
    await until('the slot is dropped', async () => {
      await this.world.database
        .sql(
          `select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1 and not active`,
          [SLOT],
        )
        .catch(() => undefined);
      const left = await this.world.database.sql('select from pg_replication_slots where slot_name = $1', [SLOT]);
      return left.length === 0;
    });
  }
}
