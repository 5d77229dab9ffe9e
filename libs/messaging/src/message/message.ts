import { isUtf8 } from 'node:buffer';
import { plainToInstance } from 'class-transformer';
import { validateSync, type ValidationError } from 'class-validator';
import { identityFlaw, isTooLong, storable } from './column-text.js';
import { describeError } from '../errors.js';
import { hasTooManyFields } from './json-complexity.js';
import { UNDECODABLE_BATCH } from '../kafka/record-batch.js';
import { type Envelope, parseObject, readStructured, structuredContentType } from './structured-mode.js';
import { type EventClass, type TopicContract } from './topic.js';

/** A record as stored on the topic. Header values are UTF-8 text. If a header name occurs twice, the last value counts. */
export interface KafkaRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  /** As computed by {@link recordTime}. */
  readonly timestamp: Date;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** The timestamp of a record without one. */
const NO_TIMESTAMP = -1;
/** The first year of both RFC 3339 and PostgreSQL. Neither has a year 0. */
const EARLIEST_MS = Date.parse('0001-01-01T00:00:00Z');
/** The end of 9999, the last year that RFC 3339 can express. PostgreSQL and JavaScript support later years, with different limits. */
const LATEST_MS = Date.UTC(10_000, 0) - 1;

/** Converts a record's timestamp, which may be any 64-bit integer that its producer wrote, to a time within limits. */
export function recordTime(timestamp: string): Date {
  return new Date(Math.min(Math.max(Number(timestamp), NO_TIMESTAMP), LATEST_MS));
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

/** Reads a record according to the topic's contract. Unknown fields in the data are allowed, because a newer publisher may send more. */
export function readMessage(record: KafkaRecord, contract: TopicContract): Reading {
  const contentType = structuredContentType(record.headers);
  const { attributes, flaw, data: readData } = envelopeOf(record, contentType);
  const { id, type, source } = attributes;
  const found = {
    ...(id !== undefined && { id: shown(id) }),
    ...(type !== undefined && { type: shown(type) }),
    ...(source !== undefined && { source: shown(source) }),
  };
  const unreadable = (reason: string, sound = false): Unreadable => ({ readable: false, reason, sound, ...found });

  const undecodable = record.headers[UNDECODABLE_BATCH];
  if (undecodable !== undefined) return unreadable(undecodable);
  if (flaw !== undefined) return unreadable(flaw);
  const prefix = contentType === undefined ? 'ce_' : '';
  const required = { id, type, source, specversion: attributes.specversion };
  if (!id || !type || !source || !required.specversion) {
    const missing = Object.entries(required).filter(([, value]) => !value);
    const names = missing.map(([name]) => `${prefix}${name}`).join(', ');
    return unreadable(`${contentType === undefined ? 'header' : 'attribute'} missing: ${names}`);
  }
  if (required.specversion !== '1.0') return unreadable(`${prefix}specversion is not 1.0`);
  for (const [name, value] of [
    ['id', id],
    ['source', source],
    ['type', type],
  ] as const) {
    const wrong = attributeFlaw(value);
    if (wrong !== undefined) return unreadable(`${prefix}${name} ${wrong}`);
  }
  const identity = identityFlaw(id, source);
  if (identity !== undefined) return unreadable(identity);

  const eventClass = Object.hasOwn(contract.events, type) ? contract.events[type] : undefined;
  if (!eventClass)
    return { ...unreadable(`the contract of ${contract.name} does not define the type`), unknownType: true };

  const key = keyOf(record.key);
  if (key.flaw !== undefined) return unreadable(key.flaw);
  if (record.value === null) return unreadable('the record has no value (a tombstone)');

  const json = readData();
  if (!json)
    return unreadable(contentType ? 'the data is not a JSON object' : 'the value is not a JSON object in UTF-8');
  if (hasTooManyFields(record.value.length, () => json)) return unreadable('the data has too many fields', true);
  const { data, broken } = dataOf(json, eventClass, versionOf(attributes.dataschema) ?? eventClass.version);
  if (!data) return unreadable(`the data violates its contract: ${broken?.slice(0, MAX_REASON)}`, true);

  return {
    readable: true,
    message: {
      id,
      type,
      source,
      key: key.text,
      sequence: sequenceOf(attributes.sequence),
      time: eventTime(attributes.time) ?? (hasTimestamp(record) ? record.timestamp : new Date()),
      topic: record.topic,
      partition: record.partition,
      offset: record.offset,
      data,
    },
  };
}

/** Limits the length of a reason, because a message may violate many rules many times. */
const MAX_REASON = 2000;

function envelopeOf(record: KafkaRecord, contentType: string | undefined): Envelope {
  const { headers, value } = record;
  if (contentType !== undefined) {
    return value
      ? readStructured(contentType, value)
      : { attributes: {}, flaw: 'the record has no value (a tombstone)', data: () => undefined };
  }
  return {
    attributes: {
      specversion: headers['ce_specversion'],
      id: headers['ce_id'],
      source: headers['ce_source'],
      type: headers['ce_type'],
      time: headers['ce_time'],
      dataschema: headers['ce_dataschema'],
      sequence: headers['ce_sequence'],
    },
    data: () => (value ? parseObject(value) : undefined),
  };
}

/** Truncates the text to what a column can store. */
function shown(text: string): string {
  return storable(text.slice(0, 255)).toWellFormed();
}

/**
 * Explains why no inbox accepts the text as an id, a source or a type; undefined if it does. U+FFFD is rejected because bytes that
 * are not UTF-8 turn into it. Two different ids of such bytes would look the same, and the second would be dropped.
 */
export function attributeFlaw(text: string): string | undefined {
  if (/\p{Cc}/u.test(text)) return 'contains a control character';
  if (/[\p{Cs}\uFFFD]/u.test(text)) return 'is not Unicode text';
  return isTooLong(text) ? 'is longer than 255 characters' : undefined;
}

/** Reads a key as text. Decoding other bytes could turn different keys into the same text. */
function keyOf(key: Buffer | null): { readonly text: string; readonly flaw?: undefined } | { readonly flaw: string } {
  if (key === null) return { flaw: 'the record has no key' };
  if (!isUtf8(key)) return { flaw: 'the key is not UTF-8' };
  const text = key.toString();
  if (text.includes('\0')) return { flaw: 'the key contains a zero byte' };
  return isTooLong(text) ? { flaw: 'the key is longer than 255 characters' } : { text };
}

function hasTimestamp({ timestamp }: KafkaRecord): boolean {
  return timestamp.getTime() !== NO_TIMESTAMP;
}

const RFC_3339 =
  /^(?!0000)(\d{4}-\d\d-\d\d)[Tt ]([01]\d|2[0-3]):\d\d:\d\d(\.\d{1,20})?([Zz]|[+-]([01]\d|2[0-3]):\d\d)$/;

/**
 * Parses the event's time; undefined if it is missing or unusable, because the record's timestamp is then the best known time. It
 * accepts the same times as `timeIn` in `@twinbox/fields`, which this library does not import.
 */
function eventTime(time: string | undefined): Date | undefined {
  const day = RFC_3339.exec(time ?? '')?.[1];
  if (time === undefined || day === undefined || !isDay(day)) return undefined;
  const parsed = new Date(time.toUpperCase().replace(' ', 'T'));
  return parsed.getTime() >= EARLIEST_MS && parsed.getTime() <= LATEST_MS ? parsed : undefined;
}

/** Needed because Date accepts the 30th of February as the 2nd of March. */
function isDay(text: string): boolean {
  const day = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
}

function sequenceOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^-?\d{1,16}$/.test(text)) return undefined;
  const sequence = Number(text);
  return Number.isSafeInteger(sequence) ? sequence : undefined;
}

/** Extracts the version from `urn:event:<type>:<version>`. */
function versionOf(dataschema: string | undefined): number | undefined {
  const version = /^urn:event:.+:(\d{1,9})$/.exec(dataschema ?? '')?.[1];
  return version === undefined ? undefined : Number(version);
}

/** Leaves data of a version without an upcaster as it is. The contract then decides whether it is valid. */
function upcast(json: object, { version, upcasters = {} }: EventClass, from: number): object {
  let data = json;
  for (let n = from; n < version; n++) data = upcasters[n]?.(data) ?? data;
  return data;
}

function dataOf(json: object, eventClass: EventClass, version: number): { data?: object; broken?: string } {
  try {
    const data = plainToInstance(eventClass, upcast(json, eventClass, version));
    const errors = validateSync(data, { forbidUnknownValues: false });
    return errors.length === 0 ? { data } : { broken: errors.flatMap(constraintsOf).join('; ') };
  } catch (error) {
    // Both are recursive, even into fields that no class declares, so data may be nested too deeply for them.
    return { broken: describeError(error) };
  }
}

/** Returns the fields and the rules that they violate, never their values, because those may be personal data. */
function constraintsOf({ property, constraints, children }: ValidationError): string[] {
  const nested = (children ?? []).flatMap(constraintsOf).map((text) => `${property}.${text}`);
  return [...Object.values(constraints ?? {}), ...nested];
}
