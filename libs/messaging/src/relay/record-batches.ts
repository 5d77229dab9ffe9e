import { partitionOf } from '../kafka/partition.js';
import { type OutboxRow } from '../message/message.js';
import { type TopicContract } from '../message/topic.js';
import { RECORD_OVERHEAD_BYTES } from './outbox-columns.js';

/** kafkajs makes one record batch for each partition and send. This keeps it below the default `max.message.bytes` of 1 MiB. */
const PARTITION_BYTES = 768 * 1024;
const MIN_PARTITION_BYTES = 16 * 1024;
/** After this many sends without a rejection, the relay tries larger batches again. */
const GROW_AFTER = 1000;

/** Splits rows into batches that Kafka accepts, and learns from its rejections how large a batch may be. */
export class RecordBatches {
  private partitionBytes = PARTITION_BYTES;
  private sends = 0;

  /** `topics` has the contracts by aggregate type. */
  constructor(private readonly topics: ReadonlyMap<string, TopicContract>) {}

  /** Splits the rows where one partition's share would become too large. */
  *of(rows: readonly OutboxRow[]): Generator<readonly OutboxRow[]> {
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

  /** Records a send that Kafka accepted. */
  accepted(): void {
    if (this.partitionBytes < PARTITION_BYTES && ++this.sends >= GROW_AFTER) {
      this.sends = 0;
      this.partitionBytes = Math.min(PARTITION_BYTES, this.partitionBytes * 2);
    }
  }

  /** Halves the batch size from that of the rejected batch, because the topic accepts less than the default. */
  tooLarge(rows: readonly OutboxRow[]): void {
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

  /** The row's partition if the topic has as many partitions as its contract declares, which is good enough for a bound. */
  private targetOf(row: OutboxRow): string {
    const { aggregatetype, aggregateid } = row;
    const partitions = this.topics.get(aggregatetype)?.partitions ?? 1;
    return `${aggregatetype}/${(row.partition ??= partitionOf(aggregateid, partitions))}`;
  }
}

function sizeOf({ payload, tracestate }: OutboxRow): number {
  return Buffer.byteLength(payload) + RECORD_OVERHEAD_BYTES + (tracestate ? tracestate.length : 0);
}
