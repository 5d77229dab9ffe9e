// @ts-expect-error -- kafkajs has no types for its inner parts
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
// @ts-expect-error -- kafkajs has no types for its inner parts
import Decoder from 'kafkajs/src/protocol/decoder.js';
// @ts-expect-error -- kafkajs has no types for its inner parts
import Encoder from 'kafkajs/src/protocol/encoder.js';

/** Puts right what kafkajs 2.2.4, which nobody maintains any more, does at too high a price; for all of the process. */
export function mendKafkajs(): void {
  mendRequestQueue();
  mendEncoder();
  mendHeaders();
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

/**
 * kafkajs 2.2.4 copies all headers of a record before each further one: a record of a megabyte may have half a million, which
 * holds the process up for minutes. The decoder reads arrays of this kind for headers only, and then calls `reduce` on them to
 * get an object. Of several with one name the last is kept.
 */
interface HeaderDecoder {
  readVarInt(): number;
  readVarIntArray(
    this: HeaderDecoder,
    reader: (decoder: HeaderDecoder) => { readonly key: string; readonly value: Buffer | null },
  ): { reduce(): Record<string, Buffer | null> };
}
function mendHeaders(): void {
  const decoder = (Decoder as { prototype: HeaderDecoder }).prototype;
  decoder.readVarIntArray = function (reader) {
    const headers = new Map<string, Buffer | null>();
    for (let left = this.readVarInt(); left > 0; left--) {
      const { key, value } = reader(this);
      headers.set(key, value);
    }
    return { reduce: () => Object.fromEntries(headers) };
  };
}
