import { randomBytes } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { IsInt } from 'class-validator';
import { DataSource, type EntityManager } from 'typeorm';
import { DeadLetters } from '#src/dead-letters/dead-letters.js';
import { DueWork } from '#src/poll/due-work.js';
import { type connectProducer } from '#src/kafka/producer.js';
import { createTopics } from '#src/kafka/topics.js';
import { type LeaseTiming } from '#src/poll/lease.js';
import { type KafkaSecurity } from '#src/kafka-security.js';
import { type InboxOptions, kafkaOptionsOf, type MessagingOptions } from '#src/messaging-options.js';
import { Outbox } from '#src/outbox/outbox.js';
import { Poll } from '#src/poll/poll.js';
import { PollStore } from '#src/poll/poll-store.js';
import { Relay } from '#src/relay/relay.js';
import { RelayStore } from '#src/relay/relay-store.js';
import { SessionClient, withoutRefusal } from '#src/postgres/session-client.js';
import { AfterCommit } from '#src/postgres/after-commit.js';
import { type TestDatabase, testBrokers } from '#src/testing/database.js';
import { readTopic, type TopicReader } from '#src/testing/topic.js';
import { until } from '#src/testing/until.js';
import { createSandboxDatabase, serviceUrl } from './sandbox-database.js';

/** The library's own test event. */
export class Counted {
  static readonly version = 1;

  @IsInt() readonly n!: number;
}

/** An event of the contract that no consumer handles. */
class Ignored {
  static readonly version = 1;
}

export const COUNTER = Symbol('counter');

const UNPUBLISHED = `
  select not exists (select from sandbox.outbox, sandbox.relay_lease as lease
                      where outbox.position > lease.position or outbox.position <@ lease.gaps) as drained`;

/** The relay of one process, together with the poll that drives it. */
export class RelayProcess extends Relay {
  constructor(
    options: MessagingOptions,
    connect?: typeof connectProducer,
    leaseTiming?: LeaseTiming,
    dueWork = new DueWork(),
  ) {
    super(options, new Poll(options, dueWork, leaseTiming), connect);
  }

  /** `queues` are those whose jobs the process runs. */
  start(queues: readonly string[] = []): void {
    this.poll.start(queues, this);
  }

  async stop(): Promise<void> {
    await this.poll.stop();
  }

  /** Called when rows were committed in the process. */
  wake(): void {
    this.poll.wake();
  }
}

/** Connects like the poll of a process that runs no jobs. The relay's statements go over the same connection. */
export async function connectStores(options: MessagingOptions): Promise<{ poll: PollStore; relay: RelayStore }> {
  const poll = await PollStore.connect(
    options,
    () => undefined,
    () => undefined,
  );
  return { poll, relay: new RelayStore(poll.connection, poll.log, options.schema) };
}

/** A schema with the library's tables, a topic and a consumer group of its own, on real servers. */
export interface Sandbox {
  readonly options: MessagingOptions;
  readonly consumer: InboxOptions;
  readonly database: TestDatabase;
  readonly dataSource: DataSource;
  readonly topic: TopicReader;
  /** Creates the relay of one process. */
  newRelay(connect?: typeof connectProducer, leaseTiming?: LeaseTiming, more?: Partial<MessagingOptions>): RelayProcess;
  outboxOf(relay: RelayProcess): Outbox;
  readonly deadLetters: DeadLetters;
  /** Adds an event `Counted` of one key, in a transaction of its own unless one is given. */
  add(outbox: Outbox, key: string, n: number, tx?: EntityManager): Promise<void>;
  /** Waits until everything committed is published and recorded as published. */
  published(): Promise<void>;
  /** Waits for {@link published}, and until `topic` has read it all. */
  drained(): Promise<void>;
  close(): Promise<void>;
}

interface Servers {
  readonly databaseUrl?: string;
  readonly brokers?: readonly string[];
  readonly security?: KafkaSecurity;
  /** The same brokers without TLS and authentication, for the reader of the topic. Default: `brokers`. */
  readonly plainBrokers?: readonly string[];
}

/** Creates the database and the topic, with a connection to each. */
async function prepare(servers: Servers) {
  const database = await createSandboxDatabase(servers.databaseUrl);
  const name = `sandbox-${randomBytes(6).toString('hex')}`;
  const contract = {
    name,
    aggregateType: 'counter',
    partitions: 4,
    retentionMs: 3_600_000,
    events: { Counted, Ignored },
  };
  const consumer: InboxOptions = { consumer: COUNTER, groupId: name, topic: contract };
  const options: MessagingOptions = {
    schema: 'sandbox',
    databaseUrl: serviceUrl(database),
    brokers: servers.brokers ?? testBrokers(),
    security: servers.security,
    service: name,
    publishes: [contract],
    consumes: [consumer],
  };
  await createTopics(kafkaOptionsOf(options), [contract]);
  const extra = { Client: SessionClient, pipeline: true };
  const dataSource = await withoutRefusal(() =>
    new DataSource({ type: 'postgres', url: serviceUrl(database), extra }).initialize(),
  );
  return {
    options,
    consumer,
    database,
    dataSource,
    topic: await readTopic(servers.plainBrokers ?? options.brokers, name),
  };
}

export async function createSandbox(servers: Servers = {}): Promise<Sandbox> {
  Logger.overrideLogger(['error', 'fatal']);
  const { options, consumer, database, dataSource, topic } = await prepare(servers);
  const relays: RelayProcess[] = [];
  const published = async () => {
    await until('the outbox is drained', async () => {
      const [row] = await database.sql<{ drained: boolean }>(UNPUBLISHED);
      return row?.drained;
    });
  };
  return {
    options,
    consumer,
    database,
    dataSource,
    topic,
    newRelay(connect, leaseTiming, more) {
      const relay = new RelayProcess({ ...options, ...more }, connect, leaseTiming);
      relays.push(relay);
      return relay;
    },
    deadLetters: new DeadLetters(
      options,
      { default: dataSource, handling: dataSource },
      new DueWork(),
      new AfterCommit(),
    ),
    outboxOf: (relay) => new Outbox(options, new AfterCommit(), () => relay.wake()),
    async add(outbox, key, n, tx) {
      const aggregate = { aggregateType: 'counter', aggregateId: key, version: n };
      const events = [{ type: 'Counted', data: { n } }];
      if (tx) await outbox.add(tx, aggregate, events);
      else await dataSource.transaction((own) => outbox.add(own, aggregate, events));
    },
    published,
    async drained() {
      await published();
      await topic.caughtUp();
    },
    async close() {
      await Promise.all(relays.map((relay) => relay.stop()));
      await topic.close();
      await dataSource.destroy();
      await database.drop();
    },
  };
}

/** Returns the `n` of each record of a key, in topic order. */
export function counts(topic: TopicReader, key: string): number[] {
  return topic.ofKey(key).map(({ value }) => (JSON.parse(String(value)) as Counted).n);
}

/** Returns the keys whose messages first occur out of order. There must be none (P3). */
export function inversions(topic: TopicReader): string[] {
  const keys = new Set(topic.records.map(({ key }) => String(key)));
  return [...keys].filter((key) => {
    const firsts = [...new Set(counts(topic, key))];
    return firsts.some((n, index) => index > 0 && n < (firsts[index - 1] ?? n));
  });
}
