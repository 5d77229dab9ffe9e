import { plainToInstance } from 'class-transformer';
import { validateSync, type ValidationError } from 'class-validator';
import { describeError } from './errors.js';
import { type EventClass, type TopicContract } from './topic.js';

/** A record as it lies on the topic. Header values are UTF-8 text; the last one counts where a name stands twice. */
export interface KafkaRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly timestamp: Date;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** A message that was read: an event in its CloudEvents envelope (CloudEvents 1.0, Kafka binding 1.0.2, binary mode). */
export interface Message {
  readonly id: string;
  readonly type: string;
  readonly source: string;
  /** The aggregate's id: the Kafka key. */
  readonly key: string;
  /** The publishing aggregate's version: increases within a key, not contiguous. */
  readonly sequence: number | undefined;
  readonly time: Date;
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly data: object;
}

export type Reading = { readonly readable: true; readonly message: Message } | Unreadable;

/** Nothing that could ever be handled as it is. */
export interface Unreadable {
  readonly readable: false;
  readonly reason: string;
  /** `id`, `type` and `source`: where at least the headers could be read, cut to what a column holds. */
  readonly id?: string;
  readonly type?: string;
  readonly source?: string;
  /** Only the data breaks the contract: the message is known by its id and source, and has its place in its key. */
  readonly sound: boolean;
}

/** A row of the outbox, as the relay reads it. */
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
  /** How many more the reading had found, and left because of their size. */
  readonly rest?: string;
}

export interface OutgoingRecord {
  readonly key: string;
  readonly value: string;
  /** Milliseconds since the epoch, as kafkajs wants it: the event's time (`ce_time`). */
  readonly timestamp: string;
  readonly headers: Record<string, string>;
}

/** Binary mode: the envelope in headers, the data as the value. `ce_subject` is the key and `ce_time` the timestamp. */
export function toRecord(row: OutboxRow, source: string): OutgoingRecord {
  return {
    key: row.aggregateid,
    value: row.payload,
    timestamp: row.timestamp,
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
}

/** An aggregate's id, in an index of the inbox. */
const MAX_KEY_BYTES = 255;

/** Reads a record by the topic's contract. Unknown fields in the data are let through: a newer publisher may send more. */
export function readMessage(record: KafkaRecord, contract: TopicContract): Reading {
  const { ce_id: id, ce_type: type, ce_source: source, ce_specversion: specversion } = record.headers;
  // As far as a table can hold it: text has no zero byte there.
  const shown = (text: string): string => text.replaceAll('\0', '').slice(0, 255);
  const found = {
    ...(id !== undefined && { id: shown(id) }),
    ...(type !== undefined && { type: shown(type) }),
    ...(source !== undefined && { source: shown(source) }),
  };
  const unreadable = (reason: string, sound = false): Unreadable => ({ readable: false, reason, sound, ...found });

  const missing = Object.entries({ ce_id: id, ce_type: type, ce_source: source, ce_specversion: specversion })
    .filter(([, value]) => value === undefined || value === '')
    .map(([name]) => name);
  if (!id || !type || !source || missing.length > 0) return unreadable(`header missing: ${missing.join(', ')}`);
  if (specversion !== '1.0') return unreadable(`ce_specversion is not 1.0`);
  if (/\p{Cc}/u.test(id + type + source)) return unreadable('a header has a control character');
  if (id.length > 255) return unreadable('ce_id is longer than 255 characters');
  if (source.length > 255) return unreadable('ce_source is longer than 255 characters');
  if (record.key === null) return unreadable('the record has no key');
  if (record.key.length > MAX_KEY_BYTES) return unreadable(`the key is longer than ${MAX_KEY_BYTES} bytes`);
  if (record.value === null) return unreadable('the record has no value (a tombstone)');

  const eventClass = Object.hasOwn(contract.events, type) ? contract.events[type] : undefined;
  if (eventClass === undefined) return unreadable(`no contract of ${contract.name} names the type`);

  const json = parseObject(record.value);
  if (json === undefined) return unreadable('the value is not a JSON object in UTF-8');
  const { data, broken } = dataOf(json, eventClass, versionOf(record.headers['ce_dataschema']) ?? eventClass.version);
  if (!data) return unreadable(`the data breaks its contract: ${broken}`, true);

  const sequence = Number(record.headers['ce_sequence'] ?? Number.NaN);
  return {
    readable: true,
    message: {
      id,
      type,
      source,
      key: record.key.toString(),
      sequence: Number.isSafeInteger(sequence) ? sequence : undefined,
      time: record.timestamp,
      topic: record.topic,
      partition: record.partition,
      offset: record.offset,
      data,
    },
  };
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function parseObject(bytes: Buffer): object | undefined {
  try {
    const json: unknown = JSON.parse(utf8.decode(bytes));
    return typeof json === 'object' && json !== null && !Array.isArray(json) ? json : undefined;
  } catch {
    return undefined;
  }
}

/** The version at the end of `urn:event:<type>:<version>`. */
function versionOf(dataschema: string | undefined): number | undefined {
  const version = /^urn:event:.+:(\d{1,9})$/.exec(dataschema ?? '')?.[1];
  return version === undefined ? undefined : Number(version);
}

/** Data of a version that no upcaster starts from is left as it is: whether it will do, its contract says. */
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
    // Both descend by recursion, into fields that no class names too: data may be nested too deeply for them.
    return { broken: describeError(error) };
  }
}

/** Names the fields and the rules they break, never their values: these may be personal. */
function constraintsOf({ property, constraints, children }: ValidationError): string[] {
  const nested = (children ?? []).flatMap(constraintsOf).map((text) => `${property}.${text}`);
  return [...Object.values(constraints ?? {}), ...nested];
}
