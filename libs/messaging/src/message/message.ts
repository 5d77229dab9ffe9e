import { NO_TIMESTAMP } from './event-time.js';

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
  /** How many more rows the read found but left out because of their size. */
  readonly rest?: string;
}

export interface OutgoingRecord {
  readonly key: string;
  readonly value: string;
  /** The event's time (`ce_time`) in milliseconds since the epoch, the format that kafkajs expects. */
  readonly timestamp: string;
  readonly headers: Record<string, string>;
}

/**
 * Converts a row to a record in binary mode, with the envelope in headers and the data as the value. The key stands for
 * `ce_subject` and the timestamp for `ce_time`. If Kafka rejects such timestamps, `timed` is false and `ce_time` is a header.
 */
export function toRecord(row: OutboxRow, source: string, timed = true): OutgoingRecord {
  const record: OutgoingRecord = {
    key: row.aggregateid,
    value: row.payload,
    timestamp: timed ? row.timestamp : String(NO_TIMESTAMP),
    headers: {
      ce_specversion: '1.0',
      ce_id: row.id,
      ce_source: source,
      ce_type: row.type,
      ce_dataschema: row.dataschema,
      ce_sequence: row.sequence,
      'content-type': 'application/json',
    },
  };
  if (!timed) record.headers['ce_time'] = new Date(Number(row.timestamp)).toISOString();
  return record;
}
