import { Logger } from '@nestjs/common';
import { type CustomTransportStrategy, type MessageHandler, Server } from '@nestjs/microservices';
import { isObservable, lastValueFrom } from 'rxjs';
import { type DataSource, type EntityManager } from 'typeorm';
import { CrashMarks } from './crash-marks.js';
import { describeError } from '../errors.js';
import { type DueWork } from '../poll/due-work.js';
import { type ComponentHealth, type MessagingHealth, WorkClock } from '../operations/health.js';
import { InboxBatches } from './intake.js';
import { InboxContext } from './inbox-context.js';
import { InboxHousekeeping } from './inbox-housekeeping.js';
import { InboxOffsets } from './inbox-offsets.js';
import { InboxPositions } from './inbox-positions.js';
import { type InboxSettings, inboxSettings } from './inbox-settings.js';
import { InboxStore } from './inbox-store.js';
import { type InboxCounts, type InboxWork, noCounts } from './inbox-work.js';
import { type Incidents } from '../operations/incidents.js';
import { startConsumer } from '../kafka/consumer.js';
import { type Consumer } from '../kafka/consumer-options.js';
import { topicCleanup } from '../kafka/topics.js';
import { type Message } from '../message/message.js';
import { readMessage } from '../message/read-message.js';
import { type InboxOptions, type MessagingOptions } from '../messaging-options.js';
import { ParkedMessages } from './parked-messages.js';
import { ParkedStore } from './parked-store.js';
import { Setbacks } from '../postgres/setbacks.js';
import { Slots } from './slots.js';
import { backOffMs, pause, settlesWithin, STOP_MS } from '../waiting.js';

/** How long a handler may run before health reports it as stuck. A failing handler is reported sooner. */
const HANDLER_STALLS_AFTER_MS = 30_000;
/** How often a consumer that must not start checks its topic again: an operator may have reconfigured it. */
const RECHECK_MS = 60_000;
/** How often a running consumer checks whether an operator has changed the cleanup policy of its topic. */
const WATCH_TOPIC_MS = 5 * 60_000;

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
  private readonly settings: InboxSettings;
  private readonly stopping = new AbortController();
  private readonly connection = new WorkClock();
  private readonly work: InboxWork;
  private readonly batches: InboxBatches;
  private readonly housekeeping: InboxHousekeeping;
  private readonly positions: InboxPositions;
  private joins = 0;
  private refusal: string | undefined;
  private compaction: string | undefined;
  private consumer: Consumer | undefined;
  private running: Promise<unknown> | undefined;

  constructor(
    private readonly messaging: MessagingOptions,
    private readonly options: InboxOptions,
    dataSource: DataSource,
    health: MessagingHealth,
    dueWork: DueWork,
    incidents: Incidents,
  ) {
    super();
    this.transportId = options.consumer;
    this.logger = new Logger(`Inbox ${options.groupId}`);
    const { schema } = messaging;
    const { groupId, topic } = options;
    this.settings = inboxSettings(options);
    const { concurrency, deadLettersHoldKeys } = this.settings;
    const counts = noCounts();
    this.work = {
      settings: this.settings,
      dataSource,
      store: new InboxStore(schema, groupId, deadLettersHoldKeys),
      marks: new CrashMarks(schema, groupId),
      slots: new Slots(concurrency),
      counts,
      setbacks: new Setbacks(
        () => counts.processed,
        (line) => this.logger.warn(line),
      ),
      inFlight: new Set(),
      logger: this.logger,
      stopping: this.stopping.signal,
      read: (record) => readMessage(record, topic),
      handles: (type) => this.messageHandlers.has(type),
      handle: (tx, message) => this.handle(tx, message),
    };
    this.parked = new ParkedMessages(this.work, new ParkedStore(schema, groupId, deadLettersHoldKeys));
    this.batches = new InboxBatches(this.work, (dueInMs) => this.parked.due(dueInMs));
    this.housekeeping = new InboxHousekeeping(this.work);
    const offsets = new InboxOffsets(schema, groupId, topic.name);
    this.positions = new InboxPositions({ groupId, topic: topic.name }, this.work, offsets, incidents);
    dueWork.on('parked', () => this.parked.wake());
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
    this.running ??= Promise.all([this.supervise(), this.watchTopic()]);
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
    await this.consumer?.stop();
    await Promise.all([this.running, this.parked.stop(), this.housekeeping.stop()]);
    // Nothing is in flight any more. If the marks cannot be removed, the next process is cautious for no reason.
    await this.work.marks.removeOwn(this.work.dataSource).catch(() => undefined);
  }

  /** The inbox exposes no events: it handles those of the kafkajs consumer itself. */
  on(): never {
    throw new Error('The inbox does not emit events');
  }

  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the signature is Nest's
  unwrap<T>(): T {
    return this.consumer as T;
  }

  health(): ComponentHealth {
    const { inFlight, counts, setbacks } = this.work;
    const details = { consuming: this.consumer !== undefined, joins: this.joins, ...counts };
    if (this.refusal !== undefined) {
      const problem = [this.refusal, this.compaction].filter((text) => text !== undefined).join('; ');
      return { healthy: false, problem, ...details };
    }
    const reports = [...inFlight];
    const stuck = reports.map((progress) => progress.report()).find(({ problem }) => problem !== undefined);
    const slow = reports.map((progress) => progress.report(HANDLER_STALLS_AFTER_MS)).find(({ healthy }) => !healthy);
    const compacted = this.compaction === undefined ? undefined : { healthy: false, problem: this.compaction };
    const worst = [this.connection.report(), stuck, slow, setbacks.report(), compacted].find(
      (report) => report?.healthy === false,
    );
    return { healthy: true, ...worst, ...details };
  }

  /** Message counts by outcome, since the process started. */
  get counts(): Readonly<InboxCounts> {
    return this.work.counts;
  }

  /** Keeps starting new consumers, because kafkajs stops a consumer permanently on errors it considers non-retriable. */
  private async supervise(): Promise<void> {
    const { signal } = this.stopping;
    const { concurrency, groupCommit } = this.settings;
    let checked = false;
    for (let failures = 0; !signal.aborted; failures++) {
      this.connection.begun();
      try {
        checked ||= await this.checkTopic();
        if (!checked) {
          await pause(RECHECK_MS, signal);
          continue;
        }
        this.consumer = await startConsumer({
          brokers: this.messaging.brokers,
          clientId: this.messaging.service,
          groupId: this.options.groupId,
          topic: this.options.topic.name,
          // With group commit all partitions share one transaction, and so one slot.
          concurrency: groupCommit ? Math.max(concurrency, this.options.topic.partitions) : concurrency,
          sessionMs: this.settings.sessionMs,
          onJoined: () => {
            this.joins++;
            this.batches.joined();
          },
          onFetching: () => this.connection.begun(),
          settled: this.positions,
          onHeld: (error) => {
            this.connection.failed(describeError(error));
            this.logger.warn(
              `Cannot determine where to start reading ${this.options.topic.name}: ${describeError(error)}`,
            );
          },
          // Only a completed fetch shows that the consumer works. Joining the group is not enough.
          onFetched: () => {
            this.connection.done();
            failures = 0;
          },
          onBatch: (batch) => this.batches.take(batch),
        });
        if (signal.aborted) await this.consumer.stop();
        await this.consumer.ended;
      } catch (error) {
        if (signal.aborted) return;
        const waitMs = Math.round(backOffMs(failures, 200, 3000));
        this.connection.failed(describeError(error));
        this.logger.warn(
          `Not consuming ${this.options.topic.name}: ${describeError(error)}. Rejoining in ${waitMs} ms`,
        );
        await pause(waitMs, signal);
      } finally {
        this.consumer = undefined;
      }
    }
  }

  /**
   * Checks whether the topic may be consumed. If the inbox forgot a message before Kafka deletes it, a redelivery would repeat
   * its effect (P4). Compaction is only reported: unread messages that it deletes are lost (P2), but refusing to consume would
   * not prevent that.
   */
  private async checkTopic(): Promise<boolean> {
    const { retentionMs } = this.settings;
    const { name } = this.options.topic;
    const oldestMs = await this.checkCleanup();
    const refusal =
      retentionMs !== 0 && retentionMs <= oldestMs
        ? `inboxRetentionMs (${retentionMs}) must exceed retention.ms + segment.ms of ${name} (${oldestMs})`
        : undefined;
    if (refusal !== undefined && this.refusal === undefined)
      this.logger.error(`${this.consumer ? 'Effects may be repeated' : 'Not consuming'}: ${refusal}`);
    this.refusal = refusal;
    return refusal === undefined;
  }

  /** Reports a compacted topic. Returns the maximum age of the topic's messages in milliseconds. */
  private async checkCleanup(): Promise<number> {
    const { name } = this.options.topic;
    const { brokers, service: clientId } = this.messaging;
    const { oldestMs, compacts } = await topicCleanup({ brokers, clientId }, name);
    const before = this.compaction;
    this.compaction = compacts
      ? `the cleanup.policy of ${name} includes compact, so Kafka may delete messages before they are read`
      : undefined;
    if (this.compaction !== undefined && before === undefined)
      this.logger.error(`Messages may be missed: ${this.compaction}`);
    return oldestMs;
  }

  private async watchTopic(): Promise<void> {
    const { signal } = this.stopping;
    for (;;) {
      await pause(WATCH_TOPIC_MS, signal);
      if (signal.aborted) return;
      await this.checkTopic().catch((error: unknown) =>
        this.logger.debug(`Cannot read the topic's configuration: ${describeError(error)}`),
      );
    }
  }

  private async handle(tx: EntityManager, message: Message): Promise<void> {
    const handler = this.messageHandlers.get(message.type);
    const result: unknown = await handler?.(message.data, new InboxContext(tx, message));
    // Nest turns an error, or a handler that returns a stream, into an Observable, which fails only once it is subscribed to.
    if (isObservable(result)) await lastValueFrom(result, { defaultValue: undefined });
  }
}
