import { type Logger } from '@nestjs/common';
import { describeError } from '../errors.js';
import { type KafkaOptions } from '../kafka/client.js';
import { storedCopies, type StoredCopies } from '../kafka/topic-copies.js';
import { pause, settlesWithin } from '../waiting.js';

/** How often the topics are checked again: an operator may have changed them. */
const CHECK_EVERY_MS = 5 * 60_000;
/** How long a check in flight may delay a stop. */
const STOP_MS = 1000;

/**
 * Reports topics of which an acknowledged message may exist only once, so that the loss of one broker loses it. Checks them when the
 * relay has published for the first time, and then every few minutes.
 */
export class CopiesWatch {
  private running: Promise<void> | undefined;
  private found: string | undefined;

  constructor(
    private readonly kafka: KafkaOptions,
    private readonly topics: readonly string[],
    private readonly logger: Logger,
    /** Tests replace it. */
    private readonly read = storedCopies,
  ) {}

  /** What puts acknowledged messages at risk, if anything. Not if Kafka has only one broker, because nothing can be configured then. */
  get problem(): string | undefined {
    return this.found;
  }

  /** Starts to check the topics, unless it has started already. */
  start(stopping: AbortSignal): void {
    this.running ??= this.watch(stopping);
  }

  /** Waits for a check in flight, but not long. Never throws. */
  async close(): Promise<void> {
    if (this.running) await settlesWithin(STOP_MS, this.running);
  }

  private async watch(stopping: AbortSignal): Promise<void> {
    for (let isFirst = true; !stopping.aborted; isFirst = false) {
      await this.check(isFirst).catch((error: unknown) =>
        this.logger.debug(`Cannot read how many copies the topics have: ${describeError(error)}`),
      );
      await pause(CHECK_EVERY_MS, stopping);
    }
  }

  private async check(isFirst: boolean): Promise<void> {
    const { brokers, copies } = await this.read(this.kafka, this.topics);
    const risks = copies.flatMap(riskOf);
    const before = this.found;
    this.found = brokers > 1 && risks.length > 0 ? `acks=all means one copy: ${risks.join('; ')}` : undefined;
    if (this.found !== undefined && this.found !== before)
      this.logger.warn(`The failure of one broker can lose published messages, because ${this.found}`);
    if (isFirst && brokers === 1) this.logger.log('Every published message exists once, because Kafka has one broker');
  }
}

function riskOf({ topic, replicas, minInsyncReplicas }: StoredCopies): string[] {
  if (replicas === 1) return [`${topic} has one replica. Reassign its partitions to more brokers`];
  if (minInsyncReplicas === 1) return [`min.insync.replicas of ${topic} is 1. Set it to 2`];
  return [];
}
