import { Logger } from '@nestjs/common';
import { describeError } from '../errors.js';
import { isTimestampRefusal } from '../kafka/kafka-errors.js';
import { type connectProducer, type Producer } from '../kafka/producer.js';
import { type OutboxRow } from '../message/message.js';
import { type TopicContract } from '../message/topic.js';
import { kafkaOptionsOf, type MessagingOptions } from '../messaging-options.js';
import { endAfter } from '../tracing/end-after.js';
import { startSends } from '../tracing/sends.js';
import { TopicCounts } from './topic-counts.js';

/** How long records are sent without timestamps after Kafka rejected one. */
const WITHOUT_TIMESTAMPS_MS = 60_000;

/** Thrown when nothing more may be sent, because the lease was lost or the relay is stopping. */
export class TermOver extends Error {}

/** Sends rows to the topics of their aggregate types, and counts what Kafka acknowledges. */
export class Sender {
  /** By aggregate type. */
  readonly topics: ReadonlyMap<string, TopicContract>;
  /** Counts by topic name. */
  readonly counts: ReadonlyMap<string, TopicCounts>;
  private readonly logger = new Logger('Relay');
  private readonly partitions: ReadonlyMap<string, number>;
  private producer: Producer | undefined;
  private readonly clocks = { differ: false, batches: 0, until: 0 };

  constructor(
    private readonly options: MessagingOptions,
    private readonly connect: typeof connectProducer,
    /** Called when Kafka has acknowledged the rows of one send. */
    private readonly onSent: () => void,
  ) {
    this.topics = new Map(options.publishes.map((contract) => [contract.aggregateType, contract]));
    this.partitions = new Map(options.publishes.map(({ name, partitions }) => [name, partitions]));
    this.counts = new Map(options.publishes.map(({ name }) => [name, new TopicCounts()]));
  }

  /** Sends the rows once. Returns the error, or undefined if all of them were acknowledged. @throws TermOver */
  async attempt(rows: readonly OutboxRow[], mayPublish: () => boolean): Promise<unknown> {
    if (!mayPublish()) throw new TermOver();
    const { clocks } = this;
    const timed = performance.now() >= clocks.until;
    try {
      await this.sendOnce(rows, mayPublish, timed);
      this.onSent();
      if (timed) clocks.differ = false;
      else clocks.batches++;
      return undefined;
    } catch (error) {
      await this.dropProducer();
      if (!mayPublish()) throw new TermOver();
      if (!timed || !isTimestampRefusal(error)) return error;
      const text =
        "Kafka rejects timestamps because its clock and the database's differ. Messages are sent without timestamps";
      if (!clocks.differ) this.logger.error(`${text}: ${describeError(error)}`);
      clocks.differ = true;
      clocks.until = performance.now() + WITHOUT_TIMESTAMPS_MS;
      return this.attempt(rows, mayPublish);
    }
  }

  /** Reports whether Kafka accepts the database's timestamps. */
  clockReport(): { problem?: string; batchesWithoutTimestamps?: number } {
    const { differ, batches, until } = this.clocks;
    // An idle relay does not find out whether the clocks were corrected.
    const persists = differ && performance.now() < until + WITHOUT_TIMESTAMPS_MS;
    return {
      ...(persists && {
        problem:
          "Kafka rejects the message timestamps because its clock and the database's differ too much. " +
          'Messages are sent without timestamps. Correct the clocks',
      }),
      ...(batches > 0 && { batchesWithoutTimestamps: batches }),
    };
  }

  /** Returns the counts of the topics that the rows are sent to. */
  countsOf(rows: readonly OutboxRow[]): TopicCounts[] {
    const topics = new Set(rows.map(({ aggregatetype }) => this.topics.get(aggregatetype)?.name));
    return [...this.counts].flatMap(([topic, counts]) => (topics.has(topic) ? [counts] : []));
  }

  async close(): Promise<void> {
    await this.dropProducer();
  }

  private async sendOnce(rows: readonly OutboxRow[], mayPublish: () => boolean, timed: boolean): Promise<void> {
    const rowsByTopic = new Map<string, OutboxRow[]>();
    for (const row of rows) {
      const topic = this.topics.get(row.aggregatetype)?.name;
      if (topic === undefined)
        throw new Error(`no topic is declared for aggregate type ${row.aggregatetype} (message ${row.id})`);
      const others = rowsByTopic.get(topic);
      if (others) others.push(row);
      else rowsByTopic.set(topic, [row]);
    }
    this.producer ??= await this.connect({
      ...kafkaOptionsOf(this.options),
      source: `/${this.options.service}`,
      partitions: this.partitions,
    });
    const { producer } = this;
    await endAfter(startSends(rowsByTopic), async () => producer.publish(rowsByTopic, mayPublish, timed));
    for (const [topic, sent] of rowsByTopic) this.counts.get(topic)?.acknowledged(sent);
  }

  /**
   * Closes the producer. After a send whose outcome is unknown, kafkajs rolls its sequence numbers back. Kafka would take a
   * different batch sent with them for a duplicate, acknowledge it and lose it. So a producer that failed once is never reused.
   */
  private async dropProducer(): Promise<void> {
    const { producer } = this;
    this.producer = undefined;
    await producer?.close();
  }
}
