import { createRequire } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
// @ts-expect-error -- kafkajs has no types for its internals
import Encoder from 'kafkajs/src/protocol/encoder.js';
// @ts-expect-error -- kafkajs has no types for its internals
import Decoder from 'kafkajs/src/protocol/decoder.js';
// @ts-expect-error -- kafkajs has no types for its internals
import compression from 'kafkajs/src/protocol/message/compression/index.js';
// @ts-expect-error -- kafkajs has no types for its internals
import decodeMessageSet from 'kafkajs/src/protocol/messageSet/decoder.js';
// @ts-expect-error -- kafkajs has no types for its internals
import fetchRequests from 'kafkajs/src/protocol/requests/fetch/index.js';
import { decompress, isOutOfMemory } from './codecs.js';
import { describeError } from '../errors.js';
import { type FetchedRecord } from './fetched-record.js';
import { patchClock } from './kafkajs-clock.js';
import { patchConnect } from './kafkajs-connect.js';
import { type EncodedRequest, patchProduceRequests } from './kafkajs-produce.js';
import { decodeRecords, FetchBudget } from './record-batch.js';

/** The patches reach into internals that another version may have changed or fixed. */
const PATCHED_VERSION = '2.2.4';

let isPatched = false;

/** Patches costly or harmful behaviours of kafkajs 2.2.4, which is no longer maintained, in the whole process. Once is enough. */
export function patchKafkajs(version = installedVersion()): void {
  if (version !== PATCHED_VERSION)
    throw new Error(`The kafkajs patches are for version ${PATCHED_VERSION}, but ${version} is installed`);
  // A second patch would wrap the first one.
  if (isPatched) return;
  isPatched = true;
  patchConnect();
  patchClock();
  patchEncoder();
  patchCodecs();
  patchFetchDecoding();
  patchProduceRequests();
}

function installedVersion(): string {
  return (createRequire(import.meta.url)('kafkajs/package.json') as { version: string }).version;
}

/**
 * kafkajs 2.2.4 encodes every header, key and value into its own buffer of 512 zeroed bytes outside of V8's heap. A relay that
 * drained a backlog allocated 10 kB of them for each message. With the patch, buffers start small and grow within Node's pool of
 * small buffers.
 */
interface EncoderClass {
  nextPowerOfTwo(value: number): number;
  prototype: {
    buf: Buffer;
    offset: number;
    /** The bytes written so far. */
    readonly buffer: Buffer;
    /** How many bytes in front of {@link buffer} are free. */
    headroom?: number;
    ensureAvailable: (this: EncoderClass['prototype'], length: number) => void;
    writeEncoder: (this: EncoderClass['prototype'], value: EncodedRequest) => EncoderClass['prototype'];
  };
}
/** The size that an encoder is created with if none is given. */
const DEFAULT_SIZE = 511;

function patchEncoder(): void {
  const encoderClass = Encoder as EncoderClass;
  const nextPowerOfTwo = encoderClass.nextPowerOfTwo.bind(encoderClass);
  encoderClass.nextPowerOfTwo = (size) => (size === DEFAULT_SIZE ? 64 : nextPowerOfTwo(size));
  encoderClass.prototype.ensureAvailable = function (length) {
    const needed = this.offset + length;
    if (needed <= this.buf.length) return;
    const larger = Buffer.allocUnsafe(nextPowerOfTwo(needed));
    this.buf.copy(larger, 0, 0, this.offset);
    this.buf = larger;
  };
  patchFraming(encoderClass.prototype);
}

/**
 * kafkajs 2.2.4 copies a request twice into larger buffers, to put its header and its length in front. With the patch, they are
 * written into the free space in front of it, if there is any.
 */
function patchFraming(encoder: EncoderClass['prototype']): void {
  const { writeEncoder } = encoder;
  encoder.writeEncoder = function (value) {
    const { headroom = 0 } = value;
    if (headroom < this.offset || headroom === 0) return writeEncoder.call(this, value);
    const { buffer, byteOffset, length } = value.buffer;
    const whole = Buffer.from(buffer, byteOffset - this.offset, this.offset + length);
    this.buffer.copy(whole);
    this.headroom = headroom - this.offset;
    this.buf = whole;
    this.offset = whole.length;
    return this;
  };
}

interface Compression {
  Codecs: Record<
    number,
    () => { compress(encoder: unknown): Promise<Buffer>; decompress(bytes: Buffer): Promise<Buffer> }
  >;
}

/** kafkajs 2.2.4 supports only gzip, and decompresses without a limit. The patch does not add codecs for compression. */
function patchCodecs(): void {
  const { Codecs } = compression as Compression;
  for (const codec of [1, 2, 3, 4]) {
    const original = Codecs[codec];
    Codecs[codec] = () => ({
      compress: async (encoder) => {
        if (!original) throw new Error(`unknown compression codec ${codec}`);
        return original().compress(encoder);
      },
      decompress: async (bytes) => decompress(codec, bytes),
    });
  }
}

interface Input {
  offset: number;
  readInt16(): number;
  readInt32(): number;
  readInt64(): bigint;
  readString(): string;
  readBytes(length: number): Buffer;
  canReadBytes(length: number): boolean;
  readArray<T>(reader: (input: Input) => T): T[];
  readArrayAsync<T>(reader: (input: Input) => Promise<T>): Promise<T[]>;
}
type BuildRequest = (options: object) => { readonly response: object };
interface FetchRequests {
  protocol: (about: { version: number }) => BuildRequest;
}

/** The first version of the fetch request whose response may contain record batches. */
const FIRST_WITH_BATCHES = 4;

/**
 * kafkajs 2.2.4 discards a whole fetch response, with the records of all partitions, because of one batch that it cannot decode,
 * and then requests the same again. Such a batch stopped a consumer for good. {@link decodeRecords} describes what happens to it
 * instead.
 */
function patchFetchDecoding(): void {
  const requests = fetchRequests as FetchRequests;
  const { protocol } = requests;
  requests.protocol = ({ version }) => {
    const build = protocol({ version });
    if (version < FIRST_WITH_BATCHES) return build;
    return (options) => {
      const request = build(options);
      return {
        ...request,
        response: { ...request.response, decode: async (raw: Buffer) => decodeFetch(raw, version) },
      };
    };
  };
}

/** Decodes versions 4 to 11 with the same result as kafkajs: https://kafka.apache.org/protocol#The_Messages_Fetch */
async function decodeFetch(raw: Buffer, version: number): Promise<object> {
  const input = new (Decoder as new (bytes: Buffer) => Input)(raw);
  const budget = new FetchBudget();
  const throttleTime = input.readInt32();
  const session = version >= 7 ? { errorCode: input.readInt16(), sessionId: input.readInt32() } : {};
  const responses = await input.readArrayAsync(async () => {
    const topicName = input.readString();
    const partitions = await input.readArrayAsync(async () => decodePartition(input, version, topicName, budget));
    return { topicName, partitions };
  });
  // From version 8 on, the broker does not delay the response itself but expects the client to wait.
  const throttle = version >= 8 ? { throttleTime: 0, clientSideThrottleTime: throttleTime } : { throttleTime };
  return { ...throttle, ...session, responses };
}

async function decodePartition(input: Input, version: number, topic: string, budget: FetchBudget): Promise<object> {
  const partition = input.readInt32();
  const about = {
    partition,
    errorCode: input.readInt16(),
    highWatermark: String(input.readInt64()),
    lastStableOffset: String(input.readInt64()),
    ...(version >= 5 && { lastStartOffset: String(input.readInt64()) }),
    abortedTransactions: input.readArray(() => ({
      producerId: String(input.readInt64()),
      firstOffset: String(input.readInt64()),
    })),
    ...(version >= 11 && { preferredReadReplica: input.readInt32() }),
  };
  const size = input.readInt32();
  const bytes = size > 0 ? input.readBytes(size) : Buffer.alloc(0);
  return { ...about, messages: await decodeMessages(bytes, `${topic}/${partition}`, budget) };
}

async function decodeMessages(bytes: Buffer, name: string, budget: FetchBudget): Promise<FetchedRecord[]> {
  try {
    return await decodeRecords(bytes, budget, async (entry) =>
      (decodeMessageSet as (input: object, size: number) => Promise<FetchedRecord[]>)(
        new (Decoder as new (bytes: Buffer) => object)(entry),
        entry.length,
      ),
    );
  } catch (error) {
    if (isOutOfMemory(error)) throw error;
    // The other partitions continue. This one is stalled, because nothing shows where its next batch starts.
    reportUnreadable(`Cannot read ${name}, so the partition is stalled: ${describeError(error)}`);
    // An immediate fetch would get the same response.
    await delay(UNREADABLE_WAIT_MS);
    return [];
  }
}

const UNREADABLE_WAIT_MS = 500;
const REPORT_EVERY_MS = 60_000;
const logger = new Logger('kafkajs');
let reportedAt = -Infinity;

/** Rate-limited, because the same error recurs with every fetch. */
function reportUnreadable(text: string): void {
  if (performance.now() - reportedAt < REPORT_EVERY_MS) return;
  reportedAt = performance.now();
  logger.error(text);
}
