import { type BatchExtent } from './batch-header.js';
import { describeError } from '../errors.js';
import { UNDECODABLE_BATCH } from '../message/undecodable-batch.js';

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

export type HeaderValue = Buffer | null;

/** Sets a header, which may be called `__proto__`. An object without a prototype would take several times as long to make and to read. */
export function setHeader<Value>(headers: Record<string, Value>, name: string, value: Value): void {
  if (name !== '__proto__') headers[name] = value;
  else Object.defineProperty(headers, name, { value, enumerable: true, configurable: true, writable: true });
}

/** The largest undecodable batch that is stored. */
const MAX_STORED_BYTES = 16 * 1024 * 1024;
/** The latest time that PostgreSQL and JavaScript both accept in its common form. */
const LAST_TIMESTAMP = BigInt(Date.UTC(9999, 11, 31));

/** Returns the placeholder of a batch that cannot be decoded. */
export function undecodable(entry: Buffer, extent: BatchExtent, error: unknown): FetchedRecord {
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
