import { randomBytes } from 'node:crypto';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import lz4 from 'lz4-napi';
import snappy from 'snappy';
import { decompress } from './codecs.js';
import { CODEC, compress } from '../../test/record-batch.js';

const ALL = ['gzip', 'snappy', 'lz4', 'zstd'] as const;
/** Larger than a block of any codec, and partly incompressible. */
const LARGE = Buffer.concat([randomBytes(300_000), Buffer.alloc(300_000, 'abcdefg'), randomBytes(100_000)]);

const XERIAL = Buffer.from('82534e41505059000000000100000001', 'hex');

/** Compresses in blocks, as snappy-java does. */
function xerial(bytes: Buffer, blockBytes = 32 * 1024): Buffer {
  const blocks: Buffer[] = [XERIAL];
  for (let at = 0; at < bytes.length; at += blockBytes) {
    const block = snappy.compressSync(bytes.subarray(at, at + blockBytes));
    const length = Buffer.alloc(4);
    length.writeInt32BE(block.length);
    blocks.push(length, block);
  }
  return Buffer.concat(blocks);
}

/** Builds a frame of 64 KB blocks with the given header. */
function lz4Frame(blocks: readonly Buffer[], { contentSize }: { contentSize?: bigint } = {}): Buffer {
  const size = Buffer.alloc(contentSize === undefined ? 0 : 8);
  if (contentSize !== undefined) size.writeBigUInt64LE(contentSize);
  const descriptor = Buffer.concat([Buffer.of(contentSize === undefined ? 0x60 : 0x68, 0x40), size]);
  return Buffer.concat([
    Buffer.from('04224d18', 'hex'),
    descriptor,
    Buffer.of((xxh32(descriptor) >>> 8) & 0xff),
    ...blocks,
    Buffer.alloc(4),
  ]);
}

function lz4Block(block: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(block.length);
  return Buffer.concat([length, block]);
}

/** Hashes fewer than 16 bytes. https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md */
function xxh32(bytes: Buffer): number {
  const rotate = (value: number, by: number) => (value << by) | (value >>> (32 - by));
  let hash = (374761393 + bytes.length) | 0;
  let at = 0;
  for (; at + 4 <= bytes.length; at += 4) {
    hash = Math.imul(rotate((hash + Math.imul(bytes.readUInt32LE(at), 3266489917)) | 0, 17), 668265263);
  }
  for (; at < bytes.length; at++) {
    hash = Math.imul(rotate((hash + Math.imul(bytes[at] ?? 0, 374761393)) | 0, 11), 2654435761);
  }
  hash = Math.imul(hash ^ (hash >>> 15), 2246822519);
  hash = Math.imul(hash ^ (hash >>> 13), 3266489917);
  return (hash ^ (hash >>> 16)) >>> 0;
}

describe('decompress', () => {
  it.each(ALL)('decompresses what was compressed with %s', async (name) => {
    for (const bytes of [LARGE, Buffer.from('a'), Buffer.alloc(1_000_000)])
      expect((await decompress(CODEC[name], await compress(CODEC[name], bytes))).equals(bytes)).toBe(true);
  });

  it('reads snappy in the framing of snappy-java, including concatenated streams', async () => {
    const joined = Buffer.concat([xerial(LARGE), xerial(Buffer.from('more'))]);

    const read = await decompress(CODEC.snappy, joined);

    expect(read.equals(Buffer.concat([LARGE, Buffer.from('more')]))).toBe(true);
  });

  it('reads LZ4 frames with checksums or a content size, skippable frames, and several in a row', async () => {
    const plain = lz4Frame([lz4Block(Buffer.concat([Buffer.of(0x50), Buffer.from('plain')]))], { contentSize: 5n });
    const skippable = Buffer.from('502a4d1803000000616263', 'hex');
    const checked = lz4.compressFrameSync(LARGE, { contentChecksum: true, blockChecksums: true });

    const read = await decompress(CODEC.lz4, Buffer.concat([plain, skippable, checked]));

    expect(read.equals(Buffer.concat([Buffer.from('plain'), LARGE]))).toBe(true);
  });

  it('reads several zstd frames in a row, including skippable ones', async () => {
    const skippable = Buffer.from('502a4d1803000000616263', 'hex');

    const read = await decompress(
      CODEC.zstd,
      Buffer.concat([zstdCompressSync(LARGE), skippable, zstdCompressSync(Buffer.from('more'))]),
    );

    expect(read.equals(Buffer.concat([LARGE, Buffer.from('more')]))).toBe(true);
  });

  it.each(ALL)('P7 stops %s at the limit and not before', async (name) => {
    const bytes = await compress(CODEC[name], Buffer.alloc(1_000_000));

    await expect(decompress(CODEC[name], bytes, 999_999)).rejects.toMatchObject({
      cause: { message: 'expands to more than 999999 bytes' },
    });
    expect((await decompress(CODEC[name], bytes, 1_000_000)).length).toBe(1_000_000);
  });

  it('P7 applies the limit to the sum of many parts that are each within it', async () => {
    const part = Buffer.alloc(1000);
    const tooLarge = { cause: { message: 'expands to more than 2500 bytes' } };
    const thrice = (bytes: Buffer) => Buffer.concat([bytes, bytes, bytes]);

    await expect(decompress(CODEC.snappy, xerial(thrice(part), 1000), 2500)).rejects.toMatchObject(tooLarge);
    await expect(decompress(CODEC.lz4, thrice(lz4.compressFrameSync(part)), 2500)).rejects.toMatchObject(tooLarge);
    await expect(decompress(CODEC.zstd, thrice(zstdCompressSync(part)), 2500)).rejects.toMatchObject(tooLarge);
    await expect(decompress(CODEC.gzip, thrice(gzipSync(part)), 2500)).rejects.toMatchObject(tooLarge);
  });

  it('P7 does not allocate the size that a header claims', async () => {
    // 4 GB, in eleven to sixteen bytes.
    const snappyBlock = Buffer.from('ffffffff0f0061', 'hex');
    const lz4Lie = lz4Frame([lz4Block(Buffer.concat([Buffer.of(0x10), Buffer.from('a')]))], {
      contentSize: 2n ** 62n,
    });
    const zstdLie = Buffer.from('28b52ffde000000000ffffff0f090000', 'hex');
    const before = process.memoryUsage().rss;

    await expect(decompress(CODEC.snappy, snappyBlock)).rejects.toThrow('snappy decompression failed');
    await expect(decompress(CODEC.lz4, lz4Lie)).rejects.toThrow('lz4 decompression failed');
    await expect(decompress(CODEC.zstd, zstdLie)).rejects.toThrow('zstd decompression failed');

    expect(process.memoryUsage().rss - before).toBeLessThan(300 * 1024 * 1024);
  });

  it.each(ALL)('rejects data that %s could not have written, and truncated data', async (name) => {
    const bytes = await compress(CODEC[name], LARGE);

    for (const cut of [1, 5, 100, 100_000])
      await expect(decompress(CODEC[name], bytes.subarray(0, bytes.length - cut))).rejects.toThrow('failed');
    for (const length of [0, 1, 4, 7, 20])
      await expect(decompress(CODEC[name], Buffer.alloc(length, 0xfe))).rejects.toThrow('failed');
  });

  it('rejects garbage after a frame, and an unknown codec', async () => {
    const garbage = Buffer.from('garbage that follows');
    const after = (bytes: Buffer) => Buffer.concat([bytes, garbage]);

    await expect(decompress(CODEC.zstd, after(zstdCompressSync(LARGE)))).rejects.toThrow('zstd decompression failed');
    await expect(decompress(CODEC.lz4, after(lz4.compressFrameSync(LARGE)))).rejects.toThrow('lz4 decompression');
    await expect(decompress(CODEC.snappy, after(xerial(LARGE)))).rejects.toThrow('snappy decompression failed');
    await expect(decompress(6, garbage)).rejects.toThrow('unknown compression codec 6');
  });

  it.each(ALL)('returns bytes within the limit or an error for any change of %s data', async (name) => {
    const content = Buffer.from('{"n":1,"text":"some text, and some text again"}'.repeat(40));
    const original = await compress(CODEC[name], content);
    const limit = 4 * content.length;
    const changes = fc.array(fc.tuple(fc.nat(original.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });

    await fc.assert(
      fc.asyncProperty(changes, fc.nat(original.length), async (changed, cut) => {
        const bytes = Buffer.from(original);
        for (const [at, byte] of changed) bytes[at] = byte;
        const outcome = await decompress(CODEC[name], bytes.subarray(0, original.length - (cut % 3)), limit).catch(
          (error: unknown) => error,
        );
        if (Buffer.isBuffer(outcome)) expect(outcome.length).toBeLessThanOrEqual(limit);
        else expect(outcome).toBeInstanceOf(Error);
      }),
      { numRuns: 200 },
    );
  });
});
