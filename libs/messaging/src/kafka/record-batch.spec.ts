import fc from 'fast-check';
import { type FetchedRecord } from './fetched-record.js';
import { UNDECODABLE_BATCH } from '../message/undecodable-batch.js';
import { decodeRecords, FetchBudget, MAX_BATCH_RECORDS } from './record-batch.js';
import { batchOf, CODEC, compress, recordBatch, recordsOf } from '../../test/record-batch.js';

const noOldEntries = () => Promise.reject(new Error('no old entry was expected'));
const decode = (bytes: Buffer, budget = new FetchBudget()) => decodeRecords(bytes, budget, noOldEntries);
const reasonOf = (record: FetchedRecord | undefined) => String(record?.headers?.[UNDECODABLE_BATCH]);
const offsets = (records: readonly FetchedRecord[]) => records.map(({ offset }) => offset);

/** A batch of three messages with the offsets from 10 on. */
const three = (codec: number = CODEC.none) =>
  recordBatch([{ value: 'a' }, { value: 'b' }, { value: 'c' }], codec, { firstOffset: 10n });

/** Changes the bytes of a batch of three messages and decodes them. */
async function brokenBy(change: (batch: Buffer) => void, codec: number = CODEC.none): Promise<FetchedRecord[]> {
  const batch = await three(codec);
  change(batch);
  return decode(batch);
}

describe('decodeRecords', () => {
  it('reads the batches of any producer with every codec', async () => {
    const text = fc.oneof(
      fc.constant(null),
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      fc.string(),
    );
    const record = fc.record({
      key: text,
      value: text,
      headers: fc.array(fc.tuple(fc.oneof(fc.string(), fc.constant('__proto__')), text), { maxLength: 5 }),
      timestampDelta: fc.oneof(fc.bigInt(-(2n ** 40n), 2n ** 40n), fc.constant(0n)),
    });

    await fc.assert(
      fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 10 }), fc.nat(4), async (records, codec) => {
        const batch = await recordBatch(records, codec, { firstOffset: 7n, firstTimestamp: 2n ** 41n });

        const read = await decode(batch);

        expect(read.map(({ offset, timestamp, key, value }) => ({ offset, timestamp, key, value }))).toEqual(
          records.map((one, n) => ({
            offset: String(7 + n),
            timestamp: String(2n ** 41n + one.timestampDelta),
            key: bufferOf(one.key),
            value: bufferOf(one.value),
          })),
        );
        expect(read.map(({ headers }) => byName(Object.entries(headers ?? {})))).toEqual(
          records.map(({ headers }) => byName(headers)),
        );
      }),
      { numRuns: 300 },
    );
  });

  it('reads extreme timestamps exactly, and the broker’s time if the topic is configured so', async () => {
    const extremes = [2n ** 63n - 1n, -(2n ** 63n), 2n ** 56n + 1n, -(2n ** 49n), 2n ** 48n];
    const batch = await recordBatch(
      extremes.map((timestampDelta) => ({ timestampDelta })),
      CODEC.none,
      { firstTimestamp: 0n },
    );
    const appended = await recordBatch([{}], CODEC.none, { attributes: 0x08, firstTimestamp: 1n, maxTimestamp: 99n });

    expect((await decode(batch)).map(({ timestamp }) => timestamp)).toEqual(extremes.map(String));
    expect(await decode(appended)).toMatchObject([{ timestamp: '99' }]);
  });

  it('leaves a truncated batch at the end for the next fetch', async () => {
    const [first, second] = [await three(CODEC.gzip), await recordBatch([{}, {}], CODEC.zstd, { firstOffset: 13n })];

    for (let cut = 1; cut <= second.length; cut++)
      expect(offsets(await decode(Buffer.concat([first, second.subarray(0, second.length - cut)])))).toEqual([
        '10',
        '11',
        '12',
      ]);
    expect(await decode(second.subarray(0, 60))).toEqual([]);
    expect(await decode(Buffer.alloc(0))).toEqual([]);
  });

  it('P5 replaces a batch that cannot be decoded with one record, and reads the batches around it', async () => {
    const bad = batchOf(Buffer.from('not compressed'), { count: 5, attributes: CODEC.lz4, firstOffset: 13n });
    const after = await recordBatch([{ value: 'd' }], CODEC.none, { firstOffset: 18n });

    const read = await decode(Buffer.concat([await three(), bad, after]));

    expect(offsets(read)).toEqual(['10', '11', '12', '17', '18']);
    expect(read[3]).toMatchObject({ key: null, value: bad, isControlRecord: false });
    expect(reasonOf(read[3])).toBe(
      'cannot decode the batch at offsets 13–17 (5 messages): lz4 decompression failed: not a frame',
    );
  });

  it.each([
    ['an unknown codec', (batch: Buffer) => void batch.writeInt16BE(7, 21), 'unknown compression codec 7'],
    ['a later format', (batch: Buffer) => void batch.writeInt8(3, 16), 'unknown record format 3'],
    ['too few bytes', (batch: Buffer) => void batch.writeInt32BE(2, 57), 'extra bytes after the last message'],
    ['a negative count', (batch: Buffer) => void batch.writeInt32BE(-1, 57), 'its header claims -1 messages'],
    ['a count beyond its offsets', (batch: Buffer) => void batch.writeInt32BE(2 ** 31 - 1, 57), 'its header claims'],
    ['a record longer than the batch', (batch: Buffer) => void (batch[61] = 0x7e), 'a length is invalid'],
    ['a record shorter than its fields', (batch: Buffer) => void (batch[61] = 0x02), 'the length of a message'],
    [
      'a value longer than its record',
      (batch: Buffer) => void (batch[66] = 0x10),
      'it ends in the middle of a message',
    ],
    [
      'records of one offset',
      (batch: Buffer) => void (batch[61 + 8 + 3] = 0),
      'the offsets of its messages are invalid',
    ],
  ])('P5 isolates a batch with %s', async (_, change, reason) => {
    const read = await brokenBy(change);

    expect(read).toHaveLength(1);
    expect(reasonOf(read[0])).toContain(reason);
  });

  it('P2 never uses an offset from corrupt data, because a wrong one would skip other messages', async () => {
    const ahead = recordsOf([{ value: 'a', offsetDelta: 2_000_000_000 }]);
    const batch = batchOf(await compress(CODEC.zstd, ahead), { count: 1, attributes: CODEC.zstd, firstOffset: 10n });

    const read = await decode(batch);

    expect(offsets(read)).toEqual(['10']);
    expect(reasonOf(read[0])).toContain('the offsets of its messages are invalid');
  });

  it('P2 skips nothing beyond the end of a batch when any of its bytes is changed', async () => {
    const next = await recordBatch([{ value: 'next' }], CODEC.none, { firstOffset: 13n });
    const originals = await Promise.all([CODEC.none, CODEC.gzip, CODEC.snappy, CODEC.lz4, CODEC.zstd].map(three));
    await fc.assert(
      fc.asyncProperty(fc.nat(4), fc.nat(1000), fc.integer({ min: 1, max: 255 }), async (codec, position, by) => {
        const batch = Buffer.from(originals[codec] ?? '');
        // After the offsets in the header, which the broker sets.
        const at = 57 + (position % (batch.length - 57));
        batch[at] = (batch[at] ?? 0) ^ by;

        const read = await decode(Buffer.concat([batch, next]));

        expect(read.at(-1)).toMatchObject({ offset: '13', value: Buffer.from('next') });
        for (const { offset } of read.slice(0, -1)) expect(['10', '11', '12']).toContain(offset);
      }),
      { numRuns: 500 },
    );
  });

  it('P7 decodes a batch with many messages, but not one with too many', async () => {
    const batch = async (count: number) =>
      batchOf(await compress(CODEC.zstd, tiny(count)), { count, attributes: CODEC.zstd });

    const read = await decode(await batch(MAX_BATCH_RECORDS));
    const tooMany = await decode(await batch(MAX_BATCH_RECORDS + 1));

    expect(read).toHaveLength(MAX_BATCH_RECORDS);
    expect(tooMany).toHaveLength(1);
    expect(reasonOf(tooMany[0])).toContain(`it has more than ${MAX_BATCH_RECORDS} messages`);
  });

  it('P7 leaves the rest for the next fetch when a response has expanded enough, and every partition makes progress', async () => {
    const large = (firstOffset: bigint) => recordBatch([{ value: Buffer.alloc(4000) }], CODEC.zstd, { firstOffset });
    const partition = Buffer.concat([await large(1n), await large(2n), await large(3n)]);
    const budget = new FetchBudget(6000);

    expect(offsets(await decode(partition, budget))).toEqual(['1', '2']);
    expect(offsets(await decode(partition, budget))).toEqual(['1']);
  });

  it('P7 does not decompress beyond the limit', async () => {
    const read = await decode(await recordBatch([{ value: Buffer.alloc(70_000_000) }], CODEC.zstd));

    expect(reasonOf(read[0])).toContain('zstd decompression failed: expands to more than 67108864 bytes');
  });

  it('reads no records from a batch that compaction has emptied', async () => {
    const emptied = batchOf(Buffer.alloc(0), { count: 0, lastOffsetDelta: 4, attributes: CODEC.zstd });

    expect(await decode(Buffer.concat([emptied, await three()]))).toHaveLength(3);
  });

  it('P5 does not mark a record because of a producer’s header', async () => {
    const batch = await recordBatch([{ value: 'a', headers: [[UNDECODABLE_BATCH, 'forged']] }]);

    expect(await decode(batch)).toMatchObject([{ value: Buffer.from('a'), headers: {} }]);
    expect((await decode(batch))[0]?.headers).not.toHaveProperty(UNDECODABLE_BATCH);
  });

  it('keeps the transaction of an undecodable batch, so that the batch is dropped if that was aborted', async () => {
    const batch = batchOf(Buffer.from('broken'), { count: 1, attributes: CODEC.gzip | 0x10, producerId: 77n });

    expect(await decode(batch)).toMatchObject([{ batchContext: { inTransaction: true, producerId: '77' } }]);
  });

  it('gives an undecodable batch a time that a database can store', async () => {
    for (const maxTimestamp of [-(2n ** 63n), -1n, 2n ** 63n - 1n])
      expect(
        await decode(batchOf(Buffer.from('broken'), { count: 1, attributes: CODEC.gzip, maxTimestamp })),
      ).toMatchObject([{ timestamp: '0' }]);
  });

  it('isolates an entry in the old message formats in the same way', async () => {
    const entry = Buffer.alloc(40);
    entry.writeBigInt64BE(20n, 0);
    entry.writeInt32BE(28, 8);
    const message: FetchedRecord = { offset: '20', timestamp: '0', key: null, value: null, attributes: 0 };
    const old = (answer: () => Promise<FetchedRecord[]>) =>
      decodeRecords(Buffer.concat([entry, entry]), new FetchBudget(), answer);

    expect(offsets(await old(() => Promise.resolve([message])))).toEqual(['20', '20']);
    expect(reasonOf((await old(() => Promise.reject(new Error('broken'))))[0])).toContain('offset 20');
    expect(reasonOf((await old(() => Promise.resolve([])))[0])).toContain('it is incomplete');
  });

  it('throws if nothing shows where the next batch starts', async () => {
    const nonsense = await three();
    nonsense.writeInt32BE(3, 8);

    await expect(decode(nonsense)).rejects.toThrow('the batch at offset 10 has an impossible length');
    expect(await decode(Buffer.concat([await three(), nonsense]))).toHaveLength(3);
  });
});

const bufferOf = (bytes: Buffer | string | null) => (bytes === null ? null : Buffer.from(bytes));

/** Groups the values by name, because an object does not preserve the order of names. */
function byName(headers: readonly (readonly [string, unknown])[]): Map<string, unknown[]> {
  const all = headers.flatMap(([name, value]) => [value].flat().map((one) => ({ name: String(bufferOf(name)), one })));
  return new Map(
    [...Map.groupBy(all, ({ name }) => name)].map(([name, values]) => [
      name,
      values.map(({ one }) => bufferOf(one as Buffer | string | null)),
    ]),
  );
}

/** Encodes messages without key, value and headers. */
function tiny(count: number): Buffer {
  return Buffer.concat(
    Array.from({ length: count }, (_, n) => {
      const delta = 2 * n;
      const bytes = [(delta & 0x7f) | 0x80, ((delta >> 7) & 0x7f) | 0x80, delta >> 14];
      return Buffer.from([2 * 8, 0, 0, ...bytes, 1, 1, 0]);
    }),
  );
}
