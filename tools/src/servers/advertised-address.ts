/**
 * Replaces the port of the broker in Kafka's answers. They are framed by their length and contain the host followed by the port in four
 * bytes, so replacing the port moves nothing. An answer is searched once it is complete.
 */
export function addressRewriter(from: number, to: number): (chunk: Buffer) => Buffer {
  const [own, other] = [from, to].map((port) => {
    const address = Buffer.from('127.0.0.1    ');
    address.writeInt32BE(port, address.length - 4);
    return address;
  }) as [Buffer, Buffer];
  let pending = Buffer.alloc(0);
  return (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    let complete = 0;
    while (complete + 4 <= pending.length && complete + 4 + pending.readInt32BE(complete) <= pending.length)
      complete += 4 + pending.readInt32BE(complete);
    const frames = pending.subarray(0, complete);
    pending = pending.subarray(complete);
    for (let at = frames.indexOf(own); at >= 0; at = frames.indexOf(own, at + own.length)) other.copy(frames, at);
    return frames;
  };
}
