import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { gzip, type InputType, zstdCompress } from 'node:zlib';
// @ts-expect-error -- kafkajs has no types for its inner parts
import crc32C from 'kafkajs/src/protocol/recordBatch/crc32C/index.js';
import lz4 from 'lz4-napi';
import snappy from 'snappy';
import { until } from '#src/testing/until.js';

/** The codec numbers in a batch's attributes. */
export const CODEC = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const;

const COMPRESS: Readonly<Record<number, (bytes: Buffer) => Promise<Buffer>>> = {
  0: (bytes) => Promise.resolve(bytes),
  1: (bytes) => promisify<InputType, Buffer>(gzip)(bytes),
  2: (bytes) => snappy.compress(bytes),
  3: (bytes) => lz4.compressFrame(bytes),
  4: (bytes) => promisify<InputType, Buffer>(zstdCompress)(bytes),
};

export const compress = async (codec: number, bytes: Buffer): Promise<Buffer> =>
  (await COMPRESS[codec]?.(bytes)) ?? bytes;

export interface BatchRecord {
  readonly key?: Buffer | string | null;
  readonly value?: Buffer | string | null;
  readonly headers?: readonly (readonly [string, Buffer | string | null])[];
  readonly offsetDelta?: number;
  readonly timestampDelta?: bigint;
}

export interface BatchFields {
  readonly firstOffset?: bigint;
  readonly magic?: number;
  readonly attributes?: number;
  readonly lastOffsetDelta?: number;
  readonly firstTimestamp?: bigint;
  readonly maxTimestamp?: bigint;
  readonly producerId?: bigint;
  readonly count?: number;
}

/** Returns a batch of `count` records with a valid checksum. `payload` holds the records and may be compressed. */
export function batchOf(payload: Buffer, fields: BatchFields & { readonly count: number }): Buffer {
  const batch = Buffer.alloc(61 + payload.length);
  batch.writeBigInt64BE(fields.firstOffset ?? 0n, 0);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt8(fields.magic ?? 2, 16);
  batch.writeInt16BE(fields.attributes ?? 0, 21);
  batch.writeInt32BE(fields.lastOffsetDelta ?? fields.count - 1, 23);
  const now = BigInt(Date.now());
  batch.writeBigInt64BE(fields.firstTimestamp ?? now, 27);
  batch.writeBigInt64BE(fields.maxTimestamp ?? fields.firstTimestamp ?? now, 35);
  batch.writeBigInt64BE(fields.producerId ?? -1n, 43);
  batch.writeInt16BE(-1, 51);
  batch.writeInt32BE(-1, 53);
  batch.writeInt32BE(fields.count, 57);
  payload.copy(batch, 61);
  batch.writeUInt32BE((crc32C as (bytes: Buffer) => number)(batch.subarray(21)), 17);
  return batch;
}

/** Encodes the records of a batch, uncompressed. */
export function recordsOf(records: readonly BatchRecord[]): Buffer {
  return Buffer.concat(
    records.map(({ key = null, value = null, headers = [], offsetDelta, timestampDelta = 0n }, n) => {
      const body = Buffer.concat([
        Buffer.of(0),
        varint(timestampDelta),
        varint(BigInt(offsetDelta ?? n)),
        sized(key),
        sized(value),
        varint(BigInt(headers.length)),
        ...headers.flatMap(([name, header]) => [sized(name), sized(header)]),
      ]);
      return Buffer.concat([varint(BigInt(body.length)), body]);
    }),
  );
}

export async function recordBatch(
  records: readonly BatchRecord[],
  codec = 0,
  fields: BatchFields = {},
): Promise<Buffer> {
  const payload = await compress(codec, recordsOf(records));
  return batchOf(payload, { count: records.length, attributes: codec, ...fields });
}

function sized(bytes: Buffer | string | null): Buffer {
  if (bytes === null) return varint(-1n);
  const buffer = Buffer.from(bytes);
  return Buffer.concat([varint(BigInt(buffer.length)), buffer]);
}

function varint(value: bigint): Buffer {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  const bytes: number[] = [];
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}

/** Returns a message of the test event `Counted` as a record. */
export function countedRecord(n: number, key = 'a', id: string = randomUUID()): BatchRecord {
  const headers = Object.entries({ ce_specversion: '1.0', ce_id: id, ce_type: 'Counted', ce_source: '/test' });
  return { key, value: JSON.stringify({ n }), headers };
}

/** Sends a batch to a broker unchanged, even if no client would write it. The broker sets its offset, and may reject it. */
export async function produceBatch(broker: string, topic: string, partition: number, batch: Buffer): Promise<void> {
  const text = (value: string) => Buffer.concat([int16(value.length), Buffer.from(value)]);
  // Produce, in the first version that supports zstd
  const request = Buffer.concat([
    int16(0),
    int16(7),
    int32(1),
    text('test'),
    int16(-1),
    int16(-1),
    int32(30_000),
    int32(1),
    text(topic),
    int32(1),
    int32(partition),
    int32(batch.length),
    batch,
  ]);
  const [host = '', port] = broker.split(':');
  const error = await until(`${topic}/${partition} has a leader`, async () => {
    const socket = connect(Number(port), host);
    try {
      await once(socket, 'connect');
      socket.write(Buffer.concat([int32(request.length), request]));
      let answer = Buffer.alloc(0);
      for await (const chunk of socket) {
        answer = Buffer.concat([answer, chunk as Buffer]);
        if (answer.length >= 4 && answer.length >= 4 + answer.readInt32BE(0)) break;
      }
      // Length, correlation, topics, name, partitions, partition
      const code = answer.readInt16BE(4 + 4 + 4 + 2 + topic.length + 4 + 4);
      return ![3, 5, 6].includes(code) && { code };
    } finally {
      socket.destroy();
    }
  });
  if (error.code !== 0) throw new Error(`Kafka rejected the batch with error ${error.code}`);
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
