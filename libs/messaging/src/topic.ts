/** An event class: what the data of one event type looks like, with its class-validator decorators, and its version. */
export interface EventClass {
  new (): object;
  /** The version of the data's schema, from 1. It travels in `ce_dataschema`. */
  readonly version: number;
  /**
   * Bring older data up to date before it is validated: the function under `n` makes version `n + 1` of version `n`. Needed
   * for as long as messages of version `n` may lie on the topic or be parked.
   */
  readonly upcasters?: Readonly<Record<number, (data: object) => object>>;
}

/** What a topic carries: the one place that names it, for the service that publishes and for those that consume. */
export interface TopicContract {
  /** The topic's name. Messages of aggregate type `order` go to `order.events`. */
  readonly name: string;
  /** What `aggregatetype` in the outbox routes here. */
  readonly aggregateType: string;
  /** Fixed once the topic exists: more partitions later would send a key elsewhere and break its order. */
  readonly partitions: number;
  /** How long Kafka keeps a message, in milliseconds. */
  readonly retentionMs: number;
  readonly events: Readonly<Record<string, EventClass>>;
}

/** The `ce_dataschema` of an event type: a URN, for the schema is found by name and version, not by fetching it. */
export function dataSchema(type: string, event: EventClass): string {
  return `urn:event:${type}:${event.version}`;
}
