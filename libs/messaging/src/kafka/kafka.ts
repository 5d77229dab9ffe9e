import { setTimeout as delay } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import kafkajs, {
  type Admin,
  type Consumer as KafkaJsConsumer,
  type EachBatchPayload,
  type ICustomPartitioner,
  Kafka,
  type LogEntry,
  logLevel,
  type Producer as KafkaJsProducer,
} from 'kafkajs';
import { describeError } from '../errors.js';
import { LineLimit } from './kafka-log.js';
import { hookFetches, patchFetches } from './kafkajs-fetches.js';
import { patchKafkajs } from './kafkajs-patches.js';
import { type KafkaRecord, type OutgoingRecord, recordTime } from '../message/message.js';
import { OffsetCommits, type Offsets } from './offset-commits.js';
import { partitionOf } from './partition.js';
import { type GroupPositions, type KafkaFacts, Positions, type SettledOffsets } from './positions.js';
import { type TopicContract } from '../message/topic.js';
import { settlesWithin } from '../waiting.js';

/*
 * The only file that imports kafkajs; only its patches import kafkajs's internals. kafkajs is no longer maintained, and replacing
 * it means replacing this file.
 * kafkajs's own retries are reduced to the minimum that it allows. The relay and the inbox retry, with their own checks.
 */

export interface KafkaOptions {
  readonly brokers: readonly string[];
  readonly clientId: string;
}

patchKafkajs();
patchFetches();

const CONNECTION_MS = 3000;
/** How long it may take until all brokers know a new topic. */
const LEADERS_MS = 15_000;
/** Half of the time that a stopping service has, because a silent broker must not delay it. */
const REQUEST_MS = 5000;
const COMMIT_AT_STOP_MS = 1000;
const FEW_RETRIES = { retries: 1, initialRetryTime: 100, maxRetryTime: 500 };

function kafkaClient({ brokers, clientId }: KafkaOptions): Kafka {
  return new Kafka({
    brokers: [...brokers],
    clientId,
    connectionTimeout: CONNECTION_MS,
    requestTimeout: REQUEST_MS,
    retry: FEW_RETRIES,
    logLevel: logLevel.WARN,
    logCreator: () => logToNest,
  });
}

const kafkaJsLogger = new Logger('kafkajs');
const kafkaJsLines = new LineLimit();

/** Limits repeated lines, because kafkajs reports a lost connection with every attempt to use it. */
function logToNest({ namespace, level, log }: LogEntry): void {
  const { message, error } = log as { message: string; error?: unknown };
  const reason = error === undefined || error === message ? '' : `: ${describeError(error)}`;
  const levelName = level === logLevel.ERROR ? 'error' : level === logLevel.WARN ? 'warn' : 'debug';
  const line = kafkaJsLines.take({ level: levelName, text: `${namespace}: ${message}${reason}` });
  if (line) kafkaJsLogger[line.level](line.text);
}

export interface ProducerOptions extends KafkaOptions {
  /** The expected number of partitions by topic. Messages to a topic with another number are not sent; other topics are not checked. */
  readonly partitions?: ReadonlyMap<string, number>;
}

/**
 * How long the producer relies on the metadata of the topics. Until it is refreshed, partitions added in the meantime are not
 * used, so every key stays in its partition. One request for each refresh costs next to nothing.
 */
const METADATA_AGE_MS = 5000;

export interface Producer {
  /**
   * Sends the records of all topics at once and returns when every topic-partition has acknowledged them (acks=all).
   * `mayStillSend` is called before each attempt, including kafkajs's own second one. After an error the outcome is unknown.
   * Close this producer then, and connect another one before sending anything else.
   */
  publish(recordsByTopic: ReadonlyMap<string, OutgoingRecord[]>, mayStillSend: () => boolean): Promise<void>;
  /** Never throws. */
  close(): Promise<void>;
}

export async function connectProducer(options: ProducerOptions): Promise<Producer> {
  const kafka = kafkaClient(options);
  const attempt = new SendAttempt(options.partitions ?? new Map());
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    metadataMaxAge: METADATA_AGE_MS,
    retry: FEW_RETRIES,
    createPartitioner: () => attempt.partitioner(),
  });
  try {
    await producer.connect();
  } catch (error) {
    await disconnect(producer);
    throw error;
  }
  return {
    async publish(recordsByTopic, mayStillSend) {
      attempt.begin(mayStillSend);
      const answers = await producer.sendBatch({
        acks: -1,
        timeout: REQUEST_MS,
        topicMessages: [...recordsByTopic].map(([topic, messages]) => ({ topic, messages })),
      });
      const silent = unacknowledged(attempt.targets, answers);
      if (silent.length > 0) throw new UnacknowledgedError(silent);
    },
    close: () => disconnect(producer),
  };
}

/** Returns the topic-partitions that no answer lists without an error. Their outcome is unknown. */
export function unacknowledged(
  targets: ReadonlySet<string>,
  answers: readonly { readonly topicName: string; readonly partition: number; readonly errorCode: number }[],
): string[] {
  const acknowledged = new Set(
    answers.filter(({ errorCode }) => errorCode === 0).map(({ topicName, partition }) => `${topicName}/${partition}`),
  );
  return [...targets].filter((target) => !acknowledged.has(target));
}

/**
 * Stops a send that may no longer go out, and records which topic-partitions have to answer. It does so in the partitioner,
 * which kafkajs calls before every attempt to send, including its own retries.
 */
class SendAttempt {
  readonly targets = new Set<string>();
  private mayStillSend = (): boolean => false;

  constructor(private readonly partitions: ReadonlyMap<string, number>) {}

  begin(mayStillSend: () => boolean): void {
    this.mayStillSend = mayStillSend;
    this.targets.clear();
  }

  partitioner(): ReturnType<ICustomPartitioner> {
    return ({ topic, partitionMetadata, message }) => {
      if (!this.mayStillSend()) throw new LeaseLostError();
      const expected = this.partitions.get(topic);
      if (expected !== undefined && expected !== partitionMetadata.length)
        throw new PartitionCountError(topic, partitionMetadata.length, expected);
      const partition = partitionOf(String(message.key), partitionMetadata.length);
      this.targets.add(`${topic}/${partition}`);
      return partition;
    };
  }
}

/**
 * Returns why Kafka rejected a batch for its contents, `too large` or `invalid`. Every other error (an unknown topic, a missing
 * permission, an unreachable broker) is an outage, and the result is undefined. So is a rejected timestamp, because the error does
 * not say whose clock is wrong.
 */
export function refusal(error: unknown): 'too large' | 'invalid' | undefined {
  if (isOfType(error, ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'])) return 'too large';
  return isOfType(error, ['INVALID_RECORD']) ? 'invalid' : undefined;
}

/** Whether Kafka rejected a batch because the records' timestamps differ too much from its clock. */
export function isTimestampRefusal(error: unknown): boolean {
  return isOfType(error, ['INVALID_TIMESTAMP']);
}

/** Kafka's errors for one topic that cannot be written to. They say nothing about other topics. */
const TOPIC_FAILURES = [
  'UNKNOWN_TOPIC_OR_PARTITION',
  'UNKNOWN_TOPIC_ID',
  'INVALID_TOPIC_EXCEPTION',
  'TOPIC_AUTHORIZATION_FAILED',
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
  'REPLICA_NOT_AVAILABLE',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'INVALID_REQUIRED_ACKS',
  'INVALID_TIMESTAMP',
  'KAFKA_STORAGE_ERROR',
  'POLICY_VIOLATION',
  'UNSUPPORTED_FOR_MESSAGE_FORMAT',
];

/**
 * Returns what a failed send affects: `topic` if the error concerns one topic, `kafka` if a broker answered with any other error,
 * and undefined if no broker answered.
 */
export function failureScope(error: unknown): 'topic' | 'kafka' | undefined {
  if (isOfType(error, TOPIC_FAILURES)) return 'topic';
  if (error instanceof PartitionCountError || error instanceof UnacknowledgedError) return 'topic';
  const { type, cause } = (error ?? {}) as { type?: string; cause?: unknown };
  if (type !== undefined) return 'kafka';
  return cause === undefined || cause === error ? undefined : failureScope(cause);
}

/** Matches by Kafka's error names. After a retry kafkajs wraps the error in one without a name, so causes are checked too. */
function isOfType(error: unknown, types: readonly string[]): boolean {
  const { type, cause } = (error ?? {}) as { type?: string; cause?: unknown };
  if (type !== undefined && types.includes(type)) return true;
  return cause !== undefined && cause !== error && isOfType(cause, types);
}

class UnacknowledgedError extends Error {
  constructor(targets: readonly string[]) {
    super(`Kafka did not acknowledge ${targets.join(', ')}`);
  }
}

class PartitionCountError extends Error {
  override readonly name = 'PartitionCountError';
  /** Tells kafkajs not to retry. */
  readonly retriable = false;

  constructor(topic: string, actual: number, expected: number) {
    super(
      `topic ${topic} has ${actual} partitions, but its contract declares ${expected}. Nothing is sent to it because keys would ` +
        `move to other partitions and lose their order. See "Change the number of partitions" in docs/how-to.md`,
    );
  }
}

class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';
  /** Tells kafkajs not to retry. */
  readonly retriable = false;

  constructor() {
    super('the lease was lost before the messages were sent');
  }
}

export interface Batch {
  readonly records: readonly KafkaRecord[];
  /** Whether Kafka had more records of the partition when it sent this batch. */
  readonly hasMore: boolean;
  /** False once the consumer is stopping or the partition was reset. The rest of the batch must not be processed then. */
  isCurrent(): boolean;
  /** Marks the record as settled, so that its offset may be committed. */
  resolve(record: KafkaRecord): void;
}

export interface Consumer {
  /** Resolves when the consumer has stopped, and rejects when it has crashed. A crashed consumer is replaced, not restarted. */
  readonly ended: Promise<void>;
  /** Waits for the batches in flight, commits their resolved offsets and leaves the group. Never throws. */
  stop(): Promise<void>;
}

export interface ConsumerOptions extends KafkaOptions {
  readonly groupId: string;
  readonly topic: string;
  /** How many partitions are processed concurrently. Within a partition, batches are processed one after another. */
  readonly concurrency: number;
  /** How long after the last heartbeat Kafka assigns the partitions to another member, in milliseconds. Default 10 s. */
  readonly sessionMs?: number;
  /** Called after each rebalance. */
  readonly onJoined?: () => void;
  /** Stores offsets in the consumer's database. They are written there before they are committed to Kafka, and the lower ones count. */
  readonly settled?: SettledOffsets;
  /** Called when nothing can be fetched because the offsets to start from could not be found. The search is retried. */
  readonly onHeld?: (error: unknown) => void;
  /** Called when a fetch is sent. `onFetched` is called when its response was read; a silent broker or undecodable batch gives none. */
  readonly onFetching?: () => void;
  readonly onFetched?: () => void;
  /** Processes a batch and must not throw. Offsets of the records that it resolves are committed within a second. */
  readonly onBatch: (batch: Batch) => Promise<void>;
}

/** Short enough that a killed instance's partitions move on soon, long enough for a busy process to send its heartbeats. */
const SESSION_MS = 10_000;
/** Heartbeats within the session timeout. */
const HEARTBEATS = 10;

/** Joins the group and consumes from its committed offsets; a new group starts at the beginning (P2). Throws if it cannot join. */
export async function startConsumer(options: ConsumerOptions): Promise<Consumer> {
  const { sessionMs = SESSION_MS } = options;
  const heartbeatMs = Math.round(sessionMs / HEARTBEATS);
  const consumer = kafkaClient(options).consumer({
    groupId: options.groupId,
    sessionTimeout: sessionMs,
    heartbeatInterval: heartbeatMs,
    rebalanceTimeout: 2 * sessionMs,
    maxWaitTimeInMs: 500,
    allowAutoTopicCreation: false,
    retry: { ...FEW_RETRIES, retries: 3, restartOnFailure: () => Promise.resolve(false) },
  });
  const { promise: ended, resolve: end, reject: crash } = Promise.withResolvers<void>();
  // The first await below or the supervisor reports it. In between it must not count as an unhandled rejection.
  ended.catch(() => undefined);
  consumer.on(consumer.events.FETCH_START, () => options.onFetching?.());
  consumer.on(consumer.events.FETCH, () => {
    if (positions?.held === undefined) options.onFetched?.();
  });
  const { topic, groupId, settled } = options;
  const positions =
    settled &&
    new Positions(settled, groupPositions(consumer, options), {
      wentBack: () => commits.forget(),
      failed: (error) => options.onHeld?.(error),
    });
  const commits = new OffsetCommits(
    (offsets) => consumer.commitOffsets(toCommit(offsets, settled).map((entry) => ({ topic, ...entry }))),
    (error) => kafkaJsLogger.warn(`Cannot commit the offsets of ${groupId} on ${topic}: ${describeError(error)}`),
    positions && ((offsets) => positions.raise(new Map([...offsets].map(([n, offset]) => [n, BigInt(offset)])))),
  );
  let stopping = false;
  let generation = 0;
  let unhook = () => {};
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    generation++;
    commits.forget();
    positions?.joined(payload.memberAssignment[topic] ?? []);
    unhook();
    unhook = hookFetches(payload.memberId, {
      held: () => positions?.held,
      refused:
        positions &&
        ((partition, offset) => {
          commits.drop(partition);
          positions.refused(partition, offset);
        }),
      // During a rebalance the group still accepts commits from its current members.
      leaving: async () => void (await settlesWithin(COMMIT_AT_STOP_MS, commits.flush())),
    });
    options.onJoined?.();
  });
  const cleanUp = () => {
    commits.end();
    positions?.end();
    unhook();
  };
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    cleanUp();
    crash(payload.error);
  });
  try {
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({
      eachBatchAutoResolve: false,
      autoCommit: false,
      partitionsConsumedConcurrently: options.concurrency,
      eachBatch: (payload) => {
        // Another batch may be the first to notice a rebalance. Then this batch is no longer current either.
        const joined = generation;
        const { partition } = payload.batch;
        // The batch was fetched before the partition got a new start offset, and is fetched again from there.
        if (positions?.waits(partition)) return Promise.resolve();
        const epoch = positions?.epoch(partition);
        return handleBatch(payload, options, heartbeatMs, commits, {
          isMember: () => joined === generation,
          isInPlace: () => positions?.epoch(partition) === epoch,
          isStopping: () => stopping,
        });
      },
    });
    // `run` does not throw if joining fails. kafkajs reports that as a crash before `run` returns.
    await Promise.race([ended, Promise.resolve()]);
  } catch (error) {
    await disconnect(consumer);
    cleanUp();
    throw error;
  }
  return {
    ended,
    async stop() {
      // A silent broker must not delay the stop.
      stopping = true;
      await settlesWithin(COMMIT_AT_STOP_MS, commits.flush());
      await disconnect(consumer);
      cleanUp();
      end();
    },
  };
}

/** Commit metadata that marks an offset as written to the consumer's database first. */
const IN_DATABASE = 'in-database';

function toCommit(offsets: Offsets, settled: SettledOffsets | undefined) {
  return [...offsets].map(([partition, offset]) => ({ partition, offset, metadata: settled ? IN_DATABASE : null }));
}

function groupPositions(consumer: KafkaJsConsumer, options: ConsumerOptions): GroupPositions {
  const { groupId, topic, settled } = options;
  return {
    async facts() {
      const offsets = await groupOffsets(options, { groupId, topic });
      return new Map(offsets.map(({ partition, ...facts }) => [partition, facts]));
    },
    readFrom: (partition, offset) => consumer.seek({ topic, partition, offset: String(offset) }),
    async commit(offsets) {
      const entries = toCommit(
        new Map([...offsets].map(([partition, offset]) => [partition, String(offset)])),
        settled,
      );
      await consumer
        .commitOffsets(entries.map((entry) => ({ topic, ...entry })))
        .catch((error: unknown) =>
          kafkaJsLogger.debug(`Cannot commit the offsets of ${groupId} on ${topic}: ${describeError(error)}`),
        );
    },
  };
}

/** The offset of a group on a partition, and the bounds of the partition. */
export interface GroupOffset extends KafkaFacts {
  readonly partition: number;
}

/**
 * Reads the group's offsets and the bounds of each partition of the topic.
 * @throws if Kafka cannot be reached, or the topic does not exist
 */
export async function groupOffsets(
  options: KafkaOptions,
  { groupId, topic }: { readonly groupId: string; readonly topic: string },
): Promise<GroupOffset[]> {
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
  { groupId, topic }: { readonly groupId: string; readonly topic: string },
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

async function withAdmin<T>(options: KafkaOptions, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafkaClient(options).admin();
  try {
    await admin.connect();
    return await work(admin);
  } finally {
    await disconnect(admin);
  }
}

interface BatchState {
  readonly isMember: () => boolean;
  /** Whether the partition has not been repositioned since the batch was fetched. */
  readonly isInPlace: () => boolean;
  readonly isStopping: () => boolean;
}

async function handleBatch(
  payload: EachBatchPayload,
  { onBatch, settled }: ConsumerOptions,
  heartbeatMs: number,
  commits: OffsetCommits,
  { isMember, isInPlace, isStopping }: BatchState,
): Promise<void> {
  const { batch } = payload;
  const { topic, partition } = batch;
  let rebalance: unknown;
  // Heartbeats continue while a handler is slow. A failed heartbeat means a rebalance: the batch is abandoned after the current
  // record, and throwing the error makes kafkajs rejoin the group.
  const timer = setInterval(() => {
    payload.heartbeat().catch((error: unknown) => (rebalance ??= error));
  }, heartbeatMs);
  try {
    await onBatch({
      records: batch.messages.map((message) => ({
        topic: batch.topic,
        partition: batch.partition,
        offset: message.offset,
        timestamp: recordTime(message.timestamp),
        key: message.key,
        value: message.value,
        headers: textHeaders(message.headers),
      })),
      hasMore: BigInt(batch.lastOffset()) + 1n < BigInt(batch.highWatermark),
      isCurrent: () =>
        isMember() && isInPlace() && payload.isRunning() && !payload.isStale() && rebalance === undefined,
      resolve: ({ offset }) => {
        payload.resolveOffset(offset);
        // Transaction markers at the end of the batch are settled with its last message.
        commits.settle(partition, offset === batch.messages.at(-1)?.offset ? batch.lastOffset() : offset);
      },
    });
  } finally {
    clearInterval(timer);
  }
  // The member's last commit, because kafkajs no longer accepts one from outside of a batch.
  if (isMember() && (isStopping() || !payload.isRunning() || rebalance !== undefined))
    await settlesWithin(
      COMMIT_AT_STOP_MS,
      commits.flush((offsets) =>
        payload.commitOffsetsIfNecessary({ topics: [{ topic, partitions: toCommit(offsets, settled) }] }),
      ),
    );
  if (rebalance !== undefined) throw rebalance;
}

function textHeaders(headers: EachBatchPayload['batch']['messages'][number]['headers']): Record<string, string> {
  const entries = Object.entries(headers ?? {}).map(([name, value]) => [
    name,
    (Array.isArray(value) ? value.at(-1) : value)?.toString() ?? '',
  ]);
  return Object.fromEntries(entries) as Record<string, string>;
}

/**
 * Creates the topics that do not exist yet, and waits until they have leaders. Safe to repeat.
 *
 * Throws if Kafka cannot be reached, or if a topic exists with a number of partitions that differs from its contract. Adding
 * partitions would move keys to other partitions and break their order, so an operator has to decide about it.
 */
export async function createTopics(options: KafkaOptions, topics: readonly TopicContract[]): Promise<void> {
  const admin = kafkaClient(options).admin({ retry: { retries: 5, initialRetryTime: 300 } });
  try {
    await admin.connect();
    await onceKnown(() =>
      admin.createTopics({
        waitForLeaders: false,
        topics: topics.map(({ name, partitions, retentionMs }) => ({
          topic: name,
          numPartitions: partitions,
          configEntries: [
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

/** The messages of its topic that a consumer group has not committed yet. */
export interface GroupLag {
  readonly groupId: string;
  readonly topic: string;
  readonly partitions: readonly { readonly partition: number; readonly messages: number }[];
}

/**
 * Reads how far the groups are behind, over one connection. If a group has committed nothing, or Kafka has deleted messages beyond
 * its offset, the lag is counted from the oldest message.
 * @throws if Kafka cannot be reached, or a topic does not exist
 */
export async function consumerLags(
  options: KafkaOptions,
  groups: readonly { readonly groupId: string; readonly topic: string }[],
): Promise<GroupLag[]> {
  const admin = kafkaClient(options).admin();
  try {
    await admin.connect();
    return await Promise.all(
      groups.map(async ({ groupId, topic }) => {
        const [committed] = await admin.fetchOffsets({ groupId, topics: [topic] });
        const next = new Map(committed?.partitions.map(({ partition, offset }) => [partition, Number(offset)]));
        const ends = await admin.fetchTopicOffsets(topic);
        const partitions = ends.map(({ partition, low, high }) => ({
          partition,
          // Messages consumed between the two requests must not make the lag negative.
          messages: Math.max(0, Number(high) - Math.max(next.get(partition) ?? -1, Number(low))),
        }));
        return { groupId, topic, partitions: partitions.toSorted((a, b) => a.partition - b.partition) };
      }),
    );
  } finally {
    await disconnect(admin);
  }
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

async function disconnect(client: KafkaJsProducer | KafkaJsConsumer | Admin): Promise<void> {
  await client.disconnect().catch((error: unknown) => kafkaJsLogger.debug(`disconnect: ${String(error)}`));
}
