import { createRequire } from 'node:module';

/**
 * Computes the checksum of a record batch: CRC-32C, with Castagnoli's polynomial (RFC 3720, appendix B.4). The native function of
 * `@node-rs/crc32` is used if that optional dependency is installed. `zlib.crc32` of Node.js has another polynomial.
 */
export const crc32c: (bytes: Buffer) => number = nativeCrc32c() ?? crc32cInJavaScript;

/** Returns undefined if the package is not installed or has no binary for this platform. */
function nativeCrc32c(): ((bytes: Buffer) => number) | undefined {
  try {
    return (createRequire(import.meta.url)('@node-rs/crc32') as { crc32c: (bytes: Buffer) => number }).crc32c;
  } catch {
    return undefined;
  }
}

const POLYNOMIAL = 0x82f63b78;
/** How many bytes are looked up at a time. */
const SLICE = 8;

/** Slicing-by-8: Kounavis and Berry, "Novel Table Lookup-Based Algorithms for High-Performance CRC Generation", 2008. */
export function crc32cInJavaScript(bytes: Buffer): number {
  const table = (tables ??= makeTables());
  const sliced = bytes.length - (bytes.length % SLICE);
  let crc = -1;
  let at = 0;
  for (; at < sliced; at += SLICE) {
    const low = crc ^ bytes.readInt32LE(at);
    const high = bytes.readInt32LE(at + 4);
    crc =
      (table[0x700 | (low & 0xff)] ?? 0) ^
      (table[0x600 | ((low >>> 8) & 0xff)] ?? 0) ^
      (table[0x500 | ((low >>> 16) & 0xff)] ?? 0) ^
      (table[0x400 | (low >>> 24)] ?? 0) ^
      (table[0x300 | (high & 0xff)] ?? 0) ^
      (table[0x200 | ((high >>> 8) & 0xff)] ?? 0) ^
      (table[0x100 | ((high >>> 16) & 0xff)] ?? 0) ^
      (table[high >>> 24] ?? 0);
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ (table[(crc ^ bytes.readUInt8(at)) & 0xff] ?? 0);
  return ~crc >>> 0;
}

let tables: Int32Array | undefined;

/** Returns, at `n * 256 + byte`, the checksum of the byte followed by `n` zero bytes. */
function makeTables(): Int32Array {
  const all = new Int32Array(SLICE * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let n = 0; n < SLICE; n++) {
      for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
      all[n * 256 + byte] = crc;
    }
  }
  return all;
}
