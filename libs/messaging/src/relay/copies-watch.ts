import { type Logger } from '@nestjs/common';
import { describeError, isRefused } from '../errors.js';
import { type KafkaOptions } from '../kafka/client.js';
import { type CopiesReport, storedCopies, type StoredCopies } from '../kafka/topic-copies.js';
import { pause, settlesWithin } from '../waiting.js';

/** When the topics are checked again: soon until the first check has succeeded, then seldom, as an operator may have changed them. */
const PAUSES = { retryMs: 5000, everyMs: 5 * 60_000 };
/** How long a check in flight may delay a stop. */
const STOP_MS = 1000;

/**
 * Reports topics of which an acknowledged message may exist only once, so that the loss of one broker loses it. Checks them when the
 * process first leads, whether or not anything is published, and then every few minutes.
 */
export class CopiesWatch {
  private running: Promise<void> | undefined;
  private found: string | undefined;
  /** The risk of each topic when it was last read. */
  private readonly risks = new Map<string, string | undefined>();
  private isCluster = false;
  private refused: string | undefined;

  constructor(
    private readonly kafka: KafkaOptions,
    private readonly topics: readonly string[],
    private readonly logger: Logger,
    /** Tests replace both. */
    private readonly read = storedCopies,
    private readonly pauses = PAUSES,
  ) {}

  /** What puts acknowledged messages at risk, if anything. Not if Kafka has only one broker, because nothing can be configured then. */
  get problem(): string | undefined {
    return this.found;
  }

  /** Why Kafka refused the last check, if it did. A relay with nothing to publish would not notice. */
  get refusal(): string | undefined {
    return this.refused;
  }

  /** Starts to check the topics, unless it has started already. */
  start(stopping: AbortSignal): void {
    if (this.topics.length > 0) this.running ??= this.watch(stopping);
  }

  /** Waits for a check in flight, but not long. Never throws. */
  async close(): Promise<void> {
    if (this.running) await settlesWithin(STOP_MS, this.running);
  }

  private async watch(stopping: AbortSignal): Promise<void> {
    for (let isFirst = true; !stopping.aborted;) {
      try {
        this.follow(await this.read(this.kafka, this.topics), isFirst);
        isFirst = false;
        this.refused = undefined;
      } catch (error) {
        this.failed(error);
      }
      await pause(isFirst ? this.pauses.retryMs : this.pauses.everyMs, stopping);
    }
  }

  private failed(error: unknown): void {
    const before = this.refused;
    this.refused = isRefused(error) ? describeError(error) : undefined;
    if (this.refused !== undefined && this.refused !== before) this.logger.warn(`Cannot publish: ${this.refused}`);
    else this.logger.debug(`Cannot read how many copies the topics have: ${describeError(error)}`);
  }

  private follow({ brokers, complete, copies }: CopiesReport, isFirst: boolean): void {
    this.isCluster ||= brokers > 1;
    for (const stored of copies) this.risks.set(stored.topic, riskOf(stored));
    const risks = [...this.risks.values()].filter((risk) => risk !== undefined);
    const before = this.found;
    this.found = this.isCluster && risks.length > 0 ? `acks=all means one copy: ${risks.join('; ')}` : undefined;
    if (this.found !== undefined && this.found !== before)
      this.logger.warn(`The failure of one broker can lose published messages, because ${this.found}`);
    if (isFirst && complete && !this.isCluster)
      this.logger.log('Every published message exists once, because Kafka has one broker');
  }
}

function riskOf({ topic, replicas, minInsyncReplicas }: StoredCopies): string | undefined {
  if (replicas === 1) return `${topic} has one replica. Reassign its partitions to more brokers`;
  if (minInsyncReplicas === 1) return `min.insync.replicas of ${topic} is 1. Set it to 2`;
  return undefined;
}
