/** A buffer for one request, with room in front for the request's header. It grows when necessary. */
export class RequestBuffer {
  /** Where the next byte is written. */
  at: number;

  constructor(
    public bytes: Buffer,
    /** The size of the room in front. */
    readonly headroom: number,
  ) {
    this.at = headroom;
  }

  /** Makes room for so many more bytes. References to {@link bytes} may become outdated. */
  reserve(more: number): void {
    const needed = this.at + more;
    if (needed <= this.bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(larger, 0, 0, this.at);
    this.bytes = larger;
  }

  /** Leaves so many bytes to be written later, and returns their position. */
  skip(length: number): number {
    this.reserve(length);
    const start = this.at;
    this.at += length;
    return start;
  }

  /** Returns what was written from a position on. */
  from(start: number): Buffer {
    return this.bytes.subarray(start, this.at);
  }

  int16(value: number): void {
    const at = this.skip(2);
    this.bytes.writeInt16BE(value, at);
  }

  int32(value: number): void {
    const at = this.skip(4);
    this.bytes.writeInt32BE(value, at);
  }

  /** Writes a text with its length as INT16. */
  string(text: string): void {
    this.int16(Buffer.byteLength(text));
    const at = this.skip(Buffer.byteLength(text));
    this.bytes.write(text, at);
  }
}
