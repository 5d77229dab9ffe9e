import { type InjectionToken } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { type KafkaSecurity } from './kafka-security.js';
import { type TopicContract } from './message/topic.js';
import { type Secret } from './secret.js';

/** One consumer of the service: a Kafka consumer group that handles each message once, independently of other consumers. */
export interface InboxOptions {
  /** Identifies the consumer in `@EventPattern<string>(type, CONSUMER)`. */
  readonly consumer: symbol;
  /**
   * The Kafka consumer group, and the consumer's name in the inbox table. Under a new name the consumer handles everything on the
   * topic again.
   */
  readonly groupId: string;
  readonly topic: TopicContract;
  /**
   * How many messages are handled concurrently, across all partitions and including parked ones. Each holds one connection of
   * the pool while its handler runs; with `groupCommit`, one transaction with many messages counts as one. Messages of one key are
   * never handled concurrently. Default 4.
   */
  readonly concurrency?: number;
  /** How many times a handler may fail on a message before the message becomes a dead letter. Outages do not count. Default 10. */
  readonly maxAttempts?: number;
  /**
   * The longest wait after a handler's first failure, doubled after each further one up to `maxMs`. The actual wait is half of it to all
   * of it. It also applies after failures of the environment, up to 60 s. Default 1 s and 5 min.
   */
  readonly backOff?: { readonly firstMs: number; readonly maxMs: number };
  /**
   * What happens to later messages of a key that has a dead letter. `hold-key`: they wait until an operator retries or discards
   * the dead letter, so that none is handled out of order. `go-on`: they are handled without it. Default `hold-key`.
   */
  readonly afterDeadLetter?: 'hold-key' | 'go-on';
  /**
   * Handles messages of several partitions in one transaction, and falls back to one transaction per message when one of them
   * fails. This is much faster, but handlers share the transaction. So they may touch only rows of their own key, and must neither
   * open savepoints (`tx.transaction`) nor change settings. A handler may run twice for a message: its database effect happens
   * once, any other effect twice. A slow handler delays the whole group. Default false.
   */
  readonly groupCommit?: boolean;
  /**
   * How long the inbox remembers a message, in milliseconds; 0 means forever. It must exceed the time that the topic may keep the
   * message (`retention.ms` + `segment.ms`), or the consumer does not start, because a replay would repeat the message's effects.
   * Default: that of the topic's contract, which is 30 days unless it says otherwise. Must not be less than that of the contract.
   */
  readonly inboxRetentionMs?: number;
  /**
   * How long an instance may send no heartbeat before Kafka assigns its partitions to another, in milliseconds. A slow handler
   * does not matter, because heartbeats continue while it runs. At least the broker's `group.min.session.timeout.ms`. Default 10 s.
   */
  readonly sessionMs?: number;
  /**
   * What happens to a message whose type is not in the contract. `ignore`: it is counted, each type is logged once, and nothing
   * is recorded, so a replay delivers the message after the type is added to the contract. `dead-letter`: it becomes a dead
   * letter. Default `ignore`.
   */
  readonly unknownTypes?: 'ignore' | 'dead-letter';
}

/** The configuration of one service's messaging, passed to `MessagingModule.forRoot`. */
export interface MessagingOptions {
  /** The service's PostgreSQL schema, which contains the tables of `messagingTables`. */
  readonly schema: string;
  /**
   * The token of the TypeORM `DataSource` on which messages and jobs are handled. Default: the service's own. With a separate pool,
   * requests that wait for connections or locks do not delay messages, and vice versa.
   */
  readonly dataSource?: InjectionToken<DataSource>;
  /** The URL for the relay's own connection. Of the modes of `sslmode` only `disable` and `verify-full` are allowed. */
  readonly databaseUrl: Secret;
  /** Kafka's bootstrap servers, `host:port`. */
  readonly brokers: readonly string[];
  /** How connections to Kafka are encrypted and authenticated. Default: neither. */
  readonly security?: KafkaSecurity | undefined;
  /** The service's name, used as the Kafka client id and, as `/<name>`, in `ce_source`. */
  readonly service: string;
  readonly publishes: readonly TopicContract[];
  readonly consumes: readonly InboxOptions[];
  /**
   * Whether this process may become the one that publishes for the schema. Default true. Set it to false where relays run as
   * separate processes; this process then notifies them of its commits.
   */
  readonly relay?: boolean;
  /**
   * How long a message may wait unpublished before health reports the relay as down, in milliseconds. Every process reports it,
   * whichever one should publish. Default 30 s. Set it to `false` where something other than the relay publishes the outbox, such
   * as Debezium, because then the schema does not record what was published.
   */
  readonly overdueAfterMs?: number | false;
  /**
   * How long published messages stay in the outbox for inspection and republishing, in milliseconds. With 0 they are removed at the
   * next check, a second later. Default 7 days.
   */
  readonly outboxRetentionMs?: number;
  /**
   * What happens to later messages of a key that has a dead letter in the outbox. `hold-key`: they wait behind it. `go-on`: they are
   * published without it. Default `hold-key`.
   */
  readonly afterDeadLetter?: 'hold-key' | 'go-on';
  /** How long operations that have ended stay listed, in milliseconds. Default 30 days. */
  readonly operationRetentionMs?: number;
  /**
   * How long audit entries are kept, in milliseconds. Default 90 days. The tables keep them for at least the `auditMs` of
   * `messagingTables`, also 90 days by default.
   */
  readonly auditRetentionMs?: number;
}

/** The injection token of the {@link MessagingOptions}. */
export const MESSAGING_OPTIONS = Symbol('MESSAGING_OPTIONS');

/** Returns the token of the DataSource on which messages and jobs are handled. */
export function handlingDataSource({ dataSource = DataSource }: MessagingOptions): InjectionToken<DataSource> {
  return dataSource;
}

/** The connection to Kafka that the messaging of a service uses. */
export function kafkaOptionsOf({
  brokers,
  service,
  security,
}: Pick<MessagingOptions, 'brokers' | 'service' | 'security'>) {
  return { brokers, clientId: service, security };
}
