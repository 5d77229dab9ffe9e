import { type DataSource } from 'typeorm';
import { InvalidInputError } from '../errors.js';
import { Audit } from '../operations/audit.js';
import { InboxOffsets } from './inbox-offsets.js';
import { type KafkaOptions } from '../kafka/client.js';
import { groupOffsets, type GroupOffset, offsetsAt, setGroupOffsets } from '../kafka/group-offsets.js';
import { checkAction, type LetterAction, operatorTransaction } from '../operations/operator.js';

/** A consumer group, its topic, and where its offsets are stored. */
export interface GroupOfTopic {
  readonly kafka: KafkaOptions;
  readonly dataSource: DataSource;
  readonly schema: string;
  readonly groupId: string;
  readonly topic: string;
}

/** The position of a group on a partition. An offset is that of the next message to read. */
export interface OffsetsOfPartition {
  readonly partition: number;
  /** The offset in the database, and in `kafka` the one in Kafka; null if there is none. The lower one counts. */
  readonly database: string | null;
  readonly kafka: string | null;
  /** Kafka has the messages from `earliest`, inclusive, to `latest`, exclusive. */
  readonly earliest: string;
  readonly latest: string;
}

/** Where to move: all partitions to one end or to the first message at or after a time, or some partitions to given offsets. */
export type OffsetTarget = 'earliest' | 'latest' | Date | ReadonlyMap<number, bigint>;

/**
 * Reads the offsets of a group.
 * @throws if Kafka or the database is unavailable, or the topic does not exist
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
 * Moves a group's offsets in the database and in Kafka, and writes an entry to `messaging_audit`. Messages that the inbox has
 * recorded are not handled again when they are read again. After a crash in between, the lower of both offsets counts.
 *
 * @returns the new offsets of the group
 * @throws InvalidInputError for a target that the topic does not have, or an invalid actor or reason; Error if the group has members, or
 *   Kafka or the database is unavailable
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
    // Last, so that an error rolls back the rest.
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
    if (Number.isNaN(target.getTime())) throw new InvalidInputError('the time is invalid');
    return offsetsAt(kafka, topic, target);
  }
  if (target.size === 0) throw new InvalidInputError('no partition is given');
  for (const [number, offset] of target) {
    const bounds = partitions.find(({ partition }) => partition === number);
    if (!bounds) throw new InvalidInputError(`${topic} has no partition ${number}`);
    if (offset < bounds.low || offset > bounds.high)
      throw new InvalidInputError(`${topic}/${number} has the offsets ${bounds.low} to ${bounds.high}, not ${offset}`);
  }
  return target;
}
