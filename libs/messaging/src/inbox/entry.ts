import { type MessageRef } from './inbox-store.js';
import { type KafkaRecord, type Reading } from '../message/message.js';

/** A record of a batch, with its parsed message. */
export interface Entry {
  readonly record: KafkaRecord;
  readonly reading: Reading;
  /** An unreadable message may have no id. The inbox never contains an empty id, so it matches nothing. */
  readonly ref: MessageRef;
}

export function entryOf(record: KafkaRecord, reading: Reading): Entry {
  return { record, reading, ref: refOf(reading) };
}

function refOf(reading: Reading): MessageRef {
  if (reading.readable) return { id: reading.message.id, source: reading.message.source };
  return reading.sound ? { id: reading.id ?? '', source: reading.source ?? '' } : { id: '', source: '' };
}

/** Returns a text that is the same for all copies of a message, and different for different messages. */
export function nameOfMessage({ id, source }: MessageRef): string {
  return `${source}\n${id}`;
}

/** Returns the record's key, byte by byte, as a text to group by. */
export function groupingKeyOf({ key }: KafkaRecord): string | undefined {
  return key?.toString('latin1');
}
