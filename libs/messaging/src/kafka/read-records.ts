import { type BatchHeader } from './batch-header.js';
import { type FetchedRecord, type HeaderValue, setHeader } from './fetched-record.js';
import { UNDECODABLE_BATCH } from '../message/undecodable-batch.js';

/** Reads the records of a batch from its decompressed bytes. @throws if they do not match the header */
export function readRecords(bytes: Buffer, header: BatchHeader): FetchedRecord[] {
  const reader = new RecordReader(bytes);
  const { count, lastOffsetDelta } = header;
  const records: FetchedRecord[] = [];
  let previous = -1;
  for (let n = 0; n < count; n++) {
    const end = reader.endOfNext();
    const attributes = reader.byte();
    const timestampDelta = reader.varlong();
    const offsetDelta = reader.varint();
    // A record at a wrong offset would cause other records to be skipped.
    if (offsetDelta <= previous || offsetDelta > lastOffsetDelta)
      throw new Error('the offsets of its messages are invalid');
    previous = offsetDelta;
    const key = reader.bytes();
    const value = reader.bytes();
    const headers = readHeaders(reader);
    if (reader.at !== end) throw new Error('the length of a message is invalid');
    records.push({
      magicByte: 2,
      attributes,
      timestamp: String(header.logAppendTime ? header.maxTimestamp : header.firstTimestamp + timestampDelta),
      offset: String(header.firstOffset + BigInt(offsetDelta)),
      key,
      value,
      headers,
      isControlRecord: header.isControlBatch,
      batchContext: header.context,
    });
  }
  if (!reader.done) throw new Error('there are extra bytes after the last message');
  return records;
}

function readHeaders(reader: RecordReader): NonNullable<FetchedRecord['headers']> {
  const headers: Record<string, HeaderValue | HeaderValue[]> = {};
  const count = reader.varint();
  if (count < 0) throw new Error('a message has a negative number of headers');
  for (let n = 0; n < count; n++) {
    const name = reader.name(n);
    if (name === null) throw new Error('a header has no name');
    const value = reader.bytes();
    if (name === UNDECODABLE_BATCH) continue;
    const earlier = Object.hasOwn(headers, name) ? headers[name] : undefined;
    // A record of one megabyte may have half a million headers with the same name.
    if (Array.isArray(earlier)) earlier.push(value);
    else setHeader(headers, name, earlier === undefined ? value : [earlier, value]);
  }
  return headers;
}

/** A record of one megabyte may have half a million headers. */
const MAX_NAMES = 100;

/** Reads record fields, and never beyond the end of the buffer. */
class RecordReader {
  at = 0;
  /** The latest header names by their place in the record. */
  private readonly names: { readonly text: string; readonly start: number; readonly end: number }[] = [];

  constructor(private readonly buffer: Buffer) {}

  get done(): boolean {
    return this.at === this.buffer.length;
  }

  byte(): number {
    const byte = this.buffer[this.at++];
    if (byte === undefined) throw new Error('it ends in the middle of a message');
    return byte;
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
    }
    throw new Error('a varint is too long');
  }

  varlong(): bigint {
    // Exact up to 53 bits.
    let low = 0;
    for (let shift = 0; shift < 49; shift += 7) {
      const byte = this.byte();
      low += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return BigInt(low % 2 === 0 ? low / 2 : -(low + 1) / 2);
    }
    let value = BigInt(low);
    for (let shift = 49n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
    }
    throw new Error('a varint is too long');
  }

  bytes(): Buffer | null {
    const length = this.varint();
    if (length === -1) return null;
    return this.buffer.subarray(this.at, (this.at = this.endOf(length)));
  }

  /** Reads the name of the `nth` header of a record. Most records of a batch have the same ones, which are decoded once. */
  name(nth: number): string | null {
    const length = this.varint();
    if (length === -1) return null;
    const start = this.at;
    this.at = this.endOf(length);
    const known = this.names[nth];
    if (known && known.end - known.start === length && this.isSame(known.start, start, length)) return known.text;
    const text = this.buffer.toString('utf8', start, this.at);
    if (nth < MAX_NAMES) this.names[nth] = { text, start, end: this.at };
    return text;
  }

  private isSame(one: number, other: number, length: number): boolean {
    for (let n = 0; n < length; n++) if (this.buffer[one + n] !== this.buffer[other + n]) return false;
    return true;
  }

  /** Reads the length of the next record and returns the position of its end. */
  endOfNext(): number {
    const length = this.varint();
    return this.endOf(length);
  }

  private endOf(length: number): number {
    const end = this.at + length;
    if (length < 0 || end > this.buffer.length) throw new Error('a length is invalid');
    return end;
  }
}
