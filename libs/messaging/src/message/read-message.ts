import { dataOf } from './event-data.js';
import { eventTime, NO_TIMESTAMP } from './event-time.js';
import { identityOf, keyOf, shownAttributes } from './identity.js';
import { hasTooManyFields } from './json-complexity.js';
import { type KafkaRecord, type Reading, type Unreadable } from './message.js';
import { type Envelope, parseObject, readStructured, structuredContentType } from './structured-mode.js';
import { traceIn } from '../tracing/trace-context.js';
import { type TopicContract } from './topic.js';
import { UNDECODABLE_BATCH } from './undecodable-batch.js';

/** Reads a record according to the topic's contract. Unknown fields in the data are allowed, because a newer publisher may send more. */
export function readMessage(record: KafkaRecord, contract: TopicContract): Reading {
  const contentType = structuredContentType(record.headers);
  const envelope = envelopeOf(record, contentType);
  const { attributes } = envelope;
  const unreadable = (reason: string, sound = false): Unreadable => ({
    readable: false,
    reason,
    sound,
    ...shownAttributes(attributes),
  });

  const flaw = record.headers[UNDECODABLE_BATCH] ?? envelope.flaw;
  if (flaw !== undefined) return unreadable(flaw);
  const identified = identityOf(attributes, contentType === undefined);
  if ('flaw' in identified) return unreadable(identified.flaw);
  const { type } = identified;
  const eventClass = Object.hasOwn(contract.events, type) ? contract.events[type] : undefined;
  if (!eventClass)
    return { ...unreadable(`the contract of ${contract.name} does not define the type`), unknownType: true };

  const key = keyOf(record.key);
  if (key.flaw !== undefined) return unreadable(key.flaw);
  if (record.value === null) return unreadable('the record has no value (a tombstone)');

  const json = envelope.data();
  if (!json)
    return unreadable(contentType ? 'the data is not a JSON object' : 'the value is not a JSON object in UTF-8');
  if (hasTooManyFields(record.value.length, () => json)) return unreadable('the data has too many fields', true);
  const { data, broken } = dataOf(json, eventClass, attributes.dataschema);
  if (!data) return unreadable(`the data violates its contract: ${broken?.slice(0, MAX_REASON)}`, true);

  const { topic, partition, offset } = record;
  const sequence = sequenceOf(attributes.sequence);
  const time = eventTime(attributes.time) ?? (isTimed(record) ? record.timestamp : new Date());
  return {
    readable: true,
    message: {
      ...identified,
      key: key.text,
      sequence,
      time,
      topic,
      partition,
      offset,
      trace: traceIn(record.headers),
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

function isTimed({ timestamp }: KafkaRecord): boolean {
  return timestamp.getTime() !== NO_TIMESTAMP;
}

function sequenceOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^-?\d{1,16}$/.test(text)) return undefined;
  const sequence = Number(text);
  return Number.isSafeInteger(sequence) ? sequence : undefined;
}
