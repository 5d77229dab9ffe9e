import { type KafkaOptions, withAdmin } from './client.js';

/** The members of a consumer group, according to Kafka. */
export interface GroupMembers {
  readonly groupId: string;
  /** Kafka's name of the state, such as `Stable`, `PreparingRebalance`, `Empty` or `Dead`. */
  readonly state: string;
  readonly members: number;
}

/**
 * Reads how many members the groups have. A group that never had any has the state `Dead`.
 * @throws if Kafka cannot be reached, or may not be asked about a group
 */
export async function groupMembers(options: KafkaOptions, groupIds: readonly string[]): Promise<GroupMembers[]> {
  return withAdmin(options, async (admin) => {
    const { groups } = await admin.describeGroups([...groupIds]);
    return groups.map(({ groupId, state, members }) => ({ groupId, state, members: members.length }));
  });
}
