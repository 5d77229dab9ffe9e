import fc from 'fast-check';
// @ts-expect-error -- kafkajs has no types for its internals
import kafkajsCrc32c from 'kafkajs/src/protocol/recordBatch/crc32C/index.js';
import { crc32c, crc32cInJavaScript } from './crc32c.js';

describe.each([
  ['the one in use', crc32c],
  ['the one in JavaScript', crc32cInJavaScript],
])('CRC-32C, %s', (_, checksum) => {
  // RFC 3720, appendix B.4, and the check value of the polynomial.
  it.each([
    ['32 zero bytes', Buffer.alloc(32), 0x8a9136aa],
    ['32 bytes of ones', Buffer.alloc(32, 0xff), 0x62a8ab43],
    ['32 ascending bytes', Buffer.from(Array.from({ length: 32 }, (__, n) => n)), 0x46dd794e],
    ['32 descending bytes', Buffer.from(Array.from({ length: 32 }, (__, n) => 31 - n)), 0x113fdb5c],
    ['the digits 1 to 9', Buffer.from('123456789'), 0xe3069283],
    ['nothing', Buffer.alloc(0), 0],
  ])('of %s is the published one', (__, bytes, expected) => {
    expect(checksum(bytes)).toBe(expected);
  });

  it('is the one that kafkajs computes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (array) => {
        const bytes = Buffer.from(array);

        expect(checksum(bytes)).toBe((kafkajsCrc32c as (data: Buffer) => number)(bytes));
      }),
    );
  });
});

it('the native function is in use where its package is installed, as here', () => {
  expect(crc32c).not.toBe(crc32cInJavaScript);
});
