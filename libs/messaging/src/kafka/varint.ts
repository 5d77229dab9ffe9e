/*
 * Kafka's numbers of variable length, for values that are not negative: zigzag, which maps such a value to its double, then seven
 * bits a byte, the lowest first. https://kafka.apache.org/protocol#protocol_types
 */

/** The size of 2^53 - 1. */
export const MAX_VARINT_BYTES = 8;

/** Writes a varint or varlong from 0 to 2^53 - 1, and returns the position after it. */
export function writeVarint(bytes: Buffer, at: number, value: number): number {
  let rest = value * 2;
  for (; rest > 0x7fff_ffff; rest = Math.floor(rest / 0x80)) bytes[at++] = (rest % 0x80) | 0x80;
  for (; rest > 0x7f; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80;
  bytes[at++] = rest;
  return at;
}

/** Returns how many bytes {@link writeVarint} writes. */
export function sizeOfVarint(value: number): number {
  let size = 1;
  for (let rest = value * 2; rest > 0x7f; rest = Math.floor(rest / 0x80)) size++;
  return size;
}
