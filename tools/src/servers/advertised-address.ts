const HOST = Buffer.from('127.0.0.1');
const PORT_BYTES = 4;

/**
 * Replaces the ports of brokers in Kafka's answers. They are framed by their length and contain the host followed by the port in four
 * bytes, so replacing the port moves nothing. An answer is searched once it is complete.
 *
 * @param ports the new port for each port to be replaced
 */
export function addressRewriter(ports: ReadonlyMap<number, number>): (chunk: Buffer) => Buffer {
  let pending = Buffer.alloc(0);
  return (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    let complete = 0;
    while (complete + 4 <= pending.length && complete + 4 + pending.readInt32BE(complete) <= pending.length)
      complete += 4 + pending.readInt32BE(complete);
    const frames = pending.subarray(0, complete);
    pending = pending.subarray(complete);
    for (let at = frames.indexOf(HOST); at >= 0; at = frames.indexOf(HOST, at + HOST.length)) {
      const portAt = at + HOST.length;
      if (portAt + PORT_BYTES > frames.length) break;
      // Written once each, so a port that is replaced by another broker's is not replaced again.
      const port = ports.get(frames.readInt32BE(portAt));
      if (port !== undefined) frames.writeInt32BE(port, portAt);
    }
    return frames;
  };
}
