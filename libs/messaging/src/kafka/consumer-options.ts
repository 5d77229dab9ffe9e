import { type Batch } from './batch.js';
import { type KafkaOptions } from './client.js';
import { type FoundStart } from './partition-start.js';

export interface Consumer {
  /** Resolves when the consumer has stopped, and rejects when it has crashed. A crashed consumer is replaced, not restarted. */
  readonly ended: Promise<void>;
  /** Waits for the batches in flight, commits their resolved offsets and leaves the group. Never throws. */
  stop(): Promise<void>;
}

export interface ConsumerOptions extends KafkaOptions {
  readonly groupId: string;
  readonly topic: string;
  /** How many partitions are processed concurrently. Within a partition, batches are processed one after another. */
  readonly concurrency: number;
  /** How long after the last heartbeat Kafka assigns the partitions to another member, in milliseconds. Default 10 s. */
  readonly sessionMs?: number;
  /** Called after each rebalance. */
  readonly onJoined?: () => void;
  /** Stores offsets in the consumer's database. They are written there before they are committed to Kafka, and the lower ones count. */
  readonly settled?: SettledOffsets;
  /** Called when fetches stay suspended because the offsets to start from could not be found. The search is retried. */
  readonly onSuspended?: (error: unknown) => void;
  /** Whether nothing is fetched now. The member stays in its group and keeps its partitions. Default: never. */
  readonly isPaused?: () => boolean;
  /** Called when a fetch is sent. `onFetched` is called when its response was read; a silent broker or undecodable batch gives none. */
  readonly onFetching?: () => void;
  readonly onFetched?: () => void;
  /** Processes a batch and must not throw. Offsets of the records that it resolves are committed within a second. */
  readonly onBatch: (batch: Batch) => Promise<void>;
}

/** Stores in the consumer's database how far partitions are settled. Every method throws while the database is unavailable. */
export interface SettledOffsets {
  read(): Promise<ReadonlyMap<number, bigint>>;
  /** Raises the offsets. Returns false and writes nothing if a stored offset is lower than `known`, because the database has gone back. */
  raise(offsets: ReadonlyMap<number, bigint>, known: ReadonlyMap<number, bigint>): Promise<boolean>;
  /** Stores the start offsets and reports what they reveal. Called repeatedly until it succeeds. */
  place(starts: readonly FoundStart[]): Promise<void>;
}
