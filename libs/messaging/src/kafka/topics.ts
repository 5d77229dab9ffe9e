import { setTimeout as delay } from 'node:timers/promises';
import kafkajs, { type Admin } from 'kafkajs';
import { disconnect, kafkaClient, type KafkaOptions, withAdmin } from './client.js';
import { isOfType } from './kafka-errors.js';
import { type TopicContract } from '../message/topic.js';
import { checkCopies, type TopicCopies } from './topic-copies.js';

/** How long it may take until all brokers know a new topic. */
const LEADERS_MS = 15_000;

/**
 * Creates the topics that do not exist yet, and waits until they have leaders. Safe to repeat.
 *
 * Throws if Kafka cannot be reached, or if a topic exists with a number of partitions that differs from its contract. Adding
 * partitions would move keys to other partitions and break their order, so an operator has to decide about it. Throws if new topics
 * cannot have the wanted `copies`; those of existing topics are neither checked nor changed.
 */
export async function createTopics(
  options: KafkaOptions,
  topics: readonly TopicContract[],
  copies: TopicCopies = {},
): Promise<void> {
  const { replicationFactor, minInsyncReplicas } = copies;
  const admin = kafkaClient(options).admin({ retry: { retries: 5, initialRetryTime: 300 } });
  try {
    await admin.connect();
    if (replicationFactor !== undefined || minInsyncReplicas !== undefined) {
      const existing = new Set(await onceKnown(() => admin.listTopics()));
      if (topics.some(({ name }) => !existing.has(name))) await checkCopies(admin, copies);
    }
    await onceKnown(() =>
      admin.createTopics({
        waitForLeaders: false,
        topics: topics.map(({ name, partitions, retentionMs }) => ({
          topic: name,
          numPartitions: partitions,
          ...(replicationFactor !== undefined && { replicationFactor }),
          configEntries: [
            ...(minInsyncReplicas === undefined
              ? []
              : [{ name: 'min.insync.replicas', value: String(minInsyncReplicas) }]),
            { name: 'retention.ms', value: String(retentionMs) },
            // The broker stores batches as they were sent, whatever its default compression is.
            { name: 'compression.type', value: 'producer' },
          ],
        })),
      }),
    );
    await checkPartitions(admin, topics);
  } finally {
    await disconnect(admin);
  }
}

/** Which messages of a topic Kafka deletes. */
export interface TopicCleanup {
  /**
   * The highest age of a message, in milliseconds. Kafka deletes a segment once its newest message is older than `retention.ms`,
   * and closes a segment after `segment.ms`. Infinity if messages are not deleted because of their age.
   */
  readonly oldestMs: number;
  /** Whether Kafka deletes messages that are followed by another one with the same key, even if they were not read. */
  readonly compacts: boolean;
}

/** Reads the topic's retention settings. @throws if Kafka cannot be reached, or this client may not read them */
export async function topicCleanup(options: KafkaOptions, topic: string): Promise<TopicCleanup> {
  return withAdmin(options, async (admin) => {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [
        {
          type: kafkajs.ConfigResourceTypes.TOPIC,
          name: topic,
          configNames: ['retention.ms', 'segment.ms', 'cleanup.policy'],
        },
      ],
    });
    const configs = new Map(
      resources[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue]),
    );
    const retentionMs = Number(configs.get('retention.ms') ?? -1);
    const policies = new Set((configs.get('cleanup.policy') ?? 'delete').split(',').map((policy) => policy.trim()));
    const oldestMs =
      retentionMs < 0 || !policies.has('delete') ? Infinity : retentionMs + Number(configs.get('segment.ms') ?? 0);
    return { oldestMs, compacts: policies.has('compact') };
  });
}

/** Returns the number of partitions of a topic; undefined if it does not exist. @throws if Kafka cannot be reached */
export async function topicPartitions(options: KafkaOptions, topic: string): Promise<number | undefined> {
  return withAdmin(options, async (admin) => {
    try {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
      return topics[0]?.partitions.length;
    } catch (error) {
      if (isOfType(error, ['UNKNOWN_TOPIC_OR_PARTITION', 'INVALID_TOPIC_EXCEPTION'])) return undefined;
      throw error;
    }
  });
}

/**
 * Repeats the step while a broker does not know the new topic yet, or any topic has no leader, as right after a broker has
 * started: kafkajs reads the metadata of all existing topics before it creates new ones. Its own wait gives up on an unknown topic.
 */
async function onceKnown<T>(step: () => Promise<T>): Promise<T> {
  for (const end = performance.now() + LEADERS_MS; ; await delay(50)) {
    try {
      return await step();
    } catch (error) {
      const early = isOfType(error, ['UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE']);
      if (!early || performance.now() > end) throw error;
    }
  }
}

async function checkPartitions(admin: Admin, topics: readonly TopicContract[]): Promise<void> {
  // Throws while a partition has no leader.
  const { topics: existing } = await onceKnown(() =>
    admin.fetchTopicMetadata({ topics: topics.map(({ name }) => name) }),
  );
  for (const { name, partitions } of topics) {
    const actual = existing.find((topic) => topic.name === name)?.partitions.length ?? 0;
    if (actual !== partitions)
      throw new Error(`Topic ${name} has ${actual} partitions, but its contract declares ${partitions}`);
  }
}
