import { type DataSource } from 'typeorm';
import { Audit } from './audit.js';
import { InboxOffsets } from './inbox-offsets.js';
import { groupOffsets, type GroupOffset, type KafkaOptions, offsetsAt, setGroupOffsets } from './kafka.js';
import { checkAction, type LetterAction, operatorTransaction } from './operator.js';

/** A consumer group, its topic, and where its offsets are kept. */
export interface GroupOfTopic {
  readonly kafka: KafkaOptions;
  readonly dataSource: DataSource;
  readonly schema: string;
  readonly groupId: string;
  readonly topic: string;
}

/** Where a group stands on a partition. An offset is that of the message to read next. */
export interface OffsetsOfPartition {
  readonly partition: number;
  /** In the database, and in Kafka; null where there is none. The lower one counts. */
  readonly database: string | null;
  readonly kafka: string | null;
  /** Kafka has the messages from `earliest` on, to the one before `latest`. */
  readonly earliest: string;
  readonly latest: string;
}

/** All partitions to one place, or to the first message of a time and later, or some partitions to an offset each. */
export type OffsetTarget = 'earliest' | 'latest' | Date | ReadonlyMap<number, bigint>;

/**
 * Reads where a group stands.
 * @throws when Kafka or the database is unavailable, or the topic does not exist
 */
export async function showOffsets(group: GroupOfTopic): Promise<OffsetsOfPartition[]> {
  const stored = await offsetsOf(group).read(group.dataSource);
  const offsets = await groupOffsets(group.kafka, group);
  return offsets.map(({ partition, committed, low, high }) => ({
    partition,
    database: stored.get(partition)?.toString() ?? null,
    kafka: committed?.toString() ?? null,
    earliest: String(low),
    latest: String(high),
  }));
}

/**
 * Moves a group's offsets, in the database and in Kafka, and leaves an entry in `messaging_audit`. Messages that the inbox has
 * recorded stay handled when they are read again. A crash in between leaves the lower of both offsets, which counts.
 *
 * @returns where the group stands now
 * @throws RangeError for a target that the topic does not have, or an invalid actor or reason; Error while the group has members,
 *   and when Kafka or the database is unavailable
 */
export async function moveOffsets(
  group: GroupOfTopic,
  target: OffsetTarget,
  { actor, reason }: LetterAction,
): Promise<OffsetsOfPartition[]> {
  checkAction({ actor, reason });
  const before = await groupOffsets(group.kafka, group);
  const moved = await targetsOf(group, target, before);
  const audit = new Audit(group.schema);
  const offsets = offsetsOf(group);
  const stored = await offsets.read(group.dataSource);
  await operatorTransaction(group.dataSource, async (tx) => {
    await audit.lock(tx);
    await offsets.set(tx, moved);
    const entries = [...moved].map(([partition, to]) => ({
      consumer: group.groupId,
      topic: group.topic,
      partition,
      from: stored.get(partition)?.toString() ?? null,
      to: String(to),
    }));
    await audit.write(tx, { actor, action: 'move', box: 'offsets', reason }, entries);
    // Last, so that a refusal takes the rest back.
    await setGroupOffsets(group.kafka, group, moved);
  });
  return showOffsets(group);
}

function offsetsOf({ schema, groupId, topic }: GroupOfTopic): InboxOffsets {
  return new InboxOffsets(schema, groupId, topic);
}

async function targetsOf(
  { kafka, topic }: GroupOfTopic,
  target: OffsetTarget,
  partitions: readonly GroupOffset[],
): Promise<ReadonlyMap<number, bigint>> {
  if (target === 'earliest') return new Map(partitions.map(({ partition, low }) => [partition, low]));
  if (target === 'latest') return new Map(partitions.map(({ partition, high }) => [partition, high]));
  if (target instanceof Date) {
    if (Number.isNaN(target.getTime())) throw new RangeError('the time is invalid');
    return offsetsAt(kafka, topic, target);
  }
  if (target.size === 0) throw new RangeError('no partition is named');
  for (const [number, offset] of target) {
    const bounds = partitions.find(({ partition }) => partition === number);
    if (!bounds) throw new RangeError(`${topic} has no partition ${number}`);
    if (offset < bounds.low || offset > bounds.high)
      throw new RangeError(`${topic}/${number} has the offsets ${bounds.low} to ${bounds.high}, not ${offset}`);
  }
  return target;
}
