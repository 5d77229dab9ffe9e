export const MAGIC_AT = 16;
export const BATCH_HEADER_BYTES = 61;

/** Where a batch is, and how much it contains. */
export interface BatchExtent {
  readonly firstOffset: bigint;
  readonly lastOffset: bigint;
  readonly count: number;
  readonly maxTimestamp: bigint;
  readonly context: object;
}

export interface BatchHeader extends BatchExtent {
  readonly magic: number;
  readonly codec: number;
  readonly lastOffsetDelta: number;
  readonly firstTimestamp: bigint;
  /** Whether the broker's time, one for the whole batch, replaces the producer's. */
  readonly logAppendTime: boolean;
  readonly isControlBatch: boolean;
}

/** https://kafka.apache.org/documentation/#recordbatch */
export function readHeader(entry: Buffer): BatchHeader {
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
