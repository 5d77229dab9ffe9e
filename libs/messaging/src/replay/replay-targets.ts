import { InvalidInputError } from '../errors.js';
import { topicPartitions } from '../kafka/topics.js';
import { kafkaOptionsOf, type MessagingOptions } from '../messaging-options.js';
import { type TopicContract } from '../message/topic.js';

/** A contract whose messages are copied, and the topic that takes the copies. */
export interface ReplayTarget {
  readonly contract: TopicContract;
  /** The contract with the name and the number of partitions of the topic that takes the copies. */
  readonly to: TopicContract;
}

/**
 * Returns the targets of these aggregate types, by aggregate type. The keys of another topic are spread over
 * the partitions that it has now.
 * @throws InvalidInputError if a topic does not exist, or has a number of partitions that differs from its contract
 */
export async function replayTargets(
  options: MessagingOptions,
  aggregateTypes: readonly string[],
  other: string | undefined,
): Promise<ReadonlyMap<string, ReplayTarget>> {
  const targets = new Map<string, ReplayTarget>();
  for (const aggregateType of aggregateTypes) {
    const contract = options.publishes.find((of) => of.aggregateType === aggregateType);
    if (!contract)
      throw new InvalidInputError(
        `No topic is declared for aggregate type ${aggregateType}. Filter by another aggregateType, or deploy a version that declares one`,
      );
    const name = other ?? contract.name;
    const partitions = await topicPartitions(kafkaOptionsOf(options), name);
    if (partitions === undefined)
      throw new InvalidInputError(`Topic ${name} does not exist. Create it before replaying messages to it`);
    const declared = options.publishes.find((of) => of.name === name);
    if (declared && declared.partitions !== partitions)
      throw new InvalidInputError(
        `Topic ${name} has ${partitions} partitions, but its contract declares ${declared.partitions}, so keys would move`,
      );
    targets.set(aggregateType, { contract, to: { ...contract, name, partitions } });
  }
  return targets;
}
