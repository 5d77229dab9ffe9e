/** A class that describes the data of one event type by its class-validator decorators and its version. */
export interface EventClass {
  new (): object;
  /** The version of the data's schema, starting at 1. It is sent in `ce_dataschema`. */
  readonly version: number;
  /**
   * Converts data of earlier versions. The entry under `n` converts version `n` to version `n + 1`. It is needed for as long as messages
   * of version `n` may be on the topic, in an outbox or among the parked messages and dead letters.
   */
  readonly upcasters?: Readonly<Record<number, Upcaster>>;
}

/** Converts the data of an earlier version of an event to the next version. Created by {@link upcaster}. */
export interface Upcaster {
  /** The class that described the data in that version, unchanged. It validates the data before the conversion. */
  readonly from: new () => object;
  /** Returns the data of the next version. */
  readonly convert: (data: object) => object;
}

/**
 * Creates an upcaster of data that `from` describes and has validated. `convert` returns the fields that a handler of the next version
 * expects. They are not validated again, so it names the fields that it keeps: the data may also have fields that `from` does not declare.
 * It depends only on its argument. If it throws, the message becomes a dead letter.
 */
export function upcaster<From extends object>(from: new () => From, convert: (data: From) => object): Upcaster {
  return { from, convert: (data) => convert(data as From) };
}

/** Describes a topic and its events, for the service that publishes to it and for its consumers. */
export interface TopicContract {
  /** The topic's name. Messages of aggregate type `order` go to `order.events`. */
  readonly name: string;
  /** The `aggregatetype` in the outbox whose messages go to this topic. */
  readonly aggregateType: string;
  /** Fixed once the topic exists, because adding partitions would move keys to other partitions and break their order. */
  readonly partitions: number;
  /** How long Kafka keeps a message, in milliseconds. */
  readonly retentionMs: number;
  readonly events: Readonly<Record<string, EventClass>>;
  /**
   * How long every consumer of the topic remembers a message at least, in milliseconds; 0 means forever. It bounds which messages may be
   * replayed, and is the default of a consumer's own `inboxRetentionMs`. Default 30 days.
   */
  readonly inboxRetentionMs?: number;
}

const DEFAULT_INBOX_RETENTION_MS = 30 * 24 * 3600 * 1000;

/** Returns how long a consumer remembers the messages of a topic, with its own setting if it has one; 0 means forever. */
export function inboxRetentionOf(topic: Pick<TopicContract, 'inboxRetentionMs'>, own?: number): number {
  return own ?? topic.inboxRetentionMs ?? DEFAULT_INBOX_RETENTION_MS;
}

/** Returns the `ce_dataschema` of an event type. It is a URN because the schema is identified by name and version, not fetched. */
export function dataSchema(type: string, event: EventClass): string {
  return `urn:event:${type}:${event.version}`;
}
