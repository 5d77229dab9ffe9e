import { createRequire } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
// @ts-expect-error -- kafkajs has no types for its inner parts
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
// @ts-expect-error -- kafkajs has no types for its inner parts
import Encoder from 'kafkajs/src/protocol/encoder.js';
// @ts-expect-error -- kafkajs has no types for its inner parts
import Decoder from 'kafkajs/src/protocol/decoder.js';
// @ts-expect-error -- kafkajs has no types for its inner parts
import compression from 'kafkajs/src/protocol/message/compression/index.js';
// @ts-expect-error -- kafkajs has no types for its inner parts
import decodeMessageSet from 'kafkajs/src/protocol/messageSet/decoder.js';
// @ts-expect-error -- kafkajs has no types for its inner parts
import fetchRequests from 'kafkajs/src/protocol/requests/fetch/index.js';
import { decompress, isOutOfMemory } from './codecs.js';
import { describeError } from './errors.js';
import { decodeRecords, FetchBudget, type FetchedRecord } from './record-batch.js';

/** The patches reach into parts that another version may have changed, or no longer needs them. */
const PATCHED_VERSION = '2.2.4';

/** Puts right what kafkajs 2.2.4, which nobody maintains any more, does at too high a price; for all of the process. */
export function mendKafkajs(version = installedVersion()): void {
  if (version !== PATCHED_VERSION)
    throw new Error(`The patches of kafkajs are for version ${PATCHED_VERSION}, but ${version} is installed`);
  mendRequestQueue();
  mendEncoder();
  mendCodecs();
  mendFetch();
}

function installedVersion(): string {
  return (createRequire(import.meta.url)('kafkajs/package.json') as { version: string }).version;
}

/**
 * kafkajs 2.2.4 keeps a timer for requests that wait for a throttle to end, and sets it again when none waits: to a moment in
 * 1970, so that it fires every millisecond, for as long as the connection lives (2.5 % of a core an idle process, seen).
 */
interface PendingRequests {
  pending: unknown[];
  scheduleCheckPendingRequests: (this: PendingRequests) => void;
}
function mendRequestQueue(): void {
  const requestQueue = (RequestQueue as { prototype: PendingRequests }).prototype;
  const schedule = requestQueue.scheduleCheckPendingRequests;
  requestQueue.scheduleCheckPendingRequests = function () {
    // A request that comes to wait later schedules the check itself.
    if (this.pending.length > 0) schedule.call(this);
  };
}

/**
 * kafkajs 2.2.4 encodes every header, key and value into a buffer of 512 zeroed bytes of its own, outside of V8's heap: a
 * relay that drains a backlog made 10 kB of them a message. They begin small, and grow within Node's
 * pool of small buffers.
 */
interface EncoderClass {
  nextPowerOfTwo(value: number): number;
  prototype: {
    buf: Buffer;
    offset: number;
    ensureAvailable: (this: EncoderClass['prototype'], length: number) => void;
  };
}
/** What an encoder is made with when it is told no size. */
const DEFAULT_SIZE = 511;

function mendEncoder(): void {
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
}

interface Compression {
  Codecs: Record<
    number,
    () => { compress(encoder: unknown): Promise<Buffer>; decompress(bytes: Buffer): Promise<Buffer> }
  >;
}

/** kafkajs 2.2.4 knows gzip only, and decompresses without a limit. Which codecs it can compress with stays as it is. */
function mendCodecs(): void {
  const { Codecs } = compression as Compression;
  for (const codec of [1, 2, 3, 4]) {
    const original = Codecs[codec];
    Codecs[codec] = () => ({
      compress: async (encoder) => {
        if (!original) throw new Error(`compression codec ${codec} is unknown`);
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

/** The first version of the fetch request whose answer may have record batches. */
const FIRST_WITH_BATCHES = 4;

/**
 * kafkajs 2.2.4 gives up a whole answer, with the records of all partitions, for one batch that it cannot decode, and asks for
 * the same again: such a batch stopped a consumer for good. See {@link decodeRecords} for what becomes of it.
 */
function mendFetch(): void {
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

/** https://kafka.apache.org/protocol#The_Messages_Fetch, versions 4 to 11; the same result as kafkajs's own. */
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
  // From version 8 on the broker does not wait itself: it expects the client to.
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
    // The other partitions go on. This one waits: nothing tells where its next batch begins.
    reportUnreadable(`Cannot read ${name}, so the partition waits: ${describeError(error)}`);
    // The broker answers the same at once, so the next fetch is not sent at once.
    await delay(UNREADABLE_WAIT_MS);
    return [];
  }
}

const UNREADABLE_WAIT_MS = 500;
const REPORT_EVERY_MS = 60_000;
const logger = new Logger('kafkajs');
let reportedAt = -Infinity;

/** Met again with every fetch. */
function reportUnreadable(text: string): void {
  if (performance.now() - reportedAt < REPORT_EVERY_MS) return;
  reportedAt = performance.now();
  logger.error(text);
}
