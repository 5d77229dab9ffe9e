import kafkajs, { type Admin } from 'kafkajs';
import { type KafkaOptions, withAdmin } from './client.js';

/** How many copies Kafka keeps of each message of a new topic. The default of each is the broker's. */
export interface TopicCopies {
  /** The number of brokers that store each message, the leader included. */
  readonly replicationFactor?: number;
  /** `min.insync.replicas`: how many of them must have stored a message before Kafka acknowledges it to the relay. */
  readonly minInsyncReplicas?: number;
}

/**
 * Checks whether new topics can have these copies, because Kafka's own error names neither number, and it accepts a
 * `min.insync.replicas` that it cannot keep.
 * @throws if the cluster has too few brokers, or `minInsyncReplicas` exceeds the replication factor
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
      `min.insync.replicas of ${minInsyncReplicas} exceeds the replication factor of ${factor}. Kafka would either ` +
        'acknowledge with fewer copies or accept nothing, depending on its version. Lower it, or raise the replication factor',
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

/** What could be read about the copies of some topics. */
export interface CopiesReport {
  /** The brokers that are running or should store a partition of the topics. There may be more if `complete` is false. */
  readonly brokers: number;
  /** Whether everything could be read. */
  readonly complete: boolean;
  readonly copies: readonly StoredCopies[];
}

/**
 * Reads how many copies these topics have. Leaves out those that cannot be read, and does not depend on any other topic.
 * @throws the first error if none of the topics could be read
 */
export async function storedCopies(options: KafkaOptions, topics: readonly string[]): Promise<CopiesReport> {
  const nodes = new Set<number>();
  const copies: StoredCopies[] = [];
  const errors: unknown[] = [];
  const attempt = (work: (admin: Admin) => Promise<unknown>) =>
    withAdmin(options, work).catch((error: unknown) => errors.push(error));
  for (const topic of topics.toSorted())
    await attempt(async (admin) => {
      const { nodeIds, ...stored } = await copiesOf(admin, topic);
      for (const id of nodeIds) nodes.add(id);
      copies.push(stored);
    });
  if (topics.length > 0 && copies.length === 0) throw errors[0];
  // Fails if any topic in Kafka has an error, because kafkajs reads all of them. A broker that is down is missing in its answer.
  await attempt(async (admin) => {
    const { brokers } = await admin.describeCluster();
    for (const { nodeId } of brokers) nodes.add(nodeId);
  });
  return { brokers: nodes.size, complete: errors.length === 0, copies };
}

async function copiesOf(admin: Admin, topic: string): Promise<StoredCopies & { readonly nodeIds: readonly number[] }> {
  // Makes the topic a target of this client. Without one, describeConfigs first reads the metadata of all topics.
  await admin.fetchTopicOffsets(topic);
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  const replicas = topics.flatMap(({ partitions }) => partitions.map((partition) => partition.replicas));
  const config = configOf(admin, kafkajs.ConfigResourceTypes.TOPIC, topic, 'min.insync.replicas');
  const value = await config.catch(() => undefined);
  return {
    topic,
    replicas: Math.min(...replicas.map(({ length }) => length)),
    minInsyncReplicas: value === undefined ? undefined : Number(value),
    nodeIds: replicas.flat(),
  };
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
