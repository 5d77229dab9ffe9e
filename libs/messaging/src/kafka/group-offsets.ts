import { type KafkaOptions, withAdmin } from './client.js';
import { type Offsets } from './offset-commits.js';
import { type KafkaFacts } from './partition-start.js';

/** Commit metadata that marks an offset as written to the consumer's database first. */
const IN_DATABASE = 'in-database';

interface Group {
  readonly groupId: string;
  readonly topic: string;
}

interface OffsetToCommit {
  readonly partition: number;
  readonly offset: string;
  readonly metadata: string | null;
}

/** Returns the offsets in the form in which kafkajs commits them. */
export function toCommit(offsets: Offsets, inDatabase: boolean): OffsetToCommit[] {
  const metadata = inDatabase ? IN_DATABASE : null;
  return [...offsets].map(([partition, offset]) => ({ partition, offset, metadata }));
}

/** The offset of a group on a partition, and the bounds of the partition. */
export interface GroupOffset extends KafkaFacts {
  readonly partition: number;
}

/**
 * Reads the group's offsets and the bounds of each partition of the topic.
 * @throws if Kafka cannot be reached, or the topic does not exist
 */
export async function groupOffsets(options: KafkaOptions, { groupId, topic }: Group): Promise<GroupOffset[]> {
  return withAdmin(options, async (admin) => {
    const [group] = await admin.fetchOffsets({ groupId, topics: [topic] });
    const committed = new Map(group?.partitions.map((partition) => [partition.partition, partition]));
    // Read last, so that a committed offset is never beyond the end, unless the topic was recreated.
    const bounds = await admin.fetchTopicOffsets(topic);
    return bounds
      .map(({ partition, low, high }) => {
        const { offset = '-1', metadata } = committed.get(partition) ?? {};
        return {
          partition,
          low: BigInt(low),
          high: BigInt(high),
          committed: BigInt(offset) < 0n ? undefined : BigInt(offset),
          marked: metadata === IN_DATABASE,
        };
      })
      .toSorted((a, b) => a.partition - b.partition);
  });
}

/**
 * Finds the offset of the first message at or after the time in each partition, or its end if there is none.
 * @throws if Kafka cannot be reached, or the topic does not exist
 */
export async function offsetsAt(options: KafkaOptions, topic: string, time: Date): Promise<Map<number, bigint>> {
  return withAdmin(options, async (admin) => {
    const offsets = await admin.fetchTopicOffsetsByTimestamp(topic, time.getTime());
    return new Map(offsets.map(({ partition, offset }) => [partition, BigInt(offset)]));
  });
}

/**
 * Commits offsets for a group without members.
 * @throws if the group has members, or Kafka cannot be reached
 */
export async function setGroupOffsets(
  options: KafkaOptions,
  { groupId, topic }: Group,
  offsets: ReadonlyMap<number, bigint>,
): Promise<void> {
  await withAdmin(options, async (admin) => {
    const { groups } = await admin.describeGroups([groupId]);
    const members = groups[0]?.members.length ?? 0;
    if (members > 0) throw new Error(`group ${groupId} has ${members} active members: stop the consumers first`);
    const partitions = [...offsets].map(([partition, offset]) => ({ partition, offset: String(offset) }));
    await admin.setOffsets({ groupId, topic, partitions });
  });
}

/** The messages of its topic that a consumer group has not committed yet, and the offset of the first of them. */
export interface GroupLag {
  readonly groupId: string;
  readonly topic: string;
  readonly partitions: readonly { readonly partition: number; readonly messages: number; readonly offset: number }[];
  /** How many of them are older than was asked for; 0 if nothing was. */
  readonly overdue: number;
}

/**
 * Reads how far the groups are behind, over one connection. If a group has committed nothing, or Kafka has deleted messages beyond
 * its offset, the lag is counted from the oldest message. Messages older than `overdueAfterMs` are counted separately.
 * @throws if Kafka cannot be reached, or a topic does not exist
 */
export async function consumerLags(
  options: KafkaOptions,
  groups: readonly Group[],
  overdueAfterMs?: number,
): Promise<GroupLag[]> {
  return withAdmin(options, async (admin) =>
    Promise.all(
      groups.map(async ({ groupId, topic }) => {
        const [committed] = await admin.fetchOffsets({ groupId, topics: [topic] });
        const next = new Map(committed?.partitions.map(({ partition, offset }) => [partition, Number(offset)]));
        const ends = await admin.fetchTopicOffsets(topic);
        // Messages consumed between the two requests must not make the lag negative.
        const partitions = ends.map(({ partition, low, high }) => {
          const offset = Math.max(next.get(partition) ?? -1, Number(low));
          return { partition, offset, messages: Math.max(0, Number(high) - offset) };
        });
        const isBehind = partitions.some(({ messages }) => messages > 0);
        const old =
          isBehind && overdueAfterMs !== undefined
            ? await admin.fetchTopicOffsetsByTimestamp(topic, Date.now() - overdueAfterMs)
            : [];
        const olderThan = new Map(old.map(({ partition, offset }) => [partition, Number(offset)]));
        return {
          groupId,
          topic,
          partitions: partitions.toSorted((a, b) => a.partition - b.partition),
          overdue: partitions.reduce(
            (sum, { partition, offset }) => sum + Math.max(0, (olderThan.get(partition) ?? offset) - offset),
            0,
          ),
        };
      }),
    ),
  );
}
