import { Logger } from '@nestjs/common';
import { describeError } from '../errors.js';
import { type connectProducer, failureScope, isTimestampRefusal, type Producer, refusal } from '../kafka/kafka.js';
import { type OutboxRow, type OutgoingRecord, toRecord } from '../message/message.js';
import { type MessagingOptions } from '../messaging-options.js';
import { TopicCounts } from './topic-counts.js';
import { type AggregateKey, type OutboxStore, RECORD_OVERHEAD_BYTES } from './outbox-store.js';
import { partitionOf } from '../kafka/partition.js';
import { type Routes } from './routes.js';
import { type TopicContract } from '../message/topic.js';

/** kafkajs makes one record batch for each partition and send. This keeps it below the default `max.message.bytes` of 1 MiB. */
const PARTITION_BYTES = 768 * 1024;
const MIN_PARTITION_BYTES = 16 * 1024;
/** After this many sends without a rejection, the relay tries larger batches again. */
const GROW_AFTER = 1000;
const RELEASE_ROWS = 50;
/** If a service has several topics, an error that names no topic is attributed to the failing topic after this many attempts. */
const ATTEMPTS_BEFORE_BLOCKING = 3;
/** How long records are sent without timestamps after Kafka rejected one. */
const WITHOUT_TIMESTAMPS_MS = 60_000;

/** Thrown when nothing more may be sent, because the lease was lost or the relay is stopping. */
export class TermOver extends Error {}

/** Thrown when a retried topic still fails. Its `cause` is the reason. */
export class TopicFailure extends Error {}

/** The keys with parked messages. Later messages of these keys are parked behind them. */
export class ParkedKeys {
  private readonly keys = new Set<string>();

  delete({ aggregatetype, aggregateid }: AggregateKey): void {
    this.keys.delete(`${aggregatetype}\0${aggregateid}`);
  }

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

/** The outcome for released messages: some are left, none are left, Kafka rejected one, or their topic fails. */
export type Release = 'more' | 'done' | 'refused' | 'blocked';

/** How a send handles messages that Kafka does not accept. */
interface Handling {
  /** Makes a message that Kafka rejects for its own contents a dead letter. */
  readonly deadLetter: (row: OutboxRow, error: string) => Promise<void>;
  /** Returns the messages that may still be sent. */
  readonly sendable: (rows: readonly OutboxRow[]) => Promise<readonly OutboxRow[]>;
  /** Called with the messages of a failing topic, all of one aggregate type, which must not be sent now. */
  readonly block: (rows: readonly OutboxRow[], error: unknown) => void;
  /** Whether an outage ends the send instead of being waited out. */
  readonly once?: boolean;
}

/**
 * Publishes rows to Kafka in order, for as long as it takes. If Kafka rejects a batch for its contents, the batch is bisected until
 * the offending message is isolated and becomes a dead letter. Every other failure is an outage and counts against no message.
 * An outage of one topic among several blocks its aggregate types, and the others continue.
 */
export class Publisher {
  /** Counts by topic name. */
  readonly counts: ReadonlyMap<string, TopicCounts>;
  private readonly logger = new Logger('Relay');
  readonly topics: ReadonlyMap<string, TopicContract>;
  private readonly partitions: ReadonlyMap<string, number>;
  private producer: Producer | undefined;
  private partitionBytes = PARTITION_BYTES;
  private sends = 0;
  private readonly clocks = { differ: false, batches: 0, until: 0 };

  constructor(
    private readonly options: MessagingOptions,
    private readonly connect: typeof connectProducer,
    private readonly events: {
      /** Reports a failure and waits before the next attempt. */
      readonly onFailed: (what: string, error: unknown) => Promise<void>;
      readonly onSent: () => void;
    },
  ) {
    this.topics = new Map(options.publishes.map((contract) => [contract.aggregateType, contract]));
    this.partitions = new Map(options.publishes.map(({ name, partitions }) => [name, partitions]));
    this.counts = new Map(options.publishes.map(({ name }) => [name, new TopicCounts()]));
  }

  /**
   * Publishes rows. Returns when every row was acknowledged, parked, or left to `routes` because its type is blocked. Throws
   * TermOver when nothing may be sent any more.
   */
  async deliver(
    rows: readonly OutboxRow[],
    { parked, routes }: { parked: ParkedKeys; routes: Routes },
    store: OutboxStore,
    mayPublish: () => boolean,
  ): Promise<void> {
    for (const { aggregatetype, position } of rows)
      if (!this.topics.has(aggregatetype)) routes.block(aggregatetype, Number(position));
    const sendable = async (rest: readonly OutboxRow[]) => this.parkHeld(routes.skipBlocked(rest), parked, store);
    const block = (failed: readonly OutboxRow[], error: unknown) => {
      const [first] = failed as [OutboxRow];
      routes.block(first.aggregatetype, Number(first.position), error);
      routes.skipBlocked(failed);
    };
    const handling = { deadLetter: this.deadLetterInto(parked, store), sendable, block };
    for (const batch of this.batches(await sendable(rows)))
      await this.send(await sendable(batch), mayPublish, handling);
  }

  /**
   * Publishes messages of one blocked type, and calls `onSent` after each batch. Throws TopicFailure if a batch fails.
   */
  async catchUp(
    rows: readonly OutboxRow[],
    parked: ParkedKeys,
    store: OutboxStore,
    mayPublish: () => boolean,
    onSent: (batch: readonly OutboxRow[]) => void,
  ): Promise<void> {
    const handling: Handling = {
      deadLetter: this.deadLetterInto(parked, store),
      sendable: async (rest) => this.parkHeld(rest, parked, store),
      block: (_, cause) => {
        throw new TopicFailure('the topic still fails', { cause });
      },
      once: true,
    };
    for (const batch of this.batches(rows)) {
      await this.send(await handling.sendable(batch), mayPublish, handling);
      onSent(batch);
    }
  }

  /** Publishes the next waiting parked messages of a key, optionally only those before a position. */
  async release(
    key: AggregateKey,
    before: number | undefined,
    store: OutboxStore,
    mayPublish: () => boolean,
    block: (error: unknown) => void,
    once = false,
  ): Promise<Release> {
    const rows = await store.readParked(key, before, RELEASE_ROWS);
    let refused: OutboxRow | undefined;
    let blocked = false;
    const stopped = () => blocked || refused !== undefined;
    for (const batch of this.batches(rows)) {
      if (stopped()) break;
      await this.send(batch, mayPublish, {
        deadLetter: async (row, error) => {
          refused = row;
          await store.markParkedDead(row, error);
        },
        sendable: (rest) => Promise.resolve(stopped() ? [] : rest),
        block: (_, error) => {
          blocked = true;
          block(error);
        },
        once,
      });
    }
    if (blocked) return 'blocked';
    if (rows.length > 0) await store.removeParked(refused ? rows.slice(0, rows.indexOf(refused)) : rows);
    if (refused && this.options.afterDeadLetter !== 'go-on') return 'refused';
    return rows.length < RELEASE_ROWS && !refused ? 'done' : 'more';
  }

  /** Publishes released messages of a blocked type. Throws TopicFailure if that fails. */
  async probe(
    key: AggregateKey,
    before: number | undefined,
    store: OutboxStore,
    mayPublish: () => boolean,
  ): Promise<Release> {
    const block = (cause: unknown) => {
      throw new TopicFailure('the topic still fails', { cause });
    };
    return this.release(key, before, store, mayPublish, block, true);
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

  async close(): Promise<void> {
    await this.dropProducer();
  }

  /** Parks the messages whose key is held, and returns the others. */
  private async parkHeld(
    rows: readonly OutboxRow[],
    parked: ParkedKeys,
    store: OutboxStore,
  ): Promise<readonly OutboxRow[]> {
    const behind = rows.filter((row) => parked.has(row));
    if (behind.length > 0) await store.park(behind);
    return behind.length > 0 ? rows.filter((row) => !parked.has(row)) : rows;
  }

  private deadLetterInto(parked: ParkedKeys, store: OutboxStore): Handling['deadLetter'] {
    return async (row, error) => {
      await store.park([row], error);
      if (this.options.afterDeadLetter !== 'go-on') parked.add(row);
    };
  }

  private async send(rows: readonly OutboxRow[], mayPublish: () => boolean, handling: Handling): Promise<void> {
    for (let failures = 0; rows.length > 0;) {
      const error = await this.attempt(rows, mayPublish);
      if (error === undefined) return;
      const why = refusal(error);
      if (why === undefined) {
        rows = await this.afterOutage(rows, error, ++failures, mayPublish, handling);
        continue;
      }
      if (rows.length === 1) {
        const [row] = rows as [OutboxRow];
        await handling.deadLetter(row, describeError(error));
        for (const counts of this.countsOf(rows)) counts.deadLetters++;
        const name = `${row.type} ${row.id} of ${row.aggregatetype} ${row.aggregateid}`;
        this.logger.error(`${name} is now a dead letter because Kafka rejected it: ${describeError(error)}`);
        return;
      }
      if (why === 'too large') this.shrink(rows);
      const middle = Math.ceil(rows.length / 2);
      await this.send(rows.slice(0, middle), mayPublish, handling);
      rows = await handling.sendable(rows.slice(middle));
    }
  }

  /** Sends the rows once. Returns the error, or undefined if all of them were acknowledged. */
  private async attempt(rows: readonly OutboxRow[], mayPublish: () => boolean): Promise<unknown> {
    if (!mayPublish()) throw new TermOver();
    const { clocks } = this;
    const timed = performance.now() >= clocks.until;
    try {
      await this.publish(rows, mayPublish, timed);
      this.sent();
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

  /**
   * Finds out which topics fail by sending to each of them separately. Blocks a topic if the error concerns that topic or another
   * topic works. Waits if no row was sent or blocked. Returns the rows that are still to be sent.
   */
  private async afterOutage(
    rows: readonly OutboxRow[],
    error: unknown,
    failures: number,
    mayPublish: () => boolean,
    { block, once = false }: Handling,
  ): Promise<readonly OutboxRow[]> {
    for (const counts of this.countsOf(rows)) counts.sendFailures++;
    const left = new Map<string, { rows: OutboxRow[]; error: unknown }>();
    for (const row of rows) {
      const part = left.get(row.aggregatetype);
      if (part) part.rows.push(row);
      else left.set(row.aggregatetype, { rows: [row], error });
    }
    // kafkajs refreshes the metadata of all topics that a producer has used, so the failure may be another topic's. The next
    // attempt uses a new producer.
    const isOnlyTopic = left.size === 1;
    // A broken connection usually means that all of Kafka is down. One attempt for each topic would only take longer then.
    if (left.size > 1 && (failureScope(error) !== undefined || failures > 1))
      for (const [type, part] of left) {
        part.error = await this.attempt(part.rows, mayPublish);
        if (part.error === undefined) left.delete(type);
      }
    const works = [...left.values()].reduce((sum, part) => sum + part.rows.length, 0) < rows.length;
    let blocked = false;
    for (const [type, part] of left) {
      if (!once && (this.topics.size === 1 || refusal(part.error) !== undefined)) continue;
      const scope = failureScope(part.error);
      const ofTopic =
        (scope === 'topic' && (!isOnlyTopic || failures > 1)) ||
        (scope === 'kafka' && failures >= ATTEMPTS_BEFORE_BLOCKING);
      if (!once && !works && !ofTopic) continue;
      left.delete(type);
      blocked = true;
      block(part.rows, part.error);
    }
    if (!works && !blocked)
      await this.events.onFailed(
        `${rows.length} messages were not acknowledged by Kafka and will be sent again`,
        error,
      );
    return rows.filter(({ aggregatetype }) => left.has(aggregatetype));
  }

  private sent(): void {
    this.events.onSent();
    if (this.partitionBytes < PARTITION_BYTES && ++this.sends >= GROW_AFTER) {
      this.sends = 0;
      this.partitionBytes = Math.min(PARTITION_BYTES, this.partitionBytes * 2);
    }
  }

  /** Halves the batch size from that of the rejected batch, because the topic accepts less than the default. */
  private shrink(rows: readonly OutboxRow[]): void {
    const largest = Math.max(...this.bytesByPartition(rows).values());
    this.sends = 0;
    this.partitionBytes = Math.max(MIN_PARTITION_BYTES, Math.min(this.partitionBytes, largest) / 2);
  }

  private bytesByPartition(rows: readonly OutboxRow[]): Map<string, number> {
    const bytes = new Map<string, number>();
    for (const row of rows) {
      const target = this.targetOf(row);
      bytes.set(target, (bytes.get(target) ?? 0) + sizeOf(row));
    }
    return bytes;
  }

  /** Splits the rows where one partition's share would become too large. */
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

  /** The row's partition if the topic has as many partitions as its contract declares, which is good enough for a bound. */
  private targetOf({ aggregatetype, aggregateid }: OutboxRow): string {
    const partitions = this.topics.get(aggregatetype)?.partitions ?? 1;
    return `${aggregatetype}/${partitionOf(aggregateid, partitions)}`;
  }

  private async publish(rows: readonly OutboxRow[], mayPublish: () => boolean, timed: boolean): Promise<void> {
    const recordsByTopic = new Map<string, OutgoingRecord[]>();
    for (const row of rows) {
      const topic = this.topics.get(row.aggregatetype)?.name;
      if (topic === undefined)
        throw new Error(`no topic is declared for aggregate type ${row.aggregatetype} (message ${row.id})`);
      const records = recordsByTopic.get(topic) ?? [];
      records.push(toRecord(row, `/${this.options.service}`, timed));
      recordsByTopic.set(topic, records);
    }
    this.producer ??= await this.connect({
      brokers: this.options.brokers,
      clientId: this.options.service,
      partitions: this.partitions,
    });
    await this.producer.publish(recordsByTopic, mayPublish);
    // The latency is measured from the row's time, even if the record has no timestamp.
    for (const [topic, records] of recordsByTopic) {
      const times = timed ? records : rows.filter((row) => this.topics.get(row.aggregatetype)?.name === topic);
      this.counts.get(topic)?.acknowledged(times);
    }
  }

  /** Returns the counts of the topics that the rows are sent to. */
  private countsOf(rows: readonly OutboxRow[]): TopicCounts[] {
    const topics = new Set(rows.map(({ aggregatetype }) => this.topics.get(aggregatetype)?.name));
    return [...this.counts].flatMap(([topic, counts]) => (topics.has(topic) ? [counts] : []));
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

function sizeOf({ payload }: OutboxRow): number {
  return Buffer.byteLength(payload) + RECORD_OVERHEAD_BYTES;
}
