import { NO_TIMESTAMP } from '../message/event-time.js';
import { type OutboxRow } from '../message/message.js';
import { BATCH_HEADER_BYTES, MAGIC_AT } from './batch-header.js';
import { crc32c } from './crc32c.js';
import { type RecordHeaders, TRACEPARENT, TRACESTATE } from './record-headers.js';
import { type RequestBuffer } from './request-buffer.js';
import { MAX_VARINT_BYTES, sizeOfVarint, writeVarint } from './varint.js';

/** How the rows of a batch become records. */
export interface RecordFormat {
  readonly headers: RecordHeaders;
  /** Whether the records have timestamps. Otherwise the event's time is a header, `ce_time`. */
  readonly timed: boolean;
  /** The timestamp of records that are not `timed`. Default: none. */
  readonly recordTime?: number | undefined;
}

/** The producer and sequence fields of an idempotent batch. */
export interface BatchSequence {
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly firstSequence: number;
}

const LENGTH_AT = 8;
const CHECKSUM_AT = 17;
const CHECKED_FROM = 21;
/** The largest UTF-8 size of a UTF-16 code unit. */
const MAX_BYTES_PER_UNIT = 3;
/** The sizes of a UUID, a time and the largest sequence, and of the numbers in a record. */
const REST_BYTES = 36 + 24 + 20 + 8 * MAX_VARINT_BYTES;

/** Estimates the buffer size that the rows need. It is enough unless much of their text is not ASCII. */
export function estimatedBytes(rows: readonly OutboxRow[], { headers }: RecordFormat): number {
  const rest = REST_BYTES + (headers.beforeId[0]?.length ?? 0) + headers.beforeTime.length;
  let [bytes, largest] = [BATCH_HEADER_BYTES, 0];
  for (const row of rows) {
    const { aggregateid, type, dataschema, payload } = row;
    const text = aggregateid.length + payload.length;
    bytes += text + headers.betweenIdAndSequence(type, dataschema).length + sizeOfTrace(row) + rest;
    if (text > largest) largest = text;
  }
  return bytes + MAX_BYTES_PER_UNIT * largest;
}

/** Writes the rows as one uncompressed record batch of format 2: https://kafka.apache.org/documentation/#recordbatch */
export function writeBatch(
  out: RequestBuffer,
  rows: readonly OutboxRow[],
  format: RecordFormat,
  { producerId, producerEpoch, firstSequence }: BatchSequence,
): void {
  const start = out.skip(BATCH_HEADER_BYTES);
  const { first, last } = format.timed ? range(rows) : untimed(format);
  for (const [n, row] of rows.entries())
    writeRecord(out, row, n, format.timed ? Number(row.timestamp) - first : 0, format);
  const batch = out.from(start);
  batch.fill(0, 0, BATCH_HEADER_BYTES);
  batch.writeInt32BE(batch.length - LENGTH_AT - 4, LENGTH_AT);
  batch.writeInt8(2, MAGIC_AT);
  batch.writeInt32BE(rows.length - 1, 23);
  batch.writeBigInt64BE(BigInt(first), 27);
  batch.writeBigInt64BE(BigInt(last), 35);
  batch.writeBigInt64BE(producerId, 43);
  batch.writeInt16BE(producerEpoch, 51);
  batch.writeInt32BE(firstSequence, 53);
  batch.writeInt32BE(rows.length, 57);
  batch.writeUInt32BE(crc32c(batch.subarray(CHECKED_FROM)), CHECKSUM_AT);
}

function untimed({ recordTime = NO_TIMESTAMP }: RecordFormat): { first: number; last: number } {
  return { first: recordTime, last: recordTime };
}

/** Returns the earliest and the latest time of the rows. */
function range(rows: readonly OutboxRow[]): { first: number; last: number } {
  let [first, last] = [Infinity, -Infinity];
  for (const { timestamp } of rows) {
    const time = Number(timestamp);
    if (time < first) first = time;
    if (time > last) last = time;
  }
  return { first, last };
}

/**
 * Writes a record. The sizes of key and value come before their text. Counting the bytes of a text takes longer than writing it, so
 * both are assumed to be ASCII, and the record is written again if they are not.
 */
function writeRecord(
  out: RequestBuffer,
  row: OutboxRow,
  offsetDelta: number,
  timestampDelta: number,
  format: RecordFormat,
  keyBytes = row.aggregateid.length,
  valueBytes = row.payload.length,
): void {
  const { id, aggregateid: key, payload: value, sequence } = row;
  const { headers, timed } = format;
  const time = timed ? '' : new Date(Number(row.timestamp)).toISOString();
  const beforeId = headers.beforeId[(timed ? 0 : 1) + traceHeaders(row)] as Buffer;
  const between = headers.betweenIdAndSequence(row.type, row.dataschema);
  const end = timed ? headers.afterSequence : headers.beforeTime;
  const size =
    1 +
    sizeOfVarint(timestampDelta) +
    sizeOfVarint(offsetDelta) +
    sizeOfText(keyBytes) +
    sizeOfText(valueBytes) +
    beforeId.length +
    sizeOfText(id.length) +
    between.length +
    sizeOfText(sequence.length) +
    end.length +
    (timed ? 0 : sizeOfText(time.length)) +
    sizeOfTrace(row);
  out.reserve(MAX_VARINT_BYTES + size + MAX_BYTES_PER_UNIT * (key.length + value.length));

  const { bytes } = out;
  let at = writeVarint(bytes, out.at, size);
  bytes[at++] = 0;
  at = writeVarint(bytes, at, timestampDelta);
  at = writeVarint(bytes, at, offsetDelta);
  at = writeVarint(bytes, at, keyBytes);
  const writtenKey = bytes.write(key, at);
  at = writeVarint(bytes, at + keyBytes, valueBytes);
  const writtenValue = bytes.write(value, at);
  if (writtenKey !== keyBytes || writtenValue !== valueBytes) {
    writeRecord(out, row, offsetDelta, timestampDelta, format, writtenKey, writtenValue);
    return;
  }
  at += valueBytes + beforeId.copy(bytes, at + valueBytes);
  at = writeAscii(bytes, at, id);
  at += between.copy(bytes, at);
  at = writeAscii(bytes, at, sequence);
  at += end.copy(bytes, at);
  if (!timed) at = writeAscii(bytes, at, time);
  out.at = writeTrace(bytes, at, row);
}

/** How many headers a row's trace context has. */
function traceHeaders({ traceparent, tracestate }: OutboxRow): number {
  if (!traceparent) return 0;
  return tracestate ? 2 : 1;
}

/** The size of the headers `traceparent` and `tracestate`. Both are ASCII (https://www.w3.org/TR/trace-context). */
function sizeOfTrace({ traceparent, tracestate }: OutboxRow): number {
  if (!traceparent) return 0;
  const parent = TRACEPARENT.length + sizeOfText(traceparent.length);
  return tracestate ? parent + TRACESTATE.length + sizeOfText(tracestate.length) : parent;
}

function writeTrace(bytes: Buffer, start: number, { traceparent, tracestate }: OutboxRow): number {
  if (!traceparent) return start;
  const at = writeAscii(bytes, start + TRACEPARENT.copy(bytes, start), traceparent);
  return tracestate ? writeAscii(bytes, at + TRACESTATE.copy(bytes, at), tracestate) : at;
}

const sizeOfText = (bytes: number) => sizeOfVarint(bytes) + bytes;

/** Writes a text with its length, and returns the position after it. */
function writeAscii(bytes: Buffer, at: number, text: string): number {
  const start = writeVarint(bytes, at, text.length);
  return start + bytes.write(text, start, 'latin1');
}
