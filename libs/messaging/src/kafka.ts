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
import { describeError } from './errors.js';
import { LineLimit } from './kafka-log.js';
import { hookFetches, mendFetches } from './kafkajs-fetches.js';
import { mendKafkajs } from './kafkajs-patches.js';
import { type KafkaRecord, type OutgoingRecord, recordTime } from './message.js';
import { OffsetCommits, type Offsets } from './offset-commits.js';
import { partitionOf } from './partition.js';
import { type GroupPositions, type KafkaFacts, Positions, type SettledOffsets } from './positions.js';
import { type TopicContract } from './topic.js';
import { settlesWithin } from './waiting.js';

/*
 * The only file that imports kafkajs (and its mends, what is inside it), which is no longer maintained: another client is another
 * version of this file.
 * kafkajs's own retries are kept to the least it allows; the relay and the inbox do the retrying, with their own checks.
 */

export interface KafkaOptions {
  readonly brokers: readonly string[];
  readonly clientId: string;
}

mendKafkajs();
mendFetches();

const CONNECTION_MS = 3000;
/** How long a new topic may take to be known everywhere. */
const LEADERS_MS = 15_000;
/** Half of what a stopping service has: a broker that is silent must not hold it. */
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

/** kafkajs reports a lost connection again with every attempt to use it. */
function logToNest({ namespace, level, log }: LogEntry): void {
  const { message, error } = log as { message: string; error?: unknown };
  const reason = error === undefined || error === message ? '' : `: ${describeError(error)}`;
  const named = level === logLevel.ERROR ? 'error' : level === logLevel.WARN ? 'warn' : 'debug';
  const line = kafkaJsLines.take({ level: named, text: `${namespace}: ${message}${reason}` });
  if (line) kafkaJsLogger[line.level](line.text);
}

export interface ProducerOptions extends KafkaOptions {
  /** How many partitions each topic must have: messages to a topic with another number are not sent. Others are not checked. */
  readonly partitions?: ReadonlyMap<string, number>;
}

/**
 * How long the producer works with what it knows of the topics. Partitions that were added meanwhile are not used until then,
 * so every key stays in its partition. One request each time costs next to nothing.
 */
const METADATA_AGE_MS = 5000;

export interface Producer {
  /**
   * Sends the records of all topics at once and returns when every topic-partition has acknowledged them (acks=all).
   * `mayStillSend` is asked before each attempt, kafkajs's own second one included. After an error the outcome is unknown:
   * close this producer and connect another before anything else is sent.
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

/** The topic-partitions that no answer names without an error: of these nothing is known. */
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
 * kafkajs asks the partitioner again before every attempt to send, its own retries included. That makes it the place to
 * stop a send that may no longer go out, and to learn which topic-partitions have to answer.
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
 * Whether Kafka refused a batch for what is in it: `too large`, or `invalid`. Everything else (an unknown topic, a missing
 * right, a broker that is away) is an outage: undefined. So is a timestamp: whose clock is wrong, it does not say.
 */
export function refusal(error: unknown): 'too large' | 'invalid' | undefined {
  if (isOfType(error, ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'])) return 'too large';
  return isOfType(error, ['INVALID_RECORD']) ? 'invalid' : undefined;
}

/** Whether Kafka refused a batch because its clock is too far from the records' timestamps. */
export function isTimestampRefusal(error: unknown): boolean {
  return isOfType(error, ['INVALID_TIMESTAMP']);
}

/** What Kafka says when one topic cannot be written to, whatever the others do. */
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
 * Whose fault a failed send is: `topic` when the error is of one topic, `kafka` when a broker answered with any other error,
 * and undefined when none answered.
 */
export function failureScope(error: unknown): 'topic' | 'kafka' | undefined {
  if (isOfType(error, TOPIC_FAILURES)) return 'topic';
  if (error instanceof PartitionCountError || error instanceof UnacknowledgedError) return 'topic';
  const { type, cause } = (error ?? {}) as { type?: string; cause?: unknown };
  if (type !== undefined) return 'kafka';
  return cause === undefined || cause === error ? undefined : failureScope(cause);
}

/** By Kafka's names of errors. What kafkajs has tried again it wraps in errors that have none: their causes are looked at too. */
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
  /** Read by kafkajs: do not try again. */
  readonly retriable = false;

  constructor(topic: string, actual: number, expected: number) {
    super(
      `topic ${topic} has ${actual} partitions, its contract says ${expected}. Nothing is sent to it, because keys would go to ` +
        `other partitions and lose their order: see "Change the number of partitions" in docs/how-to.md`,
    );
  }
}

class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';
  /** Read by kafkajs: do not try again. */
  readonly retriable = false;

  constructor() {
    super('the lease was lost before the messages were sent');
  }
}

export interface Batch {
  readonly records: readonly KafkaRecord[];
  /** Whether Kafka had more records of the partition when it sent these. */
  readonly hasMore: boolean;
  /** False once the consumer stops or the partition was reset: leave the rest of the batch alone. */
  isCurrent(): boolean;
  /** The record is dealt with: its offset may be committed. */
  resolve(record: KafkaRecord): void;
}

export interface Consumer {
  /** Resolves when the consumer was stopped, rejects when it crashed. A crashed consumer is replaced, not restarted. */
  readonly ended: Promise<void>;
  /** Waits for the batches in hand, commits their resolved offsets and leaves the group. Never throws. */
  stop(): Promise<void>;
}

export interface ConsumerOptions extends KafkaOptions {
  readonly groupId: string;
  readonly topic: string;
  /** How many partitions are handled at the same time; within a partition, batches come one after another. */
  readonly concurrency: number;
  /** After so long without a heartbeat Kafka gives the partitions to another member, in milliseconds. Default 10 s. */
  readonly sessionMs?: number;
  /** The group has shared out its partitions anew. */
  readonly onJoined?: () => void;
  /** Where the consumer's database keeps its offsets. They are written before Kafka is told, and the lower ones count. */
  readonly settled?: SettledOffsets;
  /** Nothing can be fetched: it is unknown where to begin. Tried again until it succeeds. */
  readonly onHeld?: (error: unknown) => void;
  /** A fetch was sent; `onFetched`: its answer was read. A broker that is silent, or a batch that cannot be decoded, has no answer. */
  readonly onFetching?: () => void;
  readonly onFetched?: () => void;
  /** What it resolves is committed within a second. It must not throw. */
  readonly onBatch: (batch: Batch) => Promise<void>;
}

/** Short enough that a killed instance's partitions move on soon, long enough for a busy process to send its heartbeats. */
const SESSION_MS = 10_000;
/** Heartbeats in the time after which the group takes a member for dead. */
const HEARTBEATS = 10;

/** Joins the group and consumes from its committed offsets, a new group from the beginning (P2). Throws when it cannot join. */
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
  // Reported by the first await below or by the supervisor; in between it must not count as unhandled.
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
    (offsets) => consumer.commitOffsets(toCommit(offsets, settled).map((one) => ({ topic, ...one }))),
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
      // While the group is about to be shared out anew it still takes what is told.
      leaving: async () => void (await settlesWithin(COMMIT_AT_STOP_MS, commits.flush())),
    });
    options.onJoined?.();
  });
  const over = () => {
    commits.end();
    positions?.end();
    unhook();
  };
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    over();
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
        // Another batch may learn first that the group has shared out its partitions anew: then this one is over too.
        const joined = generation;
        const { partition } = payload.batch;
        // Fetched before the partition was given another place: it comes again from there.
        if (positions?.waits(partition)) return Promise.resolve();
        const epoch = positions?.epoch(partition);
        return handleBatch(payload, options, heartbeatMs, commits, {
          isMember: () => joined === generation,
          isInPlace: () => positions?.epoch(partition) === epoch,
          isStopping: () => stopping,
        });
      },
    });
    // A failure to join does not fail `run`: kafkajs reports it as a crash, before `run` returns.
    await Promise.race([ended, Promise.resolve()]);
  } catch (error) {
    await disconnect(consumer);
    over();
    throw error;
  }
  return {
    ended,
    async stop() {
      // A broker that is silent must not hold it.
      stopping = true;
      await settlesWithin(COMMIT_AT_STOP_MS, commits.flush());
      await disconnect(consumer);
      over();
      end();
    },
  };
}

/** Marks an offset in Kafka as one that was written to the consumer's database first. */
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
      const told = toCommit(new Map([...offsets].map(([partition, offset]) => [partition, String(offset)])), settled);
      await consumer
        .commitOffsets(told.map((one) => ({ topic, ...one })))
        .catch((error: unknown) => kafkaJsLogger.debug(`${groupId} has not committed: ${describeError(error)}`));
    },
  };
}

/** Where a group stands on a partition, and what Kafka has of it. */
export interface GroupOffset extends KafkaFacts {
  readonly partition: number;
}

/**
 * The group's offsets and the bounds of each partition of the topic.
 * @throws when Kafka cannot be reached, or the topic does not exist
 */
export async function groupOffsets(
  options: KafkaOptions,
  { groupId, topic }: { readonly groupId: string; readonly topic: string },
): Promise<GroupOffset[]> {
  return withAdmin(options, async (admin) => {
    const [group] = await admin.fetchOffsets({ groupId, topics: [topic] });
    const committed = new Map(group?.partitions.map((partition) => [partition.partition, partition]));
    // Asked last: what was committed is never beyond the end that is found then, unless the topic was created again.
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
 * The offset of the first message of the time or later, of each partition; its end where there is none.
 * @throws when Kafka cannot be reached, or the topic does not exist
 */
export async function offsetsAt(options: KafkaOptions, topic: string, time: Date): Promise<Map<number, bigint>> {
  return withAdmin(options, async (admin) => {
    const offsets = await admin.fetchTopicOffsetsByTimestamp(topic, time.getTime());
    return new Map(offsets.map(({ partition, offset }) => [partition, BigInt(offset)]));
  });
}

/**
 * Commits offsets on behalf of a group that nobody is a member of.
 * @throws when it has members, or Kafka cannot be reached
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
  /** Whether the partition is still read from where the batch was. */
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
  // Heartbeats go on while a handler is slow. One that fails means a rebalance: the batch is given up after the record in
  // hand, and throwing the error is how kafkajs learns that it has to join again.
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
        // Markers of transactions at the end of the batch are settled with its last message.
        commits.settle(partition, offset === batch.messages.at(-1)?.offset ? batch.lastOffset() : offset);
      },
    });
  } finally {
    clearInterval(timer);
  }
  // This member's last word: kafkajs takes none from outside of a batch any more.
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
 * Throws when Kafka cannot be reached, and when a topic exists with another number of partitions than its contract: adding
 * partitions would send keys elsewhere and break their order, so that is a person's decision.
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
            // The broker keeps batches as they were sent, whatever its own compression is.
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

/** What Kafka deletes of a topic. */
export interface TopicCleanup {
  /**
   * How old a message can get, in milliseconds: Kafka deletes a segment once its newest message is older than `retention.ms`,
   * and closes one after `segment.ms`. Infinity where no message is deleted for its age.
   */
  readonly oldestMs: number;
  /** Whether Kafka deletes messages that are followed by another one of their key, read or not. */
  readonly compacts: boolean;
}

/** @throws when Kafka cannot be reached, or does not let this client ask */
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

/** What a consumer group has not committed yet of its topic. */
export interface GroupLag {
  readonly groupId: string;
  readonly topic: string;
  readonly partitions: readonly { readonly partition: number; readonly messages: number }[];
}

/**
 * How far the groups are behind, asked for over one connection. Where a group has committed nothing, or Kafka has deleted
 * beyond what it has, it is the oldest message that it stands before.
 * @throws when Kafka cannot be reached, or a topic does not exist
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
          // What was consumed between the two questions is no lag below zero.
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
 * Does the step again while a broker has not heard of the new topic yet, or any topic has no leader, as when the broker has
 * just started: before it creates topics, kafkajs asks for all that exist. Its own wait gives up on the former.
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
  // Throws while one of the partitions has no leader.
  const { topics: existing } = await onceKnown(() =>
    admin.fetchTopicMetadata({ topics: topics.map(({ name }) => name) }),
  );
  for (const { name, partitions } of topics) {
    const actual = existing.find((topic) => topic.name === name)?.partitions.length ?? 0;
    if (actual !== partitions)
      throw new Error(`Topic ${name} has ${actual} partitions, its contract says ${partitions}`);
  }
}

async function disconnect(client: KafkaJsProducer | KafkaJsConsumer | Admin): Promise<void> {
  await client.disconnect().catch((error: unknown) => kafkaJsLogger.debug(`disconnect: ${String(error)}`));
}
