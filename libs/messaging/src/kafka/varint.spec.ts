import fc from 'fast-check';
import { MAX_VARINT_BYTES, sizeOfVarint, writeVarint } from './varint.js';

/** Reads a varlong as the protocol defines it. */
function readVarlong(bytes: Buffer): bigint {
  const value = [...bytes].reduce((sum, byte, n) => sum | (BigInt(byte & 0x7f) << BigInt(7 * n)), 0n);
  return (value >> 1n) ^ -(value & 1n);
}

const written = (value: number) => {
  const bytes = Buffer.alloc(MAX_VARINT_BYTES);
  return bytes.subarray(0, writeVarint(bytes, 0, value));
};

const edges = [0, 63, 64, 8191, 8192, 2 ** 20 - 1, 2 ** 20, 2 ** 30 - 1, 2 ** 30, 2 ** 31, 2 ** 48, 2 ** 53 - 1];

describe('a varint', () => {
  it('has the value, and as many bytes as expected, of which only the last ends it', () => {
    const values = fc.oneof(fc.constantFrom(...edges), fc.nat(), fc.maxSafeNat());
    fc.assert(
      fc.property(values, (value) => {
        const bytes = written(value);

        expect(readVarlong(bytes)).toBe(BigInt(value));
        expect(bytes).toHaveLength(sizeOfVarint(value));
        expect([...bytes].findIndex((byte) => byte < 0x80)).toBe(bytes.length - 1);
        expect(value >= 64 && bytes.at(-1) === 0).toBe(false);
      }),
    );
  });

  it('is written in place, and returns the position after it', () => {
    const bytes = Buffer.alloc(4, 0xff);

    expect(writeVarint(bytes, 1, 300)).toBe(3);
    expect(bytes).toEqual(Buffer.of(0xff, 0xd8, 0x04, 0xff));
  });
});
