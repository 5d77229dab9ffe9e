/** A class that describes the data of one event type by its class-validator decorators and its version. */
export interface EventClass {
  new (): object;
  /** The version of the data's schema, starting at 1. It is sent in `ce_dataschema`. */
  readonly version: number;
  /**
   * Functions that convert older data to the current version before it is validated. The function under `n` converts version `n` to
   * version `n + 1`. It is needed for as long as messages of version `n` may be on the topic or parked.
   */
  readonly upcasters?: Readonly<Record<number, (data: object) => object>>;
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
}

/** Returns the `ce_dataschema` of an event type. It is a URN because the schema is identified by name and version, not fetched. */
export function dataSchema(type: string, event: EventClass): string {
  return `urn:event:${type}:${event.version}`;
}
