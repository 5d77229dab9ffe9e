import { Logger } from '@nestjs/common';
import { type CustomTransportStrategy, type MessageHandler, Server } from '@nestjs/microservices';
import { isObservable, lastValueFrom } from 'rxjs';
import { type DataSource, type EntityManager } from 'typeorm';
import { type DueWork } from '../poll/due-work.js';
import { type ComponentHealth, type MessagingHealth } from '../operations/health.js';
import { InboxConsumer } from './inbox-consumer.js';
import { InboxContext } from './inbox-context.js';
import { inboxHealth } from './inbox-health.js';
import { InboxHousekeeping } from './inbox-housekeeping.js';
import { InboxOffsets } from './inbox-offsets.js';
import { InboxPositions } from './inbox-positions.js';
import { type InboxWork, inboxWork } from './inbox-work.js';
import { type InboxCounts } from '../operations/inbox-counts.js';
import { type Incidents } from '../operations/incidents.js';
import { Intake } from './intake.js';
import { type Message } from '../message/message.js';
import { type InboxOptions, type MessagingOptions } from '../messaging-options.js';
import { ParkedMessages } from './parked-messages.js';
import { ParkedStore } from './parked-store.js';
import { KAFKA } from '../tracing/attributes.js';
import { traceProcessing } from '../tracing/processing.js';
import { settlesWithin, STOP_MS } from '../waiting.js';

/**
 * The service's incoming messages: one consumer as a Nest transport strategy, so handlers are plain Nest message handlers.
 *
 * A message and its effect share one transaction: the inbox records the message, the handler writes through the context's
 * `tx`, and the offset is committed to Kafka only after that transaction has committed. If the message is delivered again, to
 * any process, it is found in the inbox and dropped (P4). A message whose handler fails is parked and retried with back-off.
 * Later messages of its key queue up behind it while the rest of the partition moves on. A message that can never succeed
 * (`PermanentError`, an unreadable message, too many attempts) is kept as a dead letter (P5).
 */
export class Inbox extends Server implements CustomTransportStrategy {
  override readonly transportId: symbol;
  override readonly propagatesEventHandlerErrors = true;
  protected override readonly logger: Logger;
  private readonly parked: ParkedMessages;
  private readonly stopping = new AbortController();
  private readonly work: InboxWork;
  private readonly housekeeping: InboxHousekeeping;
  private readonly consumer: InboxConsumer;
  private running: Promise<void> | undefined;

  constructor(
    messaging: MessagingOptions,
    private readonly options: InboxOptions,
    dataSource: DataSource,
    health: MessagingHealth,
    private readonly dueWork: DueWork,
    incidents: Incidents,
  ) {
    super();
    this.transportId = options.consumer;
    this.logger = new Logger(`Inbox ${options.groupId}`);
    const { schema } = messaging;
    const { groupId, topic } = options;
    this.work = inboxWork(schema, options, {
      dataSource,
      logger: this.logger,
      stopping: this.stopping.signal,
      isPaused: () => dueWork.pauses.stops('consumer', options.groupId),
      handles: (type) => this.messageHandlers.has(type),
      handle: async (tx, message) => {
        const processed = () => processedMessage(message, groupId);
        await traceProcessing(processed, async () => this.handle(tx, message));
      },
    });
    const { deadLettersHoldKeys } = this.work.settings;
    this.parked = new ParkedMessages(this.work, new ParkedStore(schema, groupId, deadLettersHoldKeys));
    const intake = new Intake(this.work, (dueInMs) => this.parked.due(dueInMs));
    this.housekeeping = new InboxHousekeeping(this.work);
    const offsets = new InboxOffsets(schema, groupId, topic.name);
    const positions = new InboxPositions({ groupId, topic: topic.name }, this.work, offsets, incidents);
    this.consumer = new InboxConsumer(messaging, options, this.work, intake, positions);
    dueWork.on('parked', () => this.parked.wake());
    dueWork.pauses.onChange(() => this.parked.wake());
    health.register(`inbox ${options.groupId}`, () => this.health());
  }

  /** Allows one handler per type and consumer, because two would run concurrently in the same transaction. */
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
        `Consumer ${this.options.groupId} handles ${type}, which is not an event of topic ${this.options.topic.name}`,
      );
    }
    super.addHandler(type, callback, isEventHandler, extras);
  }

  /** Returns immediately. Kafka does not have to be reachable yet. */
  listen(callback: () => void): void {
    this.running ??= this.consumer.run();
    this.parked.start();
    this.housekeeping.start();
    callback();
  }

  /** Lets the messages in flight finish and leaves the group. Unfinished messages are delivered again. */
  async close(): Promise<void> {
    this.stopping.abort();
    if (!(await settlesWithin(STOP_MS, this.stopConsuming()))) {
      this.logger.warn(
        `Messages were still in flight ${STOP_MS} ms after the stop began. They will be delivered again`,
      );
    }
  }

  private async stopConsuming(): Promise<void> {
    await this.consumer.current?.stop();
    await Promise.all([this.running, this.parked.stop(), this.housekeeping.stop()]);
    // Nothing is in flight any more. If the marks cannot be removed, the next process is cautious for no reason.
    await this.work.crashMarks.removeOwn(this.work.dataSource).catch(() => undefined);
  }

  /** The inbox exposes no events: it handles those of the kafkajs consumer itself. */
  on(): never {
    throw new Error('The inbox does not emit events');
  }

  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the signature is Nest's
  unwrap<T>(): T {
    return this.consumer.current as T;
  }

  health(): ComponentHealth {
    const paused = this.dueWork.pauses.healthOf('consumer', this.options.groupId);
    const report = inboxHealth(this.work, this.consumer);
    return paused ? { ...report, healthy: true, ...paused } : report;
  }

  /** Message counts by outcome, since the process started. */
  get counts(): Readonly<InboxCounts> {
    return this.work.counts;
  }

  private async handle(tx: EntityManager, message: Message): Promise<void> {
    const handler = this.messageHandlers.get(message.type);
    const result: unknown = await handler?.(message.data, new InboxContext(tx, message));
    // Nest turns an error, or a handler that returns a stream, into an Observable, which fails only once it is subscribed to.
    if (isObservable(result)) await lastValueFrom(result, { defaultValue: undefined });
  }
}

function processedMessage({ id, topic, partition, offset, key, trace }: Message, group: string) {
  return { system: KAFKA, name: topic, id, trace, record: { group, partition, offset, key } } as const;
}
