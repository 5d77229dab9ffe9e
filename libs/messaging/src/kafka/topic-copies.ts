import kafkajs, { type Admin } from 'kafkajs';
import { type KafkaOptions, withAdmin } from './client.js';

/** How many copies of its messages Kafka keeps of a new topic. The default of each is the broker's. */
export interface TopicCopies {
  /** The number of brokers that store each message, the leader included. */
  readonly replicationFactor?: number;
  /** `min.insync.replicas`: how many of them must have stored a message before Kafka acknowledges it to the relay. */
  readonly minInsyncReplicas?: number;
}

/**
 * Checks whether new topics can have these copies, because Kafka's own error names neither number, and it would accept a topic to
 * which nobody can publish.
 * @throws if the cluster has too few brokers, or fewer copies are kept than must acknowledge
 */
export async function checkCopies(admin: Admin, { replicationFactor, minInsyncReplicas }: TopicCopies): Promise<void> {
  for (const [name, count] of Object.entries({ replicationFactor, minInsyncReplicas }))
    if (count !== undefined && !(Number.isInteger(count) && count > 0))
      throw new Error(`${name} is ${count}, but must be a whole number from 1`);
  const { brokers } = await admin.describeCluster();
  if (replicationFactor !== undefined && replicationFactor > brokers.length)
    throw new Error(
      `A replication factor of ${replicationFactor} needs ${replicationFactor} running brokers, but Kafka has ` +
        `${brokers.length}. Lower it, or start more brokers`,
    );
  if (minInsyncReplicas === undefined) return;
  const factor = replicationFactor ?? (await defaultFactor(admin, brokers[0]?.nodeId));
  if (factor !== undefined && minInsyncReplicas > factor)
    throw new Error(
      `min.insync.replicas of ${minInsyncReplicas} exceeds the replication factor of ${factor}, so no message could be ` +
        'published. Lower it, or raise the replication factor',
    );
}

/** Returns the replication factor of topics that are created without one, or undefined if this client may not read it. */
async function defaultFactor(admin: Admin, nodeId: number | undefined): Promise<number | undefined> {
  const name = 'default.replication.factor';
  const value = await configOf(admin, kafkajs.ConfigResourceTypes.BROKER, String(nodeId), name).catch(() => undefined);
  return value === undefined ? undefined : Number(value);
}

/** The copies of a topic. */
export interface StoredCopies {
  readonly topic: string;
  /** The lowest number of any of its partitions. */
  readonly replicas: number;
  /** Undefined if this client may not read it. */
  readonly minInsyncReplicas: number | undefined;
}

/**
 * Reads how many copies these topics have, by name, and how many brokers are running.
 * @throws if Kafka cannot be reached, or a topic does not exist or may not be read
 */
export async function storedCopies(
  options: KafkaOptions,
  topics: readonly string[],
): Promise<{ readonly brokers: number; readonly copies: readonly StoredCopies[] }> {
  return withAdmin(options, async (admin) => {
    const { brokers } = await admin.describeCluster();
    const { topics: found } = await admin.fetchTopicMetadata({ topics: [...topics] });
    const sorted = found.toSorted((a, b) => a.name.localeCompare(b.name));
    const copies = sorted.map(async ({ name: topic, partitions }): Promise<StoredCopies> => {
      const config = configOf(admin, kafkajs.ConfigResourceTypes.TOPIC, topic, 'min.insync.replicas');
      const value = await config.catch(() => undefined);
      return {
        topic,
        replicas: Math.min(...partitions.map(({ replicas }) => replicas.length)),
        minInsyncReplicas: value === undefined ? undefined : Number(value),
      };
    });
    return { brokers: brokers.length, copies: await Promise.all(copies) };
  });
}

async function configOf(
  admin: Admin,
  type: kafkajs.ConfigResourceTypes,
  name: string,
  configName: string,
): Promise<string | undefined> {
  const request = { includeSynonyms: false, resources: [{ type, name, configNames: [configName] }] };
  const { resources } = await admin.describeConfigs(request);
  return resources[0]?.configEntries[0]?.configValue;
}
