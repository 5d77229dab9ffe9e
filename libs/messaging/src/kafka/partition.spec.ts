import fc from 'fast-check';
import { type PartitionMetadata, Partitioners } from 'kafkajs';
import { partitionOf } from './partition.js';

/** The partition that kafkajs chooses, with the hash of the Java client. */
function kafkajsPartition(key: string, partitions: number): number {
  const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => ({
    partitionId,
    leader: 0,
  })) as PartitionMetadata[];
  return Partitioners.DefaultPartitioner()({ topic: 'counts', partitionMetadata, message: { key, value: null } });
}

describe('the partition of a key', () => {
  it('P3 is the one that kafkajs chooses, so that a change of client does not move keys', () => {
    const keys = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }), fc.uuid());
    fc.assert(
      fc.property(keys, fc.integer({ min: 1, max: 50 }), (key, partitions) => {
        expect(partitionOf(key, partitions)).toBe(kafkajsPartition(key, partitions));
      }),
      { numRuns: 200 },
    );
  });

  // Hashes from Apache Kafka's UtilsTest.testMurmur2.
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('P3 is the one that the Java client chooses for %s', (key, hash) => {
    expect(partitionOf(key, 1_000_003)).toBe((hash & 0x7fffffff) % 1_000_003);
  });
});
