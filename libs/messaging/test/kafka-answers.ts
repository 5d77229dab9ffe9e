/** A topic of two partitions as in Kafka's response to `Metadata`, up to the leader of its first listed partition. */
export function inMetadata(name: string, partition: number, error: number, leader: number): Buffer {
  const end = Buffer.alloc(15);
  // The name is followed by: not internal, two partitions.
  end.writeInt32BE(2, 1);
  end.writeInt16BE(error, 5);
  end.writeInt32BE(partition, 7);
  end.writeInt32BE(leader, 11);
  return Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), end]);
}
