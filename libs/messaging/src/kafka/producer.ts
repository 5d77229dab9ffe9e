import { disconnect, FEW_RETRIES, kafkaClient, type KafkaOptions, REQUEST_MS } from './client.js';
import { LeaseLostError, PartitionCountError, UnacknowledgedError } from './kafka-errors.js';
import { type Attempt, partitionRows, RequestBuffers, TopicRows } from './kafkajs-produce.js';
import { type OutboxRow } from '../message/message.js';
import { RecordHeaders } from './record-headers.js';

export interface ProducerOptions extends KafkaOptions {
  /** The `ce_source` of the messages. */
  readonly source: string;
  /** The expected number of partitions by topic. Messages to a topic with another number are not sent; other topics are not checked. */
  readonly partitions?: ReadonlyMap<string, number>;
  /**
   * Set for a producer of copies: the id of the operation, which the header {@link REPLAY_HEADER} has. The timestamp of a copy is the
   * time of sending, so that Kafka keeps it as long as a new message, and `ce_time` is a header.
   */
  readonly replay?: string | undefined;
}

/** Marks a message that an operator has published again. */
const REPLAY_HEADER = 'twinbox-replay';

/**
 * How long the producer relies on the metadata of the topics. Until it is refreshed, partitions added in the meantime are not
 * used, so every key stays in its partition. One request for each refresh costs next to nothing.
 */
const METADATA_AGE_MS = 5000;

export interface Producer {
  /**
   * Sends the rows of all topics at once and returns when every topic-partition has acknowledged them (acks=all). The key stands for
   * `ce_subject` and the timestamp for `ce_time`. If the rows are not `timed`, because Kafka rejects such timestamps, `ce_time` is a
   * header. `mayStillSend` is called before each attempt, including kafkajs's own second one, and before each request of it. Once this
   * has returned or thrown, nothing more of these rows is sent.
   *
   * After an error the outcome is unknown. Close this producer then, and connect another one before sending anything else.
   */
  publish(
    rowsByTopic: ReadonlyMap<string, readonly OutboxRow[]>,
    mayStillSend: () => boolean,
    timed?: boolean,
  ): Promise<void>;
  /** Never throws. */
  close(): Promise<void>;
}

export async function connectProducer(options: ProducerOptions): Promise<Producer> {
  const kafka = kafkaClient(options);
  const { replay } = options;
  const headers = new RecordHeaders(options.source, replay === undefined ? {} : { [REPLAY_HEADER]: replay });
  const attempt = new SendAttempt(options.partitions ?? new Map());
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    metadataMaxAge: METADATA_AGE_MS,
    retry: FEW_RETRIES,
    createPartitioner: () => partitionRows,
  });
  try {
    await producer.connect();
  } catch (error) {
    await disconnect(producer);
    throw error;
  }
  return {
    async publish(rowsByTopic, mayStillSend, timed = true) {
      attempt.begin(mayStillSend);
      try {
        const format =
          replay === undefined
            ? { headers, timed }
            : { headers, timed: false, recordTime: timed ? Date.now() : undefined };
        const answers = await producer.sendBatch({
          acks: -1,
          timeout: REQUEST_MS,
          topicMessages: [...rowsByTopic].map(([topic, rows]) => ({
            topic,
            messages: new TopicRows(rows, format, attempt).asMessages(),
          })),
        });
        const silent = unacknowledged(attempt.targets, answers);
        if (silent.length > 0) throw new UnacknowledgedError(silent);
        attempt.buffers.answered();
      } finally {
        attempt.end();
      }
    },
    close: () => disconnect(producer),
  };
}

/** Returns the topic-partitions that no answer lists without an error. Their outcome is unknown. */
export function unacknowledged(
  targets: ReadonlySet<string>,
  answers: readonly { readonly topicName: string; readonly partition: number; readonly errorCode: number }[],
): string[] {
  const acknowledged = new Set(
    answers.filter(({ errorCode }) => errorCode === 0).map(({ topicName, partition }) => `${topicName}/${partition}`),
  );
  return [...targets].filter((target) => !acknowledged.has(target));
}

/**
 * Stops a send that may no longer go out, and records which topic-partitions have to answer. kafkajs calls the partitioner before
 * every attempt to send, including its own retries, and builds each request right before it is sent.
 */
export class SendAttempt implements Attempt {
  readonly targets = new Set<string>();
  readonly buffers = new RequestBuffers();
  /** The topics that the present attempt has begun with. */
  private readonly begun = new Set<string>();
  private mayStillSend = (): boolean => false;

  constructor(private readonly partitions: ReadonlyMap<string, number>) {}

  begin(mayStillSend: () => boolean): void {
    this.mayStillSend = mayStillSend;
    this.targets.clear();
    this.begun.clear();
    this.buffers.begin();
  }

  /** Ends all attempts, including requests that kafkajs still holds back. */
  end(): void {
    this.mayStillSend = () => false;
  }

  starts(topic: string, partitions: number): void {
    this.writes();
    const expected = this.partitions.get(topic);
    if (expected !== undefined && expected !== partitions) throw new PartitionCountError(topic, partitions, expected);
    if (this.begun.has(topic)) {
      this.begun.clear();
      this.buffers.begin();
    }
    this.begun.add(topic);
  }

  sends(topic: string, partition: string): void {
    this.targets.add(`${topic}/${partition}`);
  }

  writes(): void {
    if (!this.mayStillSend()) throw new LeaseLostError();
  }
}
