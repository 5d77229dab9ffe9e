import { decompress, isOutOfMemory, MAX_EXPANDED_BYTES } from './codecs.js';
import { describeError } from '../errors.js';

/*
 * Reads the records of one partition from a fetch response. kafkajs's own decoder discards the whole response, with the records of
 * all other partitions, because of one batch that it cannot decode, and reads beyond the end of corrupt data.
 */

/** A record in the form that kafkajs's consumer expects. */
export interface FetchedRecord {
  readonly offset: string;
  /** Milliseconds since the epoch. */
  readonly timestamp: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** A name that occurs several times has all of its values. */
  readonly headers?: Readonly<Record<string, HeaderValue | HeaderValue[]>>;
  readonly attributes: number;
  readonly magicByte?: number;
  readonly isControlRecord?: boolean;
  /** What kafkajs uses to filter out the records of aborted transactions. */
  readonly batchContext?: object;
}
type HeaderValue = Buffer | null;

/**
 * The header that marks a record as a placeholder for an undecodable batch. Its value is the reason. A producer cannot set it,
 * because a header with this name is dropped when a record is read.
 */
export const UNDECODABLE_BATCH = 'twinbox_undecodable_batch';

/** A batch with more records is not decoded, because as objects, tiny records take a hundred times their size. */
export const MAX_BATCH_RECORDS = 200_000;
/** The largest undecodable batch that is stored. */
const MAX_STORED_BYTES = 16 * 1024 * 1024;

/** Limits what the batches of one response may expand to. When it is used up, the rest of each partition is left for the next fetch. */
export class FetchBudget {
  constructor(
    private bytes = MAX_EXPANDED_BYTES,
    private records = MAX_BATCH_RECORDS,
  ) {}

  get usedUp(): boolean {
    return this.bytes <= 0 || this.records <= 0;
  }

  expanded(bytes: number): void {
    this.bytes -= bytes;
  }

  decoded(records: number): void {
    this.records -= records;
  }
}

/** Decodes one entry in a message format before Kafka 0.11. */
export type OldEntryDecoder = (entry: Buffer) => Promise<FetchedRecord[]>;

/** The size of the prefix of an entry in any format: the base offset, and the length of what follows. */
const PREFIX_BYTES = 12;
const MAGIC_AT = 16;
const BATCH_HEADER_BYTES = 61;
const OLD_ENTRY_BYTES = 26;

/**
 * Decodes the batches of one partition. A batch that cannot be decoded, or exceeds the limits, is replaced by one record with the
 * offset of its last message, {@link UNDECODABLE_BATCH} as its header and the whole batch as its value. A truncated batch at the
 * end is left for the next fetch.
 *
 * @throws if the bytes are not batches at all, so that nothing shows where the next one starts
 */
export async function decodeRecords(
  bytes: Buffer,
  budget: FetchBudget,
  decodeOldEntry: OldEntryDecoder,
): Promise<FetchedRecord[]> {
  const all: FetchedRecord[][] = [];
  // The first batch is always decoded, so that every partition makes progress.
  for (let at = 0; at + OLD_ENTRY_BYTES <= bytes.length && (at === 0 || !budget.usedUp);) {
    const magic = bytes.readUInt8(at + MAGIC_AT);
    const size = PREFIX_BYTES + bytes.readInt32BE(at + 8);
    if (size < (magic < 2 ? OLD_ENTRY_BYTES : BATCH_HEADER_BYTES)) {
      // The batches before it are handled first.
      if (at > 0) break;
      throw new Error(`the batch at offset ${bytes.readBigInt64BE(at)} has an impossible length`);
    }
    if (at + size > bytes.length) break;
    const entry = bytes.subarray(at, at + size);
    all.push(magic < 2 ? await oldEntry(entry, decodeOldEntry) : await batch(entry, budget));
    at += size;
  }
  const [only] = all;
  return only && all.length === 1 ? only : all.flat();
}

async function batch(entry: Buffer, budget: FetchBudget): Promise<FetchedRecord[]> {
  const header = readHeader(entry);
  try {
    const records = await decodeBatch(entry, header, budget);
    budget.decoded(records.length);
    return records;
  } catch (error) {
    if (isOutOfMemory(error)) throw error;
    return [undecodable(entry, header, error)];
  }
}

async function oldEntry(entry: Buffer, decode: OldEntryDecoder): Promise<FetchedRecord[]> {
  const offset = entry.readBigInt64BE(0);
  // The offset of the last message, even in a compressed entry.
  const header = { firstOffset: offset, lastOffset: offset, count: 1, maxTimestamp: 0n, context: {} };
  try {
    const records = await decode(entry);
    if (records.length === 0) throw new Error('it is incomplete');
    return records.map((record) => ({ ...record, batchContext: {} }));
  } catch (error) {
    if (isOutOfMemory(error)) throw error;
    return [undecodable(entry, header, error)];
  }
}

interface BatchExtent {
  readonly firstOffset: bigint;
  readonly lastOffset: bigint;
  readonly count: number;
  readonly maxTimestamp: bigint;
  readonly context: object;
}

interface BatchHeader extends BatchExtent {
  readonly magic: number;
  readonly codec: number;
  readonly lastOffsetDelta: number;
  readonly firstTimestamp: bigint;
  /** Whether the broker's time, one for the whole batch, replaces the producer's. */
  readonly logAppendTime: boolean;
  readonly isControlBatch: boolean;
}

/** https://kafka.apache.org/documentation/#recordbatch */
function readHeader(entry: Buffer): BatchHeader {
  const firstOffset = entry.readBigInt64BE(0);
  const magic = entry.readInt8(MAGIC_AT);
  const attributes = entry.readInt16BE(21);
  // Only the beginning of a later format is known.
  const lastOffsetDelta = magic === 2 ? Math.max(0, entry.readInt32BE(23)) : 0;
  const firstTimestamp = entry.readBigInt64BE(27);
  const maxTimestamp = entry.readBigInt64BE(35);
  const isControlBatch = (attributes & 0x20) !== 0;
  return {
    firstOffset,
    lastOffset: firstOffset + BigInt(lastOffsetDelta),
    lastOffsetDelta,
    count: entry.readInt32BE(57),
    magic,
    codec: attributes & 0x07,
    firstTimestamp,
    maxTimestamp,
    logAppendTime: (attributes & 0x08) !== 0,
    isControlBatch,
    context: {
      firstOffset: String(firstOffset),
      firstTimestamp: String(firstTimestamp),
      partitionLeaderEpoch: entry.readInt32BE(12),
      inTransaction: (attributes & 0x10) !== 0,
      isControlBatch,
      lastOffsetDelta,
      producerId: String(entry.readBigInt64BE(43)),
      producerEpoch: entry.readInt16BE(51),
      firstSequence: entry.readInt32BE(53),
      maxTimestamp: String(maxTimestamp),
      timestampType: (attributes & 0x08) >> 3,
      magicByte: magic,
    },
  };
}

async function decodeBatch(entry: Buffer, header: BatchHeader, budget: FetchBudget): Promise<FetchedRecord[]> {
  const { magic, codec, count, lastOffsetDelta } = header;
  if (magic !== 2) throw new Error(`unknown record format ${magic}`);
  if (count < 0 || count > lastOffsetDelta + 1) throw new Error(`its header claims ${count} messages`);
  if (count > MAX_BATCH_RECORDS) throw new Error(`it has more than ${MAX_BATCH_RECORDS} messages`);
  // Compaction has removed all records, including the compressed data.
  if (count === 0) return [];
  let bytes = entry.subarray(BATCH_HEADER_BYTES);
  if (codec !== 0) {
    bytes = await decompress(codec, bytes);
    budget.expanded(bytes.length);
  }
  return readRecords(new Reader(bytes), header);
}

function readRecords(reader: Reader, header: BatchHeader): FetchedRecord[] {
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

function readHeaders(reader: Reader): NonNullable<FetchedRecord['headers']> {
  // A header may be called __proto__.
  const headers = Object.create(null) as Record<string, HeaderValue | HeaderValue[]>;
  const count = reader.varint();
  if (count < 0) throw new Error('a message has a negative number of headers');
  for (let n = 0; n < count; n++) {
    const name = reader.bytes()?.toString();
    if (name === undefined) throw new Error('a header has no name');
    const value = reader.bytes();
    if (name === UNDECODABLE_BATCH) continue;
    const earlier = headers[name];
    // A record of one megabyte may have half a million headers with the same name.
    if (Array.isArray(earlier)) earlier.push(value);
    else headers[name] = earlier === undefined ? value : [earlier, value];
  }
  return headers;
}

/** Reads record fields, and never beyond the end of the buffer. */
class Reader {
  at = 0;

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

/** The latest time that PostgreSQL and JavaScript both accept in its common form. */
const LAST_TIMESTAMP = BigInt(Date.UTC(9999, 11, 31));

function undecodable(entry: Buffer, extent: BatchExtent, error: unknown): FetchedRecord {
  const { firstOffset, lastOffset, maxTimestamp, context } = extent;
  const offsets = firstOffset === lastOffset ? `offset ${firstOffset}` : `offsets ${firstOffset}–${lastOffset}`;
  const count = extent.count > 0 ? extent.count : lastOffset - firstOffset + 1n;
  const isStored = entry.length <= MAX_STORED_BYTES;
  const reason = `cannot decode the batch at ${offsets} (${count} messages): ${describeError(error)}`;
  return {
    // The partition continues after it.
    offset: String(lastOffset),
    timestamp: String(maxTimestamp >= 0n && maxTimestamp <= LAST_TIMESTAMP ? maxTimestamp : 0n),
    attributes: 0,
    key: null,
    value: isStored ? entry : null,
    headers: {
      [UNDECODABLE_BATCH]: Buffer.from(isStored ? reason : `${reason}. Its ${entry.length} bytes are not stored`),
    },
    isControlRecord: false,
    batchContext: context,
  };
}
