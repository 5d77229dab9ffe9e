import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { describeError } from './errors.js';
import { type ComponentHealth, Progress } from './health.js';
import { connectProducer, type Producer } from './kafka.js';
import { Lease, LEASE_TIMING } from './lease.js';
import { type OutboxRow, type OutgoingRecord, toRecord } from './message.js';
import { type MessagingOptions } from './messaging-options.js';
import { type OutboxNotice, OutboxStore } from './outbox-store.js';
import { backOffMs, pause, settlesWithin, STOP_MS, WakeUpCall } from './waiting.js';

/** One batch is one send and one delete. Its bytes stay below the broker's `max.message.bytes`, whatever partition they go to. */
const BATCH_ROWS = 500;
const BATCH_BYTES = 768 * 1024;
/** Between two notices of one process: rows committed meanwhile are announced by the second. */
const NOTIFY_EVERY_MS = 5;

/**
 * Publishes what lies in the outbox, in order, and removes it once Kafka has acknowledged it. Runs in every replica; the one
 * that holds the lease publishes, the others stand by.
 *
 * A crash between the acknowledgement and the removal publishes the batch again: messages may be duplicated, never lost
 * or reordered. Neither Kafka nor PostgreSQL need be there: it waits for both, and no outage counts against a message.
 */
export class Relay {
  private readonly logger = new Logger('Relay');
  private readonly holder = randomUUID();
  private readonly stopping = new AbortController();
  private readonly wakeUp = new WakeUpCall();
  private readonly progress = new Progress();
  private readonly topics: ReadonlyMap<string, string>;
  private store: OutboxStore | undefined;
  private lease: Lease | undefined;
  private producer: Producer | undefined;
  private failures = 0;
  private notice: NodeJS.Timeout | undefined;
  private nextNoticeAt = 0;
  private running: Promise<void> | undefined;

  /** `connect` and `leaseTiming` are other ones in tests that lose an answer of Kafka's, or must not see a poll. */
  constructor(
    private readonly options: MessagingOptions,
    private readonly connect = connectProducer,
    private readonly leaseTiming = LEASE_TIMING,
  ) {
    this.topics = new Map(options.publishes.map(({ aggregateType, name }) => [aggregateType, name]));
  }

  start(): void {
    this.running ??= this.run();
  }

  /** Finishes the batch in hand, hands the lease back and closes its connections. What is left, a standby publishes. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.wakeUp.call();
    if (this.running && !(await settlesWithin(STOP_MS, this.running))) {
      this.logger.warn(`Not done after ${STOP_MS} ms: what was being sent will be sent again`);
    }
  }

  /** Rows were committed in this process: publish them, or tell the relay that leads elsewhere. */
  wake(): void {
    if (this.lease?.token !== undefined) this.wakeUp.call();
    else
      this.notice ??= setTimeout(() => void this.notify(), Math.max(0, this.nextNoticeAt - performance.now())).unref();
  }

  health(): ComponentHealth {
    const role = this.store === undefined ? 'disconnected' : this.lease?.token === undefined ? 'standby' : 'leader';
    return { ...this.progress.report(), role };
  }

  private async notify(): Promise<void> {
    this.notice = undefined;
    this.nextNoticeAt = performance.now() + NOTIFY_EVERY_MS;
    // A notice that is lost costs the leader one safety poll.
    await this.store?.notify('committed').catch(() => undefined);
  }

  private async run(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      try {
        this.progress.begun();
        await this.runWithStore();
      } catch (error) {
        await this.backOff('The relay lost its database connection', error);
      }
    }
    await this.dropProducer();
  }

  private async runWithStore(): Promise<void> {
    let lost: Error | undefined;
    const store = await OutboxStore.connect(
      this.options,
      (notice) => this.onNotice(notice),
      (error) => {
        lost = error;
        this.wakeUp.call();
      },
    );
    const lease = new Lease(store, this.holder, () => this.wakeUp.call(), this.leaseTiming);
    try {
      this.store = store;
      this.lease = lease;
      await lease.renew();
      while (!this.stopping.signal.aborted) {
        const failure = lost ?? lease.failure;
        if (failure) throw failure;
        await this.drain(store, lease);
        if (!lost && !lease.failure) await this.wakeUp.wait();
      }
    } finally {
      this.store = undefined;
      this.lease = undefined;
      await lease
        .release()
        .catch((error: unknown) => this.logger.warn(`The lease was not handed back: ${describeError(error)}`));
      await store.close();
    }
  }

  private onNotice(notice: OutboxNotice): void {
    if (notice === 'lease-released') void this.lease?.renew();
    else if (this.lease?.token !== undefined) this.wakeUp.call();
  }

  /** Publishes batch after batch until the outbox is empty, the lease is lost or the relay stops. */
  private async drain(store: OutboxStore, lease: Lease): Promise<void> {
    for (let term = lease.token; term !== undefined && !this.stopping.signal.aborted; term = lease.token) {
      const rows = await store.read(BATCH_ROWS, BATCH_BYTES);
      if (rows.length === 0) break;

      this.progress.begun();
      try {
        // The token of before the reading: rows read in one term are not sent in a later one.
        await this.publish(rows, () => lease.token === term && !this.stopping.signal.aborted);
      } catch (error) {
        await this.dropProducer();
        await this.backOff(`${rows.length} messages were not acknowledged by Kafka and will be sent again`, error);
        continue;
      }
      await store.remove(rows);
      this.succeeded();
    }
    this.succeeded();
  }

  private succeeded(): void {
    this.failures = 0;
    this.progress.done();
  }

  private async publish(rows: readonly OutboxRow[], mayStillSend: () => boolean): Promise<void> {
    const recordsByTopic = new Map<string, OutgoingRecord[]>();
    for (const row of rows) {
      const topic = this.topics.get(row.aggregatetype);
      if (topic === undefined)
        throw new Error(`no topic is declared for aggregate type ${row.aggregatetype} (message ${row.id})`);
      const records = recordsByTopic.get(topic) ?? [];
      records.push(toRecord(row, `/${this.options.service}`));
      recordsByTopic.set(topic, records);
    }
    this.producer ??= await this.connect({ brokers: this.options.brokers, clientId: this.options.service });
    await this.producer.publish(recordsByTopic, mayStillSend);
  }

  /**
   * After a send whose outcome is unknown, kafkajs rolls its sequence numbers back: a different batch sent with them would
   * be taken for a duplicate, acknowledged and lost. So nothing is ever sent again with a producer that failed once.
   */
  private async dropProducer(): Promise<void> {
    const { producer } = this;
    this.producer = undefined;
    await producer?.close();
  }

  private async backOff(what: string, error: unknown): Promise<void> {
    if (this.stopping.signal.aborted) return;
    const waitMs = Math.round(backOffMs(this.failures++, 100, 3000));
    this.progress.failed(describeError(error));
    this.logger.warn(`${what}: ${describeError(error)}. Trying again in ${waitMs} ms (attempt ${this.failures})`);
    await pause(waitMs, this.stopping.signal);
  }
}
