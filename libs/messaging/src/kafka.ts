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
import { mendKafkajs } from './kafkajs-mends.js';
import { type KafkaRecord, type OutgoingRecord, recordTime } from './message.js';
import { OffsetCommits } from './offset-commits.js';
import { partitionOf } from './partition.js';
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

/** kafkajs reports every lost connection as an error; whether it is one, our callers know and say. */
function logToNest({ namespace, log }: LogEntry): void {
  kafkaJsLogger.debug(`${namespace}: ${log.message}`);
}

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

export async function connectProducer(options: KafkaOptions): Promise<Producer> {
  const kafka = kafkaClient(options);
  const attempt = new SendAttempt();
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
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
      if (silent.length > 0) throw new Error(`Kafka did not acknowledge ${silent.join(', ')}`);
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

  begin(mayStillSend: () => boolean): void {
    this.mayStillSend = mayStillSend;
    this.targets.clear();
  }

  partitioner(): ReturnType<ICustomPartitioner> {
    return ({ topic, partitionMetadata, message }) => {
      if (!this.mayStillSend()) throw new LeaseLostError();
      const partition = partitionOf(String(message.key), partitionMetadata.length);
      this.targets.add(`${topic}/${partition}`);
      return partition;
    };
  }
}

/**
 * Whether Kafka refused a batch for what is in it: `too large`, or `invalid`. Everything else (an unknown topic, a missing
 * right, a broker that is away) is an outage: undefined.
 */
export function refusal(error: unknown): 'too large' | 'invalid' | undefined {
  if (isOfType(error, ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'])) return 'too large';
  return isOfType(error, ['INVALID_RECORD', 'INVALID_TIMESTAMP']) ? 'invalid' : undefined;
}

/** By Kafka's names of errors. What kafkajs has tried again it wraps in errors that have none: their causes are looked at too. */
function isOfType(error: unknown, types: readonly string[]): boolean {
  const { type, cause } = (error ?? {}) as { type?: string; cause?: unknown };
  if (type !== undefined && types.includes(type)) return true;
  return cause !== undefined && cause !== error && isOfType(cause, types);
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
  consumer.on(consumer.events.FETCH, () => options.onFetched?.());
  const { topic } = options;
  const commits = new OffsetCommits(
    (offsets) => consumer.commitOffsets([...offsets].map(([partition, offset]) => ({ topic, partition, offset }))),
    (error) => kafkaJsLogger.warn(`Kafka is not told how far ${options.groupId} has read ${topic}: ${String(error)}`),
  );
  // While the group is about to be shared out anew it still takes what is told.
  consumer.on(consumer.events.REBALANCING, () => void commits.flush());
  let stopping = false;
  let generation = 0;
  consumer.on(consumer.events.GROUP_JOIN, () => {
    generation++;
    commits.forget();
    options.onJoined?.();
  });
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    commits.end();
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
        return handleBatch(
          payload,
          options.onBatch,
          heartbeatMs,
          () => joined === generation,
          commits,
          () => stopping,
        );
      },
    });
    // A failure to join does not fail `run`: kafkajs reports it as a crash, before `run` returns.
    await Promise.race([ended, Promise.resolve()]);
  } catch (error) {
    await disconnect(consumer);
    throw error;
  }
  return {
    ended,
    async stop() {
      // A broker that is silent must not hold it.
      stopping = true;
      await settlesWithin(COMMIT_AT_STOP_MS, commits.flush());
      await disconnect(consumer);
      commits.end();
      end();
    },
  };
}

async function handleBatch(
  payload: EachBatchPayload,
  onBatch: ConsumerOptions['onBatch'],
  heartbeatMs: number,
  isMember: () => boolean,
  commits: OffsetCommits,
  isStopping: () => boolean,
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
      isCurrent: () => isMember() && payload.isRunning() && !payload.isStale() && rebalance === undefined,
      resolve: ({ offset }) => {
        payload.resolveOffset(offset);
        commits.settle(partition, offset);
      },
    });
  } finally {
    clearInterval(timer);
  }
  // This member's last word: kafkajs takes none from outside of a batch any more.
  if (isMember() && (isStopping() || !payload.isRunning() || rebalance !== undefined))
    await commits.flush(async (offsets) => {
      const partitions = [...offsets].map(([number, offset]) => ({ partition: number, offset }));
      await payload.commitOffsetsIfNecessary({ topics: [{ topic, partitions }] });
    });
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
          configEntries: [{ name: 'retention.ms', value: String(retentionMs) }],
        })),
      }),
    );
    await checkPartitions(admin, topics);
  } finally {
    await disconnect(admin);
  }
}

/**
 * How old a message of the topic can get, in milliseconds: Kafka deletes a segment once its newest message is older than
 * `retention.ms`, and closes one after `segment.ms`. Infinity where nothing is ever deleted.
 * @throws when Kafka cannot be reached, or does not let this client ask
 */
export async function oldestMessageMs(options: KafkaOptions, topic: string): Promise<number> {
  const admin = kafkaClient(options).admin();
  try {
    await admin.connect();
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
    const deletes = configs.get('cleanup.policy')?.includes('delete') ?? true;
    return retentionMs < 0 || !deletes ? Infinity : retentionMs + Number(configs.get('segment.ms') ?? 0);
  } finally {
    await disconnect(admin);
  }
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
