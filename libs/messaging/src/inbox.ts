import { Logger } from '@nestjs/common';
import { type CustomTransportStrategy, type MessageHandler, Server } from '@nestjs/microservices';
import { isObservable, lastValueFrom } from 'rxjs';
import { type DataSource } from 'typeorm';
import { describeError, PermanentError } from './errors.js';
import { type ComponentHealth, type MessagingHealth, Progress } from './health.js';
import { InboxContext } from './inbox-context.js';
import { InboxStore } from './inbox-store.js';
import { type Batch, type Consumer, startConsumer } from './kafka.js';
import { type KafkaRecord, type Message, readMessage } from './message.js';
import { type InboxOptions, type MessagingOptions } from './messaging-options.js';
import { backOffMs, pause, settlesWithin, STOP_MS } from './waiting.js';

/** Partitions handled at the same time: each holds one database connection while a handler runs. */
const CONCURRENT_PARTITIONS = 4;
/** A handler may take its time before health calls it stuck; a failing one is reported sooner. */
const HANDLER_STALLS_AFTER_MS = 30_000;

/**
 * What a service hears: one consumer as a Nest transport strategy, so that handlers are plain Nest message handlers.
 *
 * A message and its effect are one transaction: the message is recorded in the inbox, the handler writes through the
 * context's `tx`, and only after the commit may Kafka forget the message. Delivered again, by whatever process, it is found
 * in the inbox and dropped (P4). A handler that fails is tried again with back-off, and its consumer waits; what can never
 * succeed (`PermanentError`, a message that cannot be read) is kept as a dead letter and the partition goes on.
 */
export class Inbox extends Server implements CustomTransportStrategy {
  override readonly transportId: symbol;
  override readonly propagatesEventHandlerErrors = true;
  protected override readonly logger: Logger;
  private readonly store: InboxStore;
  private readonly stopping = new AbortController();
  private readonly connection = new Progress();
  private readonly inHand = new Map<number, Progress>();
  private readonly counts = { processed: 0, duplicates: 0, passedOver: 0, deadLetters: 0 };
  private consumer: Consumer | undefined;
  private running: Promise<void> | undefined;

  constructor(
    private readonly messaging: MessagingOptions,
    private readonly options: InboxOptions,
    private readonly dataSource: DataSource,
    health: MessagingHealth,
  ) {
    super();
    this.transportId = options.consumer;
    this.logger = new Logger(`Inbox ${options.groupId}`);
    this.store = new InboxStore(messaging.schema, options.groupId);
    health.register(`inbox ${options.groupId}`, () => this.health());
  }

  /** Two handlers of one type would share a transaction and run at the same time in it: each consumer has one. */
  override addHandler(
    pattern: unknown,
    callback: MessageHandler,
    isEventHandler = false,
    extras: Record<string, unknown> = {},
  ): void {
    const type = String(pattern);
    if (this.messageHandlers.has(type))
      throw new Error(`Consumer ${this.options.groupId} has two handlers for ${type}`);
    if (!Object.hasOwn(this.options.topic.events, type)) {
      throw new Error(
        `Consumer ${this.options.groupId} handles ${type}, which no contract of ${this.options.topic.name} names`,
      );
    }
    super.addHandler(type, callback, isEventHandler, extras);
  }

  /** Returns at once: Kafka need not be there yet. */
  listen(callback: () => void): void {
    this.running ??= this.supervise();
    callback();
  }

  /** Lets the messages in hand finish, leaves the group; what was not finished is delivered again. */
  async close(): Promise<void> {
    this.stopping.abort();
    if (!(await settlesWithin(STOP_MS, this.stopConsuming()))) {
      this.logger.warn(`Not done after ${STOP_MS} ms: what was in hand will be delivered again`);
    }
  }

  private async stopConsuming(): Promise<void> {
    await this.consumer?.stop();
    await this.running;
  }

  /** kafkajs's consumer has no events that a handler could listen to: the inbox deals with them. */
  on(): never {
    throw new Error('The inbox has no events to listen to');
  }

  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the signature is Nest's
  unwrap<T>(): T {
    return this.consumer as T;
  }

  health(): ComponentHealth {
    const stuck = [...this.inHand.values()]
      .map((progress) => progress.report())
      .find(({ problem }) => problem !== undefined);
    const slow = [...this.inHand.values()]
      .map((progress) => progress.report(HANDLER_STALLS_AFTER_MS))
      .find(({ healthy }) => !healthy);
    const worst = [this.connection.report(), stuck, slow].find((report) => report?.healthy === false);
    return { healthy: true, ...worst, consuming: this.consumer !== undefined, ...this.counts };
  }

  /** kafkajs ends a consumer for good on errors it calls non-retriable: a new one takes its place, for as long as it takes. */
  private async supervise(): Promise<void> {
    const { signal } = this.stopping;
    for (let failures = 0; !signal.aborted; failures++) {
      this.connection.begun();
      try {
        this.consumer = await startConsumer({
          brokers: this.messaging.brokers,
          clientId: this.messaging.service,
          groupId: this.options.groupId,
          topic: this.options.topic.name,
          concurrency: CONCURRENT_PARTITIONS,
          onFetching: () => this.connection.begun(),
          // Only what was fetched and read shows that the consumer is well: joining alone does not.
          onFetched: () => {
            this.connection.done();
            failures = 0;
          },
          onBatch: (batch) => this.onBatch(batch),
        });
        if (signal.aborted) await this.consumer.stop();
        await this.consumer.ended;
      } catch (error) {
        if (signal.aborted) return;
        const waitMs = Math.round(backOffMs(failures, 200, 3000));
        this.connection.failed(describeError(error));
        this.logger.warn(
          `Not consuming ${this.options.topic.name}: ${describeError(error)}. Joining again in ${waitMs} ms`,
        );
        await pause(waitMs, signal);
      } finally {
        this.consumer = undefined;
      }
    }
  }

  private async onBatch(batch: Batch): Promise<void> {
    for (const record of batch.records) {
      if (!batch.isCurrent() || this.stopping.signal.aborted) return;
      const progress = new Progress();
      progress.begun();
      this.inHand.set(record.partition, progress);
      try {
        if (await this.settle(record, progress, batch)) batch.resolve(record);
      } finally {
        this.inHand.delete(record.partition);
      }
    }
  }

  /** Tries until the record is handled or kept as a dead letter; false when the consumer stops or loses the batch before. */
  private async settle(record: KafkaRecord, progress: Progress, batch: Batch): Promise<boolean> {
    const reading = readMessage(record, this.options.topic);
    if (reading.readable && !this.messageHandlers.has(reading.message.type)) {
      this.counts.passedOver++;
      return true;
    }

    let step = reading.readable ? () => this.handle(reading.message) : () => this.bury(record, reading, reading.reason);
    for (let failures = 0; ; failures++) {
      try {
        await step();
        return true;
      } catch (error) {
        if (error instanceof PermanentError && reading.readable) {
          step = () => this.buryHandled(record, reading.message, describeError(error));
          continue;
        }
        const waitMs = Math.round(backOffMs(failures, 100, 10_000));
        progress.failed(describeError(error));
        const told = `${nameOf(record, reading.readable ? reading.message : reading)} failed: ${describeError(error)}. Trying again in ${waitMs} ms`;
        // Where it happened, once: the attempts that follow only say that it still does.
        if (failures === 0 && error instanceof Error) this.logger.error(told, error.stack);
        else this.logger.warn(told);
        await pause(waitMs, this.stopping.signal);
      }
      if (this.stopping.signal.aborted || !batch.isCurrent()) return false;
    }
  }

  private async handle(message: Message): Promise<void> {
    const isNew = await this.dataSource.transaction(async (tx) => {
      if (!(await this.store.record(tx, message.id))) return false;
      const result: unknown = await this.messageHandlers.get(message.type)?.(
        message.data,
        new InboxContext(tx, message),
      );
      // What Nest makes of an error, or of a handler that returns a stream: it fails only when it is listened to.
      if (isObservable(result)) await lastValueFrom(result, { defaultValue: undefined });
      // A statement that failed and was caught has ended the transaction: PostgreSQL would answer the COMMIT with a rollback
      // and no error, and the message would be lost. This fails then, and the message is tried again.
      await tx.query('select 1');
      return true;
    });
    if (isNew) this.counts.processed++;
    else this.counts.duplicates++;
  }

  /** A readable message that never will succeed: recorded as handled too, so that a copy of it is not tried after later ones. */
  private async buryHandled(record: KafkaRecord, message: Message, reason: string): Promise<void> {
    const isNew = await this.dataSource.transaction(async (tx) => {
      if (!(await this.store.record(tx, message.id))) return false;
      await this.store.keepDead(tx, record, message, reason);
      return true;
    });
    if (isNew) this.countDead(record, message, reason);
    else this.counts.duplicates++;
  }

  private async bury(record: KafkaRecord, known: { id?: string; type?: string }, reason: string): Promise<void> {
    await this.dataSource.transaction((tx) => this.store.keepDead(tx, record, known, reason));
    this.countDead(record, known, reason);
  }

  private countDead(record: KafkaRecord, known: { id?: string; type?: string }, reason: string): void {
    this.counts.deadLetters++;
    this.logger.error(`${nameOf(record, known)} is a dead letter: ${reason}`);
  }
}

function nameOf({ topic, partition, offset }: KafkaRecord, { id, type }: { id?: string; type?: string }): string {
  return `${type ?? 'Message'} ${id ?? ''} at ${topic}/${partition}/${offset}`;
}
