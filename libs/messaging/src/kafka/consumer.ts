import { type Consumer as KafkaJsConsumer, type ConsumerGroupJoinEvent, type EachBatchPayload } from 'kafkajs';
import { COMMIT_AT_STOP_MS, deliver } from './batch.js';
import { disconnect, kafkaClient, kafkaJsLogger } from './client.js';
import { type Consumer, type ConsumerOptions } from './consumer-options.js';
import { describeError } from '../errors.js';
import { toCommit } from './group-offsets.js';
import { fetchHooks } from './fetch-hooks.js';
import { groupPositions } from './group-positions.js';
import { hookFetches } from './kafkajs-fetches.js';
import { memberConfig } from './member-config.js';
import { OffsetCommits, type Offsets } from './offset-commits.js';
import { Positions } from './positions.js';
import { settlesWithin } from '../waiting.js';

/** Joins the group and consumes from its committed offsets; a new group starts at the beginning (P2). Throws if it cannot join. */
export async function startConsumer(options: ConsumerOptions): Promise<Consumer> {
  const member = new Member(options);
  await member.join();
  return member;
}

/** A member of a consumer group, from joining to leaving it. */
class Member implements Consumer {
  private readonly ending = Promise.withResolvers<void>();
  private readonly consumer: KafkaJsConsumer;
  private readonly heartbeatMs: number;
  private readonly positions: Positions | undefined;
  private readonly commits: OffsetCommits;
  private stopping = false;
  private generation = 0;
  private unhook = () => {};

  constructor(private readonly options: ConsumerOptions) {
    const { groupId, topic, sessionMs, settled, onSuspended } = options;
    const config = memberConfig(groupId, sessionMs);
    this.heartbeatMs = config.heartbeatInterval;
    this.consumer = kafkaClient(options).consumer(config);
    // The first await of `join` or the supervisor reports it. In between it must not count as an unhandled rejection.
    this.ended.catch(() => undefined);
    this.positions =
      settled &&
      new Positions(
        settled,
        groupPositions(options, this.consumer, (offsets) => this.commit(offsets)),
        {
          wentBack: () => this.commits.forget(),
          failed: (error) => onSuspended?.(error),
        },
      );
    this.commits = new OffsetCommits(
      (offsets) => this.commit(offsets),
      (error) => kafkaJsLogger.warn(`Cannot commit the offsets of ${groupId} on ${topic}: ${describeError(error)}`),
      (offsets) => this.storeOffsets(offsets),
    );
    this.listen();
  }

  get ended(): Promise<void> {
    return this.ending.promise;
  }

  async join(): Promise<void> {
    const { consumer } = this;
    try {
      await consumer.connect();
      await consumer.subscribe({ topics: [this.options.topic], fromBeginning: true });
      await consumer.run({
        eachBatchAutoResolve: false,
        autoCommit: false,
        partitionsConsumedConcurrently: this.options.concurrency,
        eachBatch: (payload) => this.receive(payload),
      });
      // `run` does not throw if joining fails. kafkajs reports that as a crash before `run` returns.
      await Promise.race([this.ended, Promise.resolve()]);
    } catch (error) {
      await disconnect(consumer);
      this.cleanUp();
      throw error;
    }
  }

  async stop(): Promise<void> {
    // A silent broker must not delay the stop.
    this.stopping = true;
    await settlesWithin(COMMIT_AT_STOP_MS, this.commits.flush());
    await disconnect(this.consumer);
    this.cleanUp();
    this.ending.resolve();
  }

  private listen(): void {
    const { consumer, options } = this;
    consumer.on(consumer.events.FETCH_START, () => options.onFetching?.());
    consumer.on(consumer.events.FETCH, () => {
      if (this.positions?.suspended === undefined) options.onFetched?.();
    });
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => this.joined(payload));
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      this.cleanUp();
      this.ending.reject(payload.error);
    });
  }

  /** Called after each rebalance. */
  private joined({ memberId, memberAssignment }: ConsumerGroupJoinEvent['payload']): void {
    const { commits, positions, options } = this;
    this.generation++;
    commits.forget();
    positions?.joined(memberAssignment[options.topic] ?? []);
    this.unhook();
    this.unhook = hookFetches(memberId, fetchHooks(commits, positions, options.isPaused));
    options.onJoined?.();
  }

  /** Receives a batch from kafkajs, and passes it to `onBatch` of the options. */
  private async receive(payload: EachBatchPayload): Promise<void> {
    const { positions, commits, heartbeatMs, generation } = this;
    const { partition } = payload.batch;
    // The batch was fetched before the partition got a new start offset, and is fetched again from there.
    if (positions?.waits(partition)) return;
    const epoch = positions?.epoch(partition);
    const owner = {
      heartbeatMs,
      commits,
      inDatabase: positions !== undefined,
      // Another batch may be the first to notice a rebalance. Then this batch is no longer current either.
      isMember: () => generation === this.generation,
      isInPlace: () => positions?.epoch(partition) === epoch,
      isStopping: () => this.stopping,
    };
    await deliver(payload, owner, this.options.onBatch);
  }

  private async commit(offsets: Offsets): Promise<void> {
    const { topic } = this.options;
    const partitions = toCommit(offsets, this.positions !== undefined);
    await this.consumer.commitOffsets(partitions.map((entry) => ({ topic, ...entry })));
  }

  private async storeOffsets(offsets: Offsets): Promise<void> {
    await this.positions?.raise(new Map([...offsets].map(([n, offset]) => [n, BigInt(offset)])));
  }

  private cleanUp(): void {
    this.commits.end();
    this.positions?.end();
    this.unhook();
  }
}
