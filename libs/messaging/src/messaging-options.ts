import { type InjectionToken } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { type TopicContract } from './topic.js';

/** One consumer of the service: a Kafka consumer group with its own once-effect. */
export interface InboxOptions {
  /** Names the consumer in `@EventPattern<string>(type, CONSUMER)`. */
  readonly consumer: symbol;
  /** The Kafka consumer group, and the consumer's name in the inbox table: renaming it handles everything again. */
  readonly groupId: string;
  readonly topic: TopicContract;
  /**
   * Messages handled at the same time, over all partitions and the parked ones: each holds one connection of the pool while
   * its handler runs. Messages of one key are never handled at the same time. Default 4.
   */
  readonly concurrency?: number;
  /** How often a handler may fail with one message before it is a dead letter. Outages do not count. Default 10. */
  readonly maxAttempts?: number;
  /** The wait after a handler's first failure, doubled with each further one up to `maxMs`. Default 1 s and 5 min. */
  readonly backOff?: { readonly firstMs: number; readonly maxMs: number };
  /**
   * What becomes of a key with a dead letter. `hold-key`: its later messages wait until a person retries or discards the
   * letter, so that none is handled out of order. `go-on`: they are handled. Default `hold-key`.
   */
  readonly afterDeadLetter?: 'hold-key' | 'go-on';
  /**
   * Handles what has arrived of several partitions in one transaction, and each message on its own when one of them fails: much
   * faster, for handlers that touch only rows of their own key, and neither open savepoints (`tx.transaction`) nor change settings:
   * others share the transaction. They may run twice for a message, with one effect in the database; what else they do is done
   * twice. One that is slow is waited for by all. Default false.
   */
  readonly groupCommit?: boolean;
  /**
   * How long the inbox remembers a message, in milliseconds; 0: for ever. Longer than the topic may keep it (`retention.ms` +
   * `segment.ms`), or the consumer does not start: a replay would have its effects twice. Default 30 days.
   */
  readonly inboxRetentionMs?: number;
  /**
   * After so long without a heartbeat Kafka gives an instance's partitions to another, in milliseconds. A slow handler does
   * not matter: heartbeats go on. At least the broker's `group.min.session.timeout.ms`. Default 10 s.
   */
  readonly sessionMs?: number;
  /**
   * What becomes of a message whose type the contract does not name. `ignore`: it is counted, each type is logged once, and
   * nothing is recorded, so that a replay delivers it once the contract names the type. `dead-letter`: it is a dead letter.
   * Default `ignore`.
   */
  readonly unknownTypes?: 'ignore' | 'dead-letter';
}

export interface MessagingOptions {
  /** The service's PostgreSQL schema, with the tables of `messagingTables`. */
  readonly schema: string;
  /**
   * The token of the TypeORM `DataSource` on which messages and jobs are handled; unless given, that of the service. One with a pool
   * of its own keeps requests that wait for connections or locks from delaying messages, and the other way round.
   */
  readonly dataSource?: InjectionToken<DataSource>;
  /** For the relay's own connection. */
  readonly databaseUrl: string;
  /** Kafka's bootstrap servers, `host:port`. */
  readonly brokers: readonly string[];
  /** The service's name: Kafka's client id, and `ce_source` as `/<name>`. */
  readonly service: string;
  readonly publishes: readonly TopicContract[];
  readonly consumes: readonly InboxOptions[];
  /**
   * Whether this process may be the one that publishes for the schema. Default true; false where relays run as processes of
   * their own: what is committed here is then announced to them.
   */
  readonly relay?: boolean;
  /**
   * Health reports the relay as down while a message has waited unpublished for longer, in every process, whichever should publish
   * it. In milliseconds; 30 s unless given. `false` where something else than the relay publishes the outbox, such as Debezium:
   * nothing then records in the schema what was published.
   */
  readonly overdueAfterMs?: number | false;
  /**
   * How long published messages stay in the outbox, to be looked at and sent again, in milliseconds: 7 days unless given.
   * 0 removes them at once, that is with the next look, a second later.
   */
  readonly outboxRetentionMs?: number;
  /** Whether later messages of a key wait behind its dead letter in the outbox, or go on without it: `hold-key` unless given. */
  readonly afterDeadLetter?: 'hold-key' | 'go-on';
}

export const MESSAGING_OPTIONS = Symbol('MESSAGING_OPTIONS');

/** The token of the DataSource on which messages and jobs are handled. */
export function handlingDataSource({ dataSource = DataSource }: MessagingOptions): InjectionToken<DataSource> {
  return dataSource;
}
