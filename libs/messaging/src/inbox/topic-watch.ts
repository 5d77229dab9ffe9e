import { type Logger } from '@nestjs/common';
import { describeError } from '../errors.js';
import { type KafkaOptions } from '../kafka/client.js';
import { topicCleanup } from '../kafka/topics.js';
import { pause } from '../waiting.js';

/** How often a running consumer checks whether an operator has changed the cleanup policy of its topic. */
const WATCH_TOPIC_MS = 5 * 60_000;

/** Checks whether a consumer's topic is configured so that it may be consumed. */
export class TopicWatch {
  private refused: string | undefined;
  private compacted: string | undefined;

  constructor(
    private readonly topic: { readonly kafka: KafkaOptions; readonly name: string },
    /** How long the inbox remembers a message; 0 means forever. */
    private readonly retentionMs: number,
    private readonly logger: Logger,
    private readonly isConsuming: () => boolean,
  ) {}

  /** Why the topic must not be consumed, if so. */
  get refusal(): string | undefined {
    return this.refused;
  }

  /** Why messages may be missed, if so. */
  get compaction(): string | undefined {
    return this.compacted;
  }

  /**
   * Checks whether the topic may be consumed. If the inbox forgot a message before Kafka deletes it, a redelivery would repeat
   * its effect (P4). Compaction is only reported: unread messages that it deletes are lost (P2), but refusing to consume would
   * not prevent that.
   */
  async check(): Promise<boolean> {
    const { retentionMs } = this;
    const { name } = this.topic;
    const oldestMs = await this.checkCleanup();
    const refusal =
      retentionMs !== 0 && retentionMs <= oldestMs
        ? `inboxRetentionMs (${retentionMs}) must exceed retention.ms + segment.ms of ${name} (${oldestMs})`
        : undefined;
    if (refusal !== undefined && this.refused === undefined)
      this.logger.error(`${this.isConsuming() ? 'Effects may be repeated' : 'Not consuming'}: ${refusal}`);
    this.refused = refusal;
    return refusal === undefined;
  }

  /** Checks the topic periodically until the signal aborts. Never throws. */
  async watch(signal: AbortSignal): Promise<void> {
    for (;;) {
      await pause(WATCH_TOPIC_MS, signal);
      if (signal.aborted) return;
      await this.check().catch((error: unknown) =>
        this.logger.debug(`Cannot read the topic's configuration: ${describeError(error)}`),
      );
    }
  }

  /** Reports a compacted topic. Returns the maximum age of the topic's messages in milliseconds. */
  private async checkCleanup(): Promise<number> {
    const { kafka, name } = this.topic;
    const { oldestMs, compacts } = await topicCleanup(kafka, name);
    const before = this.compacted;
    this.compacted = compacts
      ? `the cleanup.policy of ${name} includes compact, so Kafka may delete messages before they are read`
      : undefined;
    if (this.compacted !== undefined && before === undefined)
      this.logger.error(`Messages may be missed: ${this.compacted}`);
    return oldestMs;
  }
}
