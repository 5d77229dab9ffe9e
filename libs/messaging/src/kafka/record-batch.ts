import { decompress, isOutOfMemory, MAX_EXPANDED_BYTES } from './codecs.js';
import { BATCH_HEADER_BYTES, type BatchHeader, MAGIC_AT, readHeader } from './batch-header.js';
import { type FetchedRecord, undecodable } from './fetched-record.js';
import { readRecords } from './read-records.js';

/*
 * Reads the records of one partition from a fetch response. kafkajs's own decoder discards the whole response, with the records of
 * all other partitions, because of one batch that it cannot decode, and reads beyond the end of corrupt data.
 */

/** A batch with more records is not decoded, because as objects, tiny records take a hundred times their size. */
export const MAX_BATCH_RECORDS = 200_000;

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
const OLD_ENTRY_BYTES = 26;

/**
 * Decodes the batches of one partition. A batch that cannot be decoded, or exceeds the limits, is replaced by one record with the
 * offset of its last message, `UNDECODABLE_BATCH` as its header and the whole batch as its value. A truncated batch at the
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
  return readRecords(bytes, header);
}
