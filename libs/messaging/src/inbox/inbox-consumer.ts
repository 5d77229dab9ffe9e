import { describeError } from '../errors.js';
import { type ComponentHealth, WorkClock } from '../operations/health.js';
import { type InboxPositions } from './inbox-positions.js';
import { type InboxWork } from './inbox-work.js';
import { type Intake } from './intake.js';
import { startConsumer } from '../kafka/consumer.js';
import { type Consumer, type ConsumerOptions } from '../kafka/consumer-options.js';
import { type InboxOptions, kafkaOptionsOf, type MessagingOptions } from '../messaging-options.js';
import { TopicWatch } from './topic-watch.js';
import { pause, retryMs } from '../waiting.js';

/** How often a consumer that must not start checks its topic again: an operator may have reconfigured it. */
const RECHECK_MS = 60_000;

/** Longer at first than other pauses, because every process that joins makes the group rebalance. At most 3 s after a long outage. */
const FIRST_PAUSE_MS = 200;
const MAX_PAUSE_MS = 3000;

/** The connection of an inbox to Kafka: consumes its topic while that may be consumed, and reconnects after every failure. */
export class InboxConsumer {
  private readonly connection = new WorkClock();
  private readonly topicWatch: TopicWatch;
  private consumer: Consumer | undefined;
  private joinCount = 0;
  /** Attempts to consume since a fetch was last completed. */
  private failures = 0;

  constructor(
    private readonly messaging: Pick<MessagingOptions, 'brokers' | 'service' | 'security'>,
    private readonly options: InboxOptions,
    private readonly work: InboxWork,
    private readonly intake: Intake,
    private readonly positions: InboxPositions,
  ) {
    this.topicWatch = new TopicWatch(
      { kafka: kafkaOptionsOf(messaging), name: options.topic.name },
      work.settings.retentionMs,
      work.logger,
      () => this.consumer !== undefined,
    );
  }

  /** The consumer, unless there is none at the moment. */
  get current(): Consumer | undefined {
    return this.consumer;
  }

  /** The number of rebalances in which this process took part. */
  get joins(): number {
    return this.joinCount;
  }

  /** Why the topic must not be consumed, if so. */
  get refusal(): string | undefined {
    const { refusal, compaction } = this.topicWatch;
    return refusal === undefined ? undefined : [refusal, compaction].filter((text) => text !== undefined).join('; ');
  }

  /** Whether fetches complete, and whether Kafka may delete messages before they are read. */
  reports(): { readonly connection: ComponentHealth; readonly compaction: ComponentHealth } {
    const { compaction } = this.topicWatch;
    return {
      connection: this.connection.report(),
      compaction: compaction === undefined ? { healthy: true } : { healthy: false, problem: compaction },
    };
  }

  /** Resolves when the inbox is stopping and the consumer has ended. */
  async run(): Promise<void> {
    await Promise.all([this.supervise(), this.topicWatch.watch(this.work.stopping)]);
  }

  /** Keeps starting new consumers, because kafkajs stops a consumer permanently on errors it considers non-retriable. */
  private async supervise(): Promise<void> {
    const { stopping: signal, logger } = this.work;
    const { name } = this.options.topic;
    let checked = false;
    for (; !signal.aborted; this.failures++) {
      this.connection.begun();
      try {
        checked ||= await this.topicWatch.check();
        if (!checked) {
          await pause(RECHECK_MS, signal);
          continue;
        }
        this.consumer = await startConsumer(this.consumerOptions());
        if (signal.aborted) await this.consumer.stop();
        await this.consumer.ended;
      } catch (error) {
        if (signal.aborted) return;
        const waitMs = retryMs(error, this.failures, FIRST_PAUSE_MS, MAX_PAUSE_MS);
        this.connection.failed(error);
        logger.warn(`Not consuming ${name}: ${describeError(error)}. Rejoining in ${waitMs} ms`);
        await pause(waitMs, signal);
      } finally {
        this.consumer = undefined;
      }
    }
  }

  private consumerOptions(): ConsumerOptions {
    const { groupId, topic } = this.options;
    const { concurrency, groupCommit, sessionMs } = this.work.settings;
    return {
      ...kafkaOptionsOf(this.messaging),
      groupId,
      topic: topic.name,
      // With group commit all partitions share one transaction, and so one slot.
      concurrency: groupCommit ? Math.max(concurrency, topic.partitions) : concurrency,
      sessionMs,
      onJoined: () => {
        this.joinCount++;
        this.intake.joined();
      },
      isPaused: () => this.work.isPaused(),
      onFetching: () => this.connection.begun(),
      settled: this.positions,
      onSuspended: (error) => {
        this.connection.failed(error);
        this.work.logger.warn(`Cannot determine where to start reading ${topic.name}: ${describeError(error)}`);
      },
      // Only a completed fetch shows that the consumer works. Joining the group is not enough.
      onFetched: () => {
        this.connection.done();
        this.failures = 0;
      },
      onBatch: (batch) => this.intake.process(batch),
    };
  }
}
