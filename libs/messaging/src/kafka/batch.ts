import { type EachBatchPayload } from 'kafkajs';
import { setHeader } from './fetched-record.js';
import { toCommit } from './group-offsets.js';
import { recordTime } from '../message/event-time.js';
import { type KafkaRecord } from '../message/message.js';
import { type OffsetCommits } from './offset-commits.js';
import { settlesWithin } from '../waiting.js';

export const COMMIT_AT_STOP_MS = 1000;

export interface Batch {
  readonly records: readonly KafkaRecord[];
  /** Whether Kafka had more records of the partition when it sent this batch. */
  readonly hasMore: boolean;
  /** False once the consumer is stopping or the partition was reset. The rest of the batch must not be processed then. */
  isCurrent(): boolean;
  /** Marks the record as settled, so that its offset may be committed. */
  resolve(record: KafkaRecord): void;
}

/** The member of the group that a batch was delivered to. */
export interface BatchOwner {
  readonly heartbeatMs: number;
  readonly commits: OffsetCommits;
  /** Whether offsets are written to the consumer's database before they are committed. */
  readonly inDatabase: boolean;
  /** Whether there was no rebalance since the batch was delivered. */
  isMember(): boolean;
  /** Whether the partition has not been repositioned since the batch was fetched. */
  isInPlace(): boolean;
  isStopping(): boolean;
}

/** Delivers a batch to `onBatch`, with heartbeats in the meantime. @throws if a heartbeat shows that the group rebalances */
export async function deliver(
  payload: EachBatchPayload,
  owner: BatchOwner,
  onBatch: (batch: Batch) => Promise<void>,
): Promise<void> {
  const { topic } = payload.batch;
  let rebalance: unknown;
  // Heartbeats continue while a handler is slow. A failed heartbeat means a rebalance: the batch is abandoned after the current
  // record, and throwing the error makes kafkajs rejoin the group.
  const timer = setInterval(() => {
    payload.heartbeat().catch((error: unknown) => (rebalance ??= error));
  }, owner.heartbeatMs);
  try {
    await onBatch(batchOf(payload, owner, () => rebalance === undefined));
  } finally {
    clearInterval(timer);
  }
  // The member's last commit, because kafkajs no longer accepts one from outside of a batch.
  if (owner.isMember() && (owner.isStopping() || !payload.isRunning() || rebalance !== undefined))
    await settlesWithin(
      COMMIT_AT_STOP_MS,
      owner.commits.flush((offsets) =>
        payload.commitOffsetsIfNecessary({ topics: [{ topic, partitions: toCommit(offsets, owner.inDatabase) }] }),
      ),
    );
  if (rebalance !== undefined) throw rebalance;
}

function batchOf(payload: EachBatchPayload, owner: BatchOwner, isStable: () => boolean): Batch {
  const { batch } = payload;
  const { topic, partition } = batch;
  return {
    records: batch.messages.map((message) => ({
      topic,
      partition,
      offset: message.offset,
      timestamp: recordTime(message.timestamp),
      key: message.key,
      value: message.value,
      headers: textHeaders(message.headers),
    })),
    hasMore: BigInt(batch.lastOffset()) + 1n < BigInt(batch.highWatermark),
    isCurrent: () => owner.isMember() && owner.isInPlace() && payload.isRunning() && !payload.isStale() && isStable(),
    resolve: ({ offset }) => {
      payload.resolveOffset(offset);
      // Transaction markers at the end of the batch are settled with its last message.
      owner.commits.settle(partition, offset === batch.messages.at(-1)?.offset ? batch.lastOffset() : offset);
    },
  };
}

function textHeaders(headers: EachBatchPayload['batch']['messages'][number]['headers'] = {}): Record<string, string> {
  const text: Record<string, string> = {};
  for (const name of Object.keys(headers)) {
    const value = headers[name];
    setHeader(text, name, (Array.isArray(value) ? value.at(-1) : value)?.toString() ?? '');
  }
  return text;
}
