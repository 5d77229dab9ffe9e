import { type TraceContext } from '../tracing/trace-context.js';

/** A record as stored on the topic. Header values are UTF-8 text. If a header name occurs twice, the last value counts. */
export interface KafkaRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  /** As computed by `recordTime`. */
  readonly timestamp: Date;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** An event in its CloudEvents envelope, as read from a topic (CloudEvents 1.0, Kafka binding 1.0.2). */
export interface Message {
  readonly id: string;
  readonly type: string;
  readonly source: string;
  /** The aggregate's id, which is the Kafka key. */
  readonly key: string;
  /** The publishing aggregate's version. It increases within a key, with gaps. */
  readonly sequence: number | undefined;
  /** The event's time if it has one, else the record's timestamp, else the time of reading. */
  readonly time: Date;
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  /** The trace that the message belongs to, as its publisher sent it. */
  readonly trace?: TraceContext | undefined;
  readonly data: object;
}

export type Reading = { readonly readable: true; readonly message: Message } | Unreadable;

/** A record that cannot be handled in its present form. */
export interface Unreadable {
  readonly readable: false;
  readonly reason: string;
  /** `id`, `type` and `source` are present if at least the headers could be read, truncated to the size of a column. */
  readonly id?: string;
  readonly type?: string;
  readonly source?: string;
  /** Whether only the data violates the contract. The message then has an id and a source, and its place in its key. */
  readonly sound: boolean;
  /** Set for an event whose type the contract does not define. A newer version of the contract may define it. */
  readonly unknownType?: true;
}

/** A row of the outbox as the relay reads it. */
export interface OutboxRow {
  readonly position: string;
  readonly id: string;
  readonly aggregatetype: string;
  readonly aggregateid: string;
  readonly type: string;
  readonly dataschema: string;
  readonly sequence: string;
  readonly payload: string;
  /** When it was written, in milliseconds since the epoch. */
  readonly timestamp: string;
  /** The trace of the code that added the message; null if that was not traced. */
  readonly traceparent?: string | null;
  readonly tracestate?: string | null;
  /** How many more rows the read found but left out because of their size. */
  readonly rest?: string | undefined;
  /** The partition of its key, computed once. The producer refuses a topic whose number of partitions differs from its contract. */
  partition?: number | undefined;
}
