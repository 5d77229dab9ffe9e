/** Stands for a message that could not be decoded, so that the call is answered like any invalid request. */
export class Undecodable {
  constructor(readonly reason: string) {}
}

/** Returns a decoder that never throws, because grpc-js would answer such a message with INTERNAL, which is for faults of the server. */
export function decodeSafely(decode: (bytes: Buffer) => unknown): (bytes: Buffer) => unknown {
  return (bytes) => {
    try {
      return decode(bytes);
    } catch (error) {
      // The decoder's own error: an integer beyond 2^53 - 1, or bytes that are not a message.
      return new Undecodable(`cannot be decoded: ${(error as Error).message}`);
    }
  };
}
