/**
 * Returns the partition of a key as every Kafka client chooses it, by murmur2 of its UTF-8 bytes (Apache Kafka, `Utils.murmur2`).
 * kafkajs's own implementation uses BigInt and takes several microseconds a message.
 */
export function partitionOf(key: string, partitions: number): number {
  const data = Buffer.from(key);
  const words = data.length & ~3;
  let hash = 0x9747b28c ^ data.length;
  for (let at = 0; at < words; at += 4) {
    let word = Math.imul(data.readInt32LE(at), MURMUR2_M);
    word = Math.imul(word ^ (word >>> 24), MURMUR2_M);
    hash = Math.imul(hash, MURMUR2_M) ^ word;
  }
  for (let at = data.length - 1; at >= words; at--) hash ^= data.readUInt8(at) << (8 * (at - words));
  if (data.length > words) hash = Math.imul(hash, MURMUR2_M);
  hash = Math.imul(hash ^ (hash >>> 13), MURMUR2_M);
  hash ^= hash >>> 15;
  return (hash & 0x7fffffff) % partitions;
}
const MURMUR2_M = 0x5bd1e995;
