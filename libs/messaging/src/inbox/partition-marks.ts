import { type KafkaRecord } from '../message/message.js';

/** Records that another process marked as in flight. It has died, or is about to give up the partition. */
export interface Suspicion {
  readonly id: string;
  readonly first: bigint;
  readonly last: bigint;
  /** The oldest and newest timestamp of the records; null in a mark written by the previous version. */
  readonly from: Date | null;
  readonly to: Date | null;
}

/** Consecutive records of a partition that share one crash mark. */
export interface Run {
  readonly records: readonly [KafkaRecord, ...KafkaRecord[]];
  /** One of the records may have crashed a process, so each must be handled with nothing else in flight. */
  readonly suspect: boolean;
  readonly partition: PartitionMarks;
}

/** The marks on one partition, from one rebalance of the group to the next. */
export class PartitionMarks {
  constructor(
    /** Our own marks whose messages are all settled. The next mark replaces them. */
    readonly replaceable: string[],
    private suspicions: readonly Suspicion[],
  ) {}

  /** Splits a batch into runs of records that a dead process may have had in flight, and runs of the others. */
  runs(records: readonly KafkaRecord[]): Run[] {
    const runs: { records: [KafkaRecord, ...KafkaRecord[]]; suspect: boolean; partition: PartitionMarks }[] = [];
    for (const record of records) {
      const suspect = this.isSuspect(record);
      const last = runs.at(-1);
      if (last?.suspect === suspect) last.records.push(record);
      else runs.push({ records: [record], suspect, partition: this });
    }
    return runs;
  }

  /** Drops the suspicions about records up to this one, which are all settled, and returns the ids of their marks. */
  clearUpTo({ offset }: KafkaRecord): string[] {
    const settled = this.suspicions.filter(({ last }) => last <= BigInt(offset));
    this.suspicions = this.suspicions.filter((one) => !settled.includes(one));
    return settled.map(({ id }) => id);
  }

  private isSuspect({ offset, timestamp }: KafkaRecord): boolean {
    if (this.suspicions.length === 0) return false;
    const at = BigInt(offset);
    const ms = timestamp.getTime();
    return this.suspicions.some(
      ({ first, last, from, to }) =>
        first <= at && at <= last && (from === null || to === null || (from.getTime() <= ms && ms <= to.getTime())),
    );
  }
}
