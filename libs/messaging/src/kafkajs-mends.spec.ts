// @ts-expect-error -- kafkajs has no types for its inner parts
import Decoder from 'kafkajs/src/protocol/decoder.js';
// @ts-expect-error -- kafkajs has no types for its inner parts
import Encoder from 'kafkajs/src/protocol/encoder.js';
// @ts-expect-error -- kafkajs has no types for its inner parts
import decodeRecord from 'kafkajs/src/protocol/recordBatch/record/v0/decoder.js';
import { mendKafkajs } from './kafkajs-mends.js';

interface Writer {
  readonly buffer: Buffer;
  writeInt8(n: number): void;
  writeVarInt(n: number): void;
  writeVarIntBytes(bytes: Buffer | null): void;
  writeVarIntString(text: string): void;
}

/** The headers of a record as kafkajs reads them. */
function decoded(headers: readonly (readonly [string, Buffer | null])[]): Record<string, Buffer | null> {
  const writer = new (Encoder as new (size: number) => Writer)(1 << 22);
  writer.writeInt8(0);
  writer.writeVarInt(0);
  writer.writeVarInt(0);
  writer.writeVarIntBytes(Buffer.from('key'));
  writer.writeVarIntBytes(null);
  writer.writeVarInt(headers.length);
  for (const [name, value] of headers) {
    writer.writeVarIntString(name);
    writer.writeVarIntBytes(value);
  }
  const decoder = new (Decoder as new (bytes: Buffer) => object)(writer.buffer);
  const decode = decodeRecord as (decoder: object, batch: object) => { headers: Record<string, Buffer | null> };
  return decode(decoder, { firstOffset: '0', firstTimestamp: '0' }).headers;
}

describe('the headers of a record', () => {
  beforeAll(() => mendKafkajs());

  it('are those that it has, the last of one name', () => {
    const [a, b, c] = [Buffer.from('a'), Buffer.from('b'), Buffer.from('c')];

    const headers = decoded([
      ['x', a],
      ['x', b],
      ['__proto__', a],
      ['constructor', c],
      ['y', null],
      ['x', c],
    ]);

    expect(Object.entries(headers)).toEqual([
      ['x', c],
      ['__proto__', a],
      ['constructor', c],
      ['y', null],
    ]);
    expect(decoded([])).toEqual({});
  });

  it('P5 do not hold the process up, however many there are', () => {
    const value = Buffer.alloc(0);
    const names = Array.from({ length: 100_000 }, (_, n) => [n % 2 === 0 ? 'x' : `h${n}`, value] as const);
    const before = process.cpuUsage();

    expect(Object.keys(decoded(names))).toHaveLength(50_001);

    // Unmended: minutes.
    expect(process.cpuUsage(before).user).toBeLessThan(5_000_000);
  });
});
