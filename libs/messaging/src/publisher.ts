import { Logger } from '@nestjs/common';
import { describeError } from './errors.js';
import { type connectProducer, type Producer, refusal } from './kafka.js';
import { type OutboxRow, type OutgoingRecord, toRecord } from './message.js';
import { type MessagingOptions } from './messaging-options.js';
import { TopicCounts } from './outbox-counts.js';
import { type AggregateKey, type OutboxStore, RECORD_OVERHEAD_BYTES } from './outbox-store.js';
import { partitionOf } from './partition.js';
import { type TopicContract } from './topic.js';

/** kafkajs makes one record batch a partition and send: its bytes stay below the default `max.message.bytes` of 1 MiB. */
const PARTITION_BYTES = 768 * 1024;
const LEAST_PARTITION_BYTES = 16 * 1024;
/** After so many sends without a refusal larger ones are tried again. */
const GROW_AFTER = 1000;
const RELEASE_ROWS = 50;

/** The lease was lost, or the relay stops: nothing more may be sent. */
export class TermOver extends Error {}

/** Keys whose messages are parked: later ones park behind them. */
export class ParkedKeys {
  private readonly keys = new Set<string>();

  add({ aggregatetype, aggregateid }: AggregateKey): void {
    this.keys.add(`${aggregatetype}\0${aggregateid}`);
  }

  has({ aggregatetype, aggregateid }: AggregateKey): boolean {
    return this.keys.size > 0 && this.keys.has(`${aggregatetype}\0${aggregateid}`);
  }

  clear(): void {
    this.keys.clear();
  }
}

/**
 * Brings rows to Kafka, in order, for as long as it takes. What Kafka refuses for the message itself becomes a dead letter,
 * after the batch was split until that message stood alone; every other failure is an outage and counts against no message.
 */
export class Publisher {
  /** By the topic's name. */
  readonly counts: ReadonlyMap<string, TopicCounts>;
  private readonly logger = new Logger('Relay');
  private readonly topics: ReadonlyMap<string, TopicContract>;
  private producer: Producer | undefined;
  private partitionBytes = PARTITION_BYTES;
  private sends = 0;

  constructor(
    private readonly options: MessagingOptions,
    private readonly connect: typeof connectProducer,
    private readonly events: {
      /** Waits before the next attempt. */
      readonly onFailed: (what: string, error: unknown) => Promise<void>;
      readonly onSent: () => void;
    },
  ) {
    this.topics = new Map(options.publishes.map((contract) => [contract.aggregateType, contract]));
    this.counts = new Map(options.publishes.map(({ name }) => [name, new TopicCounts()]));
  }

  /** Returns when every row was acknowledged or parked. Throws TermOver when nothing may be sent any more. */
  async deliver(
    rows: readonly OutboxRow[],
    parked: ParkedKeys,
    store: OutboxStore,
    mayPublish: () => boolean,
  ): Promise<void> {
    const withoutHeld = async (rest: readonly OutboxRow[]) => {
      const behind = rest.filter((row) => parked.has(row));
      if (behind.length > 0) await store.park(behind);
      return behind.length > 0 ? rest.filter((row) => !parked.has(row)) : rest;
    };
    const bury = async (row: OutboxRow, error: string) => {
      await store.park([row], error);
      if (this.options.afterDeadLetter !== 'go-on') parked.add(row);
    };
    for (const batch of this.batches(await withoutHeld(rows)))
      await this.send(await withoutHeld(batch), mayPublish, { bury, withoutHeld });
  }

  /** Publishes what waits parked of a key, up to a position if one is given; true when Kafka refused one again that now holds the rest. */
  async release(
    key: AggregateKey,
    before: number | undefined,
    store: OutboxStore,
    mayPublish: () => boolean,
  ): Promise<boolean> {
    for (;;) {
      const rows = await store.readParked(key, before, RELEASE_ROWS);
      if (rows.length === 0) return false;
      let refused: OutboxRow | undefined;
      for (const batch of this.batches(rows)) {
        if (refused) break;
        await this.send(batch, mayPublish, {
          bury: async (row, error) => {
            refused = row;
            await store.killParked(row, error);
          },
          withoutHeld: (rest) => Promise.resolve(refused ? [] : rest),
        });
      }
      await store.removeParked(refused ? rows.slice(0, rows.indexOf(refused)) : rows);
      if (refused && this.options.afterDeadLetter !== 'go-on') return true;
    }
  }

  async close(): Promise<void> {
    await this.dropProducer();
  }

  private async send(
    rows: readonly OutboxRow[],
    mayPublish: () => boolean,
    refused: {
      /** Kafka refuses this message for itself. */
      readonly bury: (row: OutboxRow, error: string) => Promise<void>;
      /** Of the messages behind it, those that may still go. */
      readonly withoutHeld: (rest: readonly OutboxRow[]) => Promise<readonly OutboxRow[]>;
    },
  ): Promise<void> {
    while (rows.length > 0) {
      if (!mayPublish()) throw new TermOver();
      try {
        await this.publish(rows, mayPublish);
        this.sent();
        return;
      } catch (error) {
        await this.dropProducer();
        if (!mayPublish()) throw new TermOver();
        const why = refusal(error);
        if (why === undefined) {
          for (const counts of this.countsOf(rows)) counts.sendFailures++;
          await this.events.onFailed(
            `${rows.length} messages were not acknowledged by Kafka and will be sent again`,
            error,
          );
          continue;
        }
        if (rows.length === 1) {
          const [row] = rows as [OutboxRow];
          await refused.bury(row, describeError(error));
          for (const counts of this.countsOf(rows)) counts.deadLetters++;
          const name = `${row.type} ${row.id} of ${row.aggregatetype} ${row.aggregateid}`;
          this.logger.error(`${name} is a dead letter, refused by Kafka: ${describeError(error)}`);
          return;
        }
        if (why === 'too large') this.shrink(rows);
        const middle = Math.ceil(rows.length / 2);
        await this.send(rows.slice(0, middle), mayPublish, refused);
        rows = await refused.withoutHeld(rows.slice(middle));
      }
    }
  }

  private sent(): void {
    this.events.onSent();
    if (this.partitionBytes < PARTITION_BYTES && ++this.sends >= GROW_AFTER) {
      this.sends = 0;
      this.partitionBytes = Math.min(PARTITION_BYTES, this.partitionBytes * 2);
    }
  }

  /** The topic takes less than the default: from now on batches half the size of the refused one. */
  private shrink(rows: readonly OutboxRow[]): void {
    const largest = Math.max(...this.bytesByPartition(rows).values());
    this.sends = 0;
    this.partitionBytes = Math.max(LEAST_PARTITION_BYTES, Math.min(this.partitionBytes, largest) / 2);
  }

  private bytesByPartition(rows: readonly OutboxRow[]): Map<string, number> {
    const bytes = new Map<string, number>();
    for (const row of rows) {
      const target = this.targetOf(row);
      bytes.set(target, (bytes.get(target) ?? 0) + sizeOf(row));
    }
    return bytes;
  }

  /** Cuts rows where one partition's share would become too large. */
  private *batches(rows: readonly OutboxRow[]): Generator<readonly OutboxRow[]> {
    let start = 0;
    let bytes = new Map<string, number>();
    for (const [index, row] of rows.entries()) {
      const target = this.targetOf(row);
      const size = sizeOf(row);
      const sum = (bytes.get(target) ?? 0) + size;
      if (sum <= this.partitionBytes || sum === size) {
        bytes.set(target, sum);
        continue;
      }
      yield rows.slice(start, index);
      start = index;
      bytes = new Map([[target, size]]);
    }
    if (start < rows.length) yield rows.slice(start);
  }

  /** Where the row will go, if the topic has as many partitions as its contract says: good enough for a bound. */
  private targetOf({ aggregatetype, aggregateid }: OutboxRow): string {
    const partitions = this.topics.get(aggregatetype)?.partitions ?? 1;
    return `${aggregatetype}/${partitionOf(aggregateid, partitions)}`;
  }

  private async publish(rows: readonly OutboxRow[], mayPublish: () => boolean): Promise<void> {
    const recordsByTopic = new Map<string, OutgoingRecord[]>();
    for (const row of rows) {
      const topic = this.topics.get(row.aggregatetype)?.name;
      if (topic === undefined)
        throw new Error(`no topic is declared for aggregate type ${row.aggregatetype} (message ${row.id})`);
      const records = recordsByTopic.get(topic) ?? [];
      records.push(toRecord(row, `/${this.options.service}`));
      recordsByTopic.set(topic, records);
    }
    this.producer ??= await this.connect({ brokers: this.options.brokers, clientId: this.options.service });
    await this.producer.publish(recordsByTopic, mayPublish);
    for (const [topic, records] of recordsByTopic) this.counts.get(topic)?.acknowledged(records);
  }

  /** Of the topics that the rows go to. */
  private countsOf(rows: readonly OutboxRow[]): TopicCounts[] {
    const topics = new Set(rows.map(({ aggregatetype }) => this.topics.get(aggregatetype)?.name));
    return [...this.counts].flatMap(([topic, counts]) => (topics.has(topic) ? [counts] : []));
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
}

function sizeOf({ payload }: OutboxRow): number {
  return Buffer.byteLength(payload) + RECORD_OVERHEAD_BYTES;
}
