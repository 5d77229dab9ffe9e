import { type ICustomPartitioner, type Message } from 'kafkajs';
// @ts-expect-error -- kafkajs has no types for its internals
import produceRequests from 'kafkajs/src/protocol/requests/produce/index.js';
import { type OutboxRow } from '../message/message.js';
import { estimatedBytes, type RecordFormat, writeBatch } from './batch-writer.js';
import { partitionOf } from './partition.js';
import { RequestBuffer } from './request-buffer.js';

/*
 * Replaces how kafkajs 2.2.4 makes a produce request: it groups messages by partition in quadratic time, makes three objects for
 * each record and two for each header, copies the records five times and computes their checksum at 0.3 GB/s. Here, the rows of the
 * outbox are written straight into one buffer for each request. kafkajs keeps the connections, metadata, producer ids, sequence
 * numbers and retries.
 *
 * The places where it takes effect:
 * - A `TopicRows` stands for the array of messages in `sendBatch`. kafkajs calls only its `find` and `reduce`
 *   (`messageProducer.js`, `groupMessagesPerPartition.js`), the latter before each attempt.
 * - A `PartitionRows` stands for the messages of one partition. kafkajs reads only its `length`, to advance the sequence number
 *   (`sendMessages.js`).
 * - `encode` of the produce request is replaced for requests of such rows. Others are encoded by kafkajs.
 *
 * When kafkajs changes, `kafkajs-produce.spec.ts` compares the bytes with kafkajs's own encoder for generated rows, and
 * `java-consumer.int.spec.ts` reads them with Kafka's own client. The patches refuse any version other than 2.2.4.
 */

/** Room for kafkajs's length and request header, unless the client id is very long. */
const HEADROOM = 512;

/** One attempt of kafkajs to send. */
export interface Attempt {
  readonly buffers: RequestBuffers;
  /** Called for each topic, with its number of partitions, before anything is sent. An error ends the send. */
  starts(topic: string, partitions: number): void;
  /** Called for each topic-partition that has to answer. */
  sends(topic: string, partition: string): void;
  /**
   * Called before each request is sent. kafkajs may wait for seconds after `starts`, for a connection or for the answer to an earlier
   * request to the same broker. An error ends the send.
   */
  writes(): void;
}

/** The rows of one topic, in place of the array of messages that kafkajs expects. */
export class TopicRows {
  private byPartition: Record<string, PartitionRows> = {};

  constructor(
    private readonly rows: readonly OutboxRow[],
    private readonly format: RecordFormat,
    private readonly attempt: Attempt,
  ) {}

  /** Returns itself, typed as kafkajs expects. */
  asMessages(): Message[] {
    return this as unknown as Message[];
  }

  /** kafkajs searches for messages without a value. */
  find(): undefined {
    return undefined;
  }

  /** Returns the rows by partition. kafkajs's `group` calls {@link partitionRows}, which knows the topic's partitions. */
  reduce(group: (result: object, message: this) => unknown): Record<string, PartitionRows> {
    group({}, this);
    return this.byPartition;
  }

  partition(topic: string, partitions: number): void {
    const { rows, format, attempt } = this;
    attempt.starts(topic, partitions);
    this.byPartition = {};
    const { sent } = attempt.buffers;
    for (const row of rows) {
      const partition = (row.partition ??= partitionOf(row.aggregateid, partitions));
      (this.byPartition[partition] ??= new PartitionRows([], format, attempt, sent)).rows.push(row);
    }
    for (const partition of Object.keys(this.byPartition)) attempt.sends(topic, partition);
  }
}

/** A partitioner, which kafkajs calls once for each {@link TopicRows} and attempt. */
export const partitionRows: ReturnType<ICustomPartitioner> = ({ topic, partitionMetadata, message }) => {
  (message as unknown as TopicRows).partition(topic, partitionMetadata.length);
  return 0;
};

/** The rows of one partition, in place of the array of messages that kafkajs expects. */
export class PartitionRows {
  constructor(
    readonly rows: OutboxRow[],
    readonly format: RecordFormat,
    readonly attempt: Attempt,
    /** Collects the buffers of the attempt's requests. */
    readonly sent: Buffer[],
  ) {}

  get length(): number {
    return this.rows.length;
  }
}

/** Twice the most that the relay reads at once. Only a few very large messages need more. */
const MAX_KEPT_BYTES = 8 * 1024 * 1024;

/**
 * The buffers of one producer's requests. They are used again, because allocating and releasing hundreds of kilobytes for each
 * request costs more than writing them.
 */
export class RequestBuffers {
  /** The buffers of the present attempt's requests. */
  sent: Buffer[] = [];
  private free: Buffer[] = [];

  /** Returns a buffer, reusing a spare one that is large enough. */
  take(bytes: number): RequestBuffer {
    const spare = this.free.pop();
    return new RequestBuffer(spare && spare.length >= bytes ? spare : Buffer.allocUnsafe(bytes), HEADROOM);
  }

  /**
   * Lets the present attempt's buffers be used again, unless they are very large. Call it once every request was answered, because the
   * broker has then read them.
   */
  answered(): void {
    this.free = this.sent.filter(({ length }) => length <= MAX_KEPT_BYTES);
    this.sent = [];
  }

  /** Begins an attempt. The buffers of a failed one are left alone, because a socket may still be writing them. */
  begin(): void {
    this.sent = [];
  }
}

interface ProduceOptions {
  readonly acks: number;
  readonly timeout: number;
  readonly producerId: unknown;
  readonly producerEpoch: number;
  readonly topicData: readonly {
    readonly topic: string;
    readonly partitions: readonly {
      readonly partition: number | string;
      readonly firstSequence: number;
      readonly messages: unknown;
    }[];
  }[];
}

interface ProduceRequest {
  readonly request: { readonly encode: () => Promise<unknown> };
}

interface ProduceRequests {
  protocol: (about: { version: number }) => (options: ProduceOptions) => ProduceRequest;
}

/** The first version whose records are batches of format 2. */
const FIRST_WITH_BATCHES = 3;

/** Encodes the produce requests of {@link TopicRows} here. */
export function patchProduceRequests(): void {
  const requests = produceRequests as ProduceRequests;
  const { protocol } = requests;
  requests.protocol = ({ version }) => {
    const build = protocol({ version });
    return (options) => {
      const produce = build(options);
      const [first] = options.topicData.flatMap(({ partitions }) => partitions);
      if (!(first?.messages instanceof PartitionRows)) return produce;
      // Here, because kafkajs would next connect again to a broker that it has disconnected from.
      first.messages.attempt.writes();
      if (version < FIRST_WITH_BATCHES)
        throw new Error('Kafka is too old: a broker of version 0.11 or later is required');
      return { ...produce, request: { ...produce.request, encode: () => Promise.resolve(encode(options)) } };
    };
  };
}

/** An encoded request in the form of kafkajs's encoder. */
export interface EncodedRequest {
  readonly buf: Buffer;
  readonly buffer: Buffer;
  /** How many bytes in front of {@link buffer} are free. */
  readonly headroom?: number;
}

/** Versions 3 to 7 differ only in their answers: https://kafka.apache.org/protocol#The_Messages_Produce */
function encode({ acks, timeout, producerId, producerEpoch, topicData }: ProduceOptions): EncodedRequest {
  const all = topicData.flatMap(({ partitions }) => partitions.map(({ messages }) => messages as PartitionRows));
  const [{ attempt, sent }] = all as [PartitionRows];
  attempt.writes();
  const sizes = all.map(({ rows, format }) => estimatedBytes(rows, format));
  const out = attempt.buffers.take(sizes.reduce((sum, size) => sum + size, 2 * HEADROOM));
  // No transactional id.
  out.int16(-1);
  out.int16(acks);
  out.int32(timeout);
  out.int32(topicData.length);
  for (const { topic, partitions } of topicData) {
    out.string(topic);
    out.int32(partitions.length);
    for (const { partition, firstSequence, messages } of partitions) {
      const { rows, format } = messages as PartitionRows;
      out.int32(Number(partition));
      const sizeAt = out.skip(4);
      const sequence = { producerId: BigInt(String(producerId)), producerEpoch, firstSequence };
      writeBatch(out, rows, format, sequence);
      out.bytes.writeInt32BE(out.at - sizeAt - 4, sizeAt);
    }
  }
  sent.push(out.bytes);
  const buffer = out.from(HEADROOM);
  return { buf: buffer, buffer, headroom: HEADROOM };
}
