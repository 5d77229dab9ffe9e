import { type ICustomPartitioner } from 'kafkajs';
import { disconnect, FEW_RETRIES, kafkaClient, type KafkaOptions, REQUEST_MS } from './client.js';
import { LeaseLostError, PartitionCountError, UnacknowledgedError } from './kafka-errors.js';
import { type OutgoingRecord } from '../message/message.js';
import { partitionOf } from './partition.js';

export interface ProducerOptions extends KafkaOptions {
  /** The expected number of partitions by topic. Messages to a topic with another number are not sent; other topics are not checked. */
  readonly partitions?: ReadonlyMap<string, number>;
}

/**
 * How long the producer relies on the metadata of the topics. Until it is refreshed, partitions added in the meantime are not
 * used, so every key stays in its partition. One request for each refresh costs next to nothing.
 */
const METADATA_AGE_MS = 5000;

export interface Producer {
  /**
   * Sends the records of all topics at once and returns when every topic-partition has acknowledged them (acks=all).
   * `mayStillSend` is called before each attempt, including kafkajs's own second one. After an error the outcome is unknown.
   * Close this producer then, and connect another one before sending anything else.
   */
  publish(recordsByTopic: ReadonlyMap<string, OutgoingRecord[]>, mayStillSend: () => boolean): Promise<void>;
  /** Never throws. */
  close(): Promise<void>;
}

export async function connectProducer(options: ProducerOptions): Promise<Producer> {
  const kafka = kafkaClient(options);
  const attempt = new SendAttempt(options.partitions ?? new Map());
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    metadataMaxAge: METADATA_AGE_MS,
    retry: FEW_RETRIES,
    createPartitioner: () => attempt.partitioner(),
  });
  try {
    await producer.connect();
  } catch (error) {
    await disconnect(producer);
    throw error;
  }
  return {
    async publish(recordsByTopic, mayStillSend) {
      attempt.begin(mayStillSend);
      const answers = await producer.sendBatch({
        acks: -1,
        timeout: REQUEST_MS,
        topicMessages: [...recordsByTopic].map(([topic, messages]) => ({ topic, messages })),
      });
      const silent = unacknowledged(attempt.targets, answers);
      if (silent.length > 0) throw new UnacknowledgedError(silent);
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
 * Stops a send that may no longer go out, and records which topic-partitions have to answer. It does so in the partitioner,
 * which kafkajs calls before every attempt to send, including its own retries.
 */
class SendAttempt {
  readonly targets = new Set<string>();
  private mayStillSend = (): boolean => false;

  constructor(private readonly partitions: ReadonlyMap<string, number>) {}

  begin(mayStillSend: () => boolean): void {
    this.mayStillSend = mayStillSend;
    this.targets.clear();
  }

  partitioner(): ReturnType<ICustomPartitioner> {
    return ({ topic, partitionMetadata, message }) => {
      if (!this.mayStillSend()) throw new LeaseLostError();
      const expected = this.partitions.get(topic);
      if (expected !== undefined && expected !== partitionMetadata.length)
        throw new PartitionCountError(topic, partitionMetadata.length, expected);
      const partition = partitionOf(String(message.key), partitionMetadata.length);
      this.targets.add(`${topic}/${partition}`);
      return partition;
    };
  }
}
