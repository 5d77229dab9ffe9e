import { createRequire } from 'node:module';
// @ts-expect-error -- kafkajs has no types for its internals
import fetchRequests from 'kafkajs/src/protocol/requests/fetch/index.js';
import { patchKafkajs } from './kafkajs-patches.js';
import { batchOf, CODEC, compress, recordBatch } from '../../test/record-batch.js';

type Decode = (raw: Buffer) => Promise<unknown>;
const requests = fetchRequests as {
  protocol: (about: { version: number }) => (options: object) => { response: { decode: Decode } };
};
const require = createRequire(import.meta.url);

const VERSIONS = [4, 5, 6, 7, 8, 9, 10, 11];
const patched = (version: number) => requests.protocol({ version })({ topics: [] }).response.decode;
const original = (version: number) =>
  (require(`kafkajs/src/protocol/requests/fetch/v${version}/response.js`) as { decode: Decode }).decode;

const int16 = (value: number) => Buffer.of((value >> 8) & 0xff, value & 0xff);
const int32 = (value: number) => Buffer.of(value >>> 24, (value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff);
const int64 = (value: number) => Buffer.concat([int32(Math.floor(value / 2 ** 32)), int32(value % 2 ** 32)]);

/** A fetch response with one topic, whose partitions have these records. */
function answer(version: number, partitions: readonly Buffer[]): Buffer {
  const session = version >= 7 ? [int16(0), int32(0)] : [];
  const logStart = version >= 5 ? [int64(3)] : [];
  const preferredReplica = version >= 11 ? [int32(-1)] : [];
  const aborted = [int32(1), int64(77), int64(5)];
  const topic = [int32(1), int16(5), Buffer.from('topic')];
  const parts = partitions.map((records, number) => {
    const about = [int32(number), int16(0), int64(2 ** 40), int64(2 ** 33)];
    return Buffer.concat([...about, ...logStart, ...aborted, ...preferredReplica, int32(records.length), records]);
  });
  return Buffer.concat([int32(50), ...session, ...topic, int32(parts.length), ...parts]);
}

beforeAll(() => patchKafkajs());

describe('the kafkajs patches', () => {
  it('reject a version that they were not made for', () => {
    expect(() => patchKafkajs('2.2.5')).toThrow('The kafkajs patches are for version 2.2.4, but 2.2.5 is installed');
  });

  it.each(VERSIONS)('decode a response to fetch version %s as kafkajs does', async (version) => {
    const records = await recordBatch(
      [
        {
          key: 'a',
          value: 'first',
          timestampDelta: 5n,
          headers: [
            ['h', 'one'],
            ['h', 'two'],
            ['none', null],
          ],
        },
        { key: null, value: null },
      ],
      CODEC.gzip,
      { firstOffset: 2n ** 33n, firstTimestamp: 1_700_000_000_000n, producerId: 77n },
    );
    const raw = answer(version, [records, Buffer.alloc(0), Buffer.concat([records, records.subarray(0, 70)])]);

    // Compared as JSON, because an object of headers has no prototype here.
    expect(JSON.parse(JSON.stringify(await patched(version)(raw)))).toEqual(
      JSON.parse(JSON.stringify(await original(version)(raw))),
    );
  });

  it('P5 read the other partitions of a response with a batch that cannot be decoded', async () => {
    const good = await recordBatch([{ value: 'good' }]);
    const bad = batchOf(Buffer.from('not compressed'), { count: 1, attributes: CODEC.snappy });
    const nonsense = Buffer.alloc(100);

    const read = await patched(11)(answer(11, [bad, nonsense, good]));

    expect(read).toMatchObject({
      responses: [
        {
          partitions: [
            { partition: 0, messages: [{ value: bad }] },
            { partition: 1, messages: [] },
            { partition: 2, messages: [{ value: Buffer.from('good') }] },
          ],
        },
      ],
    });
  });

  it('P5 read the message format before Kafka 0.11 with every codec, and isolate entries that they cannot decode', async () => {
    const inner = Buffer.concat([oldMessage(0, Buffer.from('b')), oldMessage(1, Buffer.from('c'))]);
    const entries = [
      oldMessage(5, Buffer.from('a')),
      oldMessage(7, await compress(CODEC.snappy, inner), CODEC.snappy),
      oldMessage(9, Buffer.from('not compressed'), CODEC.lz4),
      oldMessage(10, await compress(CODEC.zstd, inner.subarray(0, 5)), CODEC.zstd),
      oldMessage(11, Buffer.from('d')),
    ];

    const read = (await patched(11)(answer(11, [Buffer.concat(entries)]))) as {
      responses: { partitions: { messages: { offset: string; value: Buffer }[] }[] }[];
    };

    const messages = read.responses[0]?.partitions[0]?.messages ?? [];
    expect(messages.map(({ offset }) => offset)).toEqual(['5', '6', '7', '9', '10', '11']);
    expect(messages.map(({ value }) => String(value)).filter((text) => text.length === 1)).toEqual([
      'a',
      'b',
      'c',
      'd',
    ]);
  });
});

/** https://kafka.apache.org/documentation/#messageset, with magic 1 */
function oldMessage(offset: number, value: Buffer, attributes = 0): Buffer {
  const message = [int32(0), Buffer.of(1, attributes), int64(0), int32(-1), int32(value.length), value];
  return Buffer.concat([int64(offset), int32(Buffer.concat(message).length), ...message]);
}
