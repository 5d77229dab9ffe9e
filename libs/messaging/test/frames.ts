/**
 * Splits one direction of a connection into the messages of a protocol, and passes on what `pass` returns of each. The beginning of a
 * message is held back until the rest of it arrives.
 *
 * @param sizeOf returns the size of the message at the beginning of the data, or undefined if the data does not tell it yet
 */
export function frames(
  sizeOf: (data: Buffer) => number | undefined,
  pass: (frame: Buffer) => Buffer | undefined,
): (chunk: Buffer) => Buffer {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    const passed: Buffer[] = [];
    for (let size = sizeOf(rest); size !== undefined && size <= rest.length; size = sizeOf(rest)) {
      const frame = pass(Buffer.from(rest.subarray(0, size)));
      if (frame) passed.push(frame);
      rest = rest.subarray(size);
    }
    return Buffer.concat(passed);
  };
}

/** The size of a message of Kafka's protocol, which begins with the number of bytes that follow. */
export const lengthFirst = (data: Buffer): number | undefined =>
  data.length < 4 ? undefined : 4 + data.readInt32BE(0);
