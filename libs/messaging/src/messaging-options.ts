import { type TopicContract } from './topic.js';

/** One consumer of the service: a Kafka consumer group with its own once-effect. */
export interface InboxOptions {
  /** Names the consumer in `@EventPattern<string>(type, CONSUMER)`. */
  readonly consumer: symbol;
  /** The Kafka consumer group, and the consumer's name in the inbox table: renaming it handles everything again. */
  readonly groupId: string;
  readonly topic: TopicContract;
}

export interface MessagingOptions {
  /** The service's PostgreSQL schema, with the tables of `messagingTables`. */
  readonly schema: string;
  /** For the relay's own connection. */
  readonly databaseUrl: string;
  /** Kafka's bootstrap servers, `host:port`. */
  readonly brokers: readonly string[];
  /** The service's name: Kafka's client id, and `ce_source` as `/<name>`. */
  readonly service: string;
  readonly publishes: readonly TopicContract[];
  readonly consumes: readonly InboxOptions[];
}

export const MESSAGING_OPTIONS = Symbol('MESSAGING_OPTIONS');
