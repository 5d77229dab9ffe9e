import { promisify } from 'node:util';
import { type InputType, unzip, type ZlibOptions, zstdDecompress } from 'node:zlib';
import lz4 from 'lz4-napi';
import snappy from 'snappy';

/*
 * The codecs with which Kafka's producers and brokers compress batches. Each one stops at a limit, because a few kilobytes may
 * expand to gigabytes and the size in a header may be wrong.
 */

/** The largest decompressed size of a batch, in bytes. By default a broker accepts 1 MB of compressed records. */
export const MAX_EXPANDED_BYTES = 64 * 1024 * 1024;

/**
 * Decompresses the records of a batch. `codec` is the number in the batch's attributes.
 * @throws if the codec is unknown, the data is corrupt or incomplete, or it would expand to more than `limit` bytes
 */
export async function decompress(codec: number, bytes: Buffer, limit = MAX_EXPANDED_BYTES): Promise<Buffer> {
  const found = CODECS.get(codec);
  if (!found) throw new Error(`unknown compression codec ${codec}`);
  try {
    return await found.decompress(bytes, limit);
  } catch (error) {
    if (isOutOfMemory(error)) throw error;
    throw new Error(`${found.name} decompression failed`, { cause: error });
  }
}

/** Whether this process ran out of memory, which says nothing about the data. */
export function isOutOfMemory(error: unknown): boolean {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return (
    /Z_MEM_ERROR|memory_allocation|MEMORY_ALLOCATION/.test(code) || /allocation failed|out of memory/i.test(message)
  );
}

interface Codec {
  readonly name: string;
  decompress(bytes: Buffer, limit: number): Promise<Buffer>;
}

/** https://kafka.apache.org/documentation/#recordbatch */
const CODECS: ReadonlyMap<number, Codec> = new Map([
  [1, { name: 'gzip', decompress: gunzip }],
  [2, { name: 'snappy', decompress: unsnappy }],
  [3, { name: 'lz4', decompress: unlz4 }],
  [4, { name: 'zstd', decompress: unzstd }],
]);

class TooLargeError extends Error {
  constructor(limit: number) {
    super(`expands to more than ${limit} bytes`);
  }
}

/** Replaces the error of node:zlib, which reports only what was left of the limit. */
function nameLimit(limit: number): (error: NodeJS.ErrnoException) => never {
  return (error) => {
    throw error.code === 'ERR_BUFFER_TOO_LARGE' ? new TooLargeError(limit) : error;
  };
}

/** Collects parts until they exceed the limit. */
class Parts {
  private readonly parts: Buffer[] = [];
  private length = 0;

  constructor(private readonly limit: number) {}

  /** @throws if that many more bytes would exceed the limit */
  expect(bytes: number): void {
    if (this.length + bytes > this.limit) throw new TooLargeError(this.limit);
  }

  get remaining(): number {
    return this.limit - this.length;
  }

  add(part: Buffer): void {
    this.expect(part.length);
    this.length += part.length;
    this.parts.push(part);
  }

  joined(): Buffer {
    const [first] = this.parts;
    return first && this.parts.length === 1 ? first : Buffer.concat(this.parts, this.length);
  }
}

// ---- gzip -----------------------------------------------------------------------------------------------------------------

async function gunzip(bytes: Buffer, limit: number): Promise<Buffer> {
  const inflate = promisify<InputType, ZlibOptions, Buffer>(unzip);
  return inflate(bytes, { maxOutputLength: limit }).catch(nameLimit(limit));
}

// ---- zstd -----------------------------------------------------------------------------------------------------------------

/** The result with the option `info`, which Node's types lack: the decompressed data, and how many bytes it was read from. */
type ZstdFrame = { readonly buffer: Buffer; readonly engine: { readonly bytesWritten: number } };

/** Loops over the frames, because Node decompresses only the first one and ignores the rest. */
async function unzstd(bytes: Buffer, limit: number): Promise<Buffer> {
  const inflate = promisify<InputType, object, unknown>(zstdDecompress);
  const parts = new Parts(limit);
  for (let at = 0; at < bytes.length || at === 0;) {
    const options = { info: true, maxOutputLength: Math.max(1, parts.remaining) };
    const frame = (await inflate(bytes.subarray(at), options).catch(nameLimit(limit))) as ZstdFrame;
    if (frame.engine.bytesWritten === 0) throw new Error('a frame is empty');
    parts.add(frame.buffer);
    at += frame.engine.bytesWritten;
  }
  return parts.joined();
}

// ---- snappy ---------------------------------------------------------------------------------------------------------------

/** Starts the framing of snappy-java, which Kafka's Java clients and brokers write. Versions and length-prefixed blocks follow. */
const XERIAL_MAGIC = Buffer.from('82534e4150505900', 'hex');
const XERIAL_HEADER_BYTES = 16;

/** Accepts one or several streams in the framing of snappy-java, and a bare block, which librdkafka may write. */
async function unsnappy(bytes: Buffer, limit: number): Promise<Buffer> {
  const parts = new Parts(limit);
  if (!isXerial(bytes, 0)) return unsnappyBlock(bytes, parts).then(() => parts.joined());
  for (let at = 0; at < bytes.length;) {
    if (isXerial(bytes, at)) {
      at += XERIAL_HEADER_BYTES;
      continue;
    }
    const length = at + 4 <= bytes.length ? bytes.readInt32BE(at) : -1;
    if (length < 0 || at + 4 + length > bytes.length) throw new Error('a block is incomplete');
    await unsnappyBlock(bytes.subarray(at + 4, at + 4 + length), parts);
    at += 4 + length;
  }
  return parts.joined();
}

function isXerial(bytes: Buffer, at: number): boolean {
  const magic = bytes.subarray(at, at + XERIAL_MAGIC.length);
  return at + XERIAL_HEADER_BYTES <= bytes.length && magic.equals(XERIAL_MAGIC);
}

async function unsnappyBlock(block: Buffer, parts: Parts): Promise<void> {
  // The decoder allocates exactly this many bytes up front, and writes no more.
  parts.expect(snappyLength(block));
  parts.add((await snappy.uncompress(block, { asBuffer: true })) as Buffer);
}

/** Reads the uncompressed length that a block starts with, a varint. */
function snappyLength(block: Buffer): number {
  let length = 0;
  for (let n = 0; n < 5; n++) {
    const byte = block[n];
    if (byte === undefined) break;
    length += (byte & 0x7f) * 2 ** (7 * n);
    if (byte < 0x80) return length;
  }
  throw new Error('a block has no length');
}

// ---- lz4 ------------------------------------------------------------------------------------------------------------------

const LZ4_MAGIC = 0x184d2204;
/** The lowest four bits may have any value. */
const LZ4_SKIPPABLE = 0x184d2a50;

/**
 * Decompresses one or several LZ4 frames. https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
 * The decoder has no limit of its own, so the blocks are measured before they are decompressed.
 */
async function unlz4(bytes: Buffer, limit: number): Promise<Buffer> {
  const parts = new Parts(limit);
  for (let at = 0; at < bytes.length || at === 0;) {
    const frame = measureLz4Frame(bytes.subarray(at), parts);
    if (!frame.skip) parts.add(await lz4.decompressFrame(bytes.subarray(at, at + frame.length)));
    at += frame.length;
  }
  return parts.joined();
}

function measureLz4Frame(bytes: Buffer, parts: Parts): { length: number; skip?: boolean } {
  const need = (length: number): number => {
    if (length > bytes.length) throw new Error('a frame is incomplete');
    return length;
  };
  need(8);
  const magic = bytes.readUInt32LE(0);
  if ((magic & ~0xf) === LZ4_SKIPPABLE) return { length: need(8 + bytes.readUInt32LE(4)), skip: true };
  if (magic !== LZ4_MAGIC) throw new Error('not a frame');
  const flags = bytes.readUInt8(4);
  const [blockChecksum, contentSize, contentChecksum, dictionaryId] = [0x10, 0x08, 0x04, 0x01].map(
    (flag) => (flags & flag) !== 0,
  );
  let at = 7 + (contentSize ? 8 : 0) + (dictionaryId ? 4 : 0);
  let expanded = 0;
  for (;;) {
    need(at + 4);
    const size = bytes.readUInt32LE(at);
    at += 4;
    if (size === 0) return { length: need(at + (contentChecksum ? 4 : 0)) };
    const isPlain = size >= 0x80000000;
    const end = need(at + (size % 0x80000000));
    expanded += isPlain ? end - at : lz4BlockLength(bytes, at, end);
    parts.expect(expanded);
    at = need(end + (blockChecksum ? 4 : 0));
  }
}

/** Computes the size that a block expands to. Each sequence is literals and a copy of earlier output; the last has no copy. */
function lz4BlockLength(bytes: Buffer, start: number, end: number): number {
  let at = start;
  let length = 0;
  const readLength = (nibble: number): number => {
    let total = nibble;
    if (nibble === 15)
      for (let byte = 255; byte === 255 && at < end;) {
        byte = bytes.readUInt8(at++);
        total += byte;
      }
    return total;
  };
  while (at < end) {
    const token = bytes.readUInt8(at++);
    const literals = readLength(token >> 4);
    at += literals;
    length += literals;
    if (at >= end) break;
    at += 2;
    length += readLength(token & 0xf) + 4;
  }
  return length;
}
