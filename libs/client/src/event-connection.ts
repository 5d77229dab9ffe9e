import { type Connection, type HttpRequest, sentRequest } from './connection.js';
import { TwinboxConnectionError } from './errors.js';
import { type EventFrame, FrameParser } from './event-frames.js';

const CONNECT_MS = 10_000;
/** The service sends a comment every 15 s, so a stream that is silent for longer is broken. */
const SILENCE_MS = 40_000;

/** One connection to a stream of events, until it breaks. */
export class EventConnection {
  private readonly closing = new AbortController();
  private readonly parser = new FrameParser();
  private readonly decoder = new TextDecoder();
  private frames: EventFrame[] = [];
  private reader: ReadableStreamDefaultReader<Uint8Array> | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly request: HttpRequest,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /**
   * Returns the next frame, or undefined if the service has ended the stream. The first call connects.
   *
   * @throws TwinboxProblem, TwinboxConnectionError, or the reason of the signal
   */
  async next(): Promise<EventFrame | undefined> {
    this.signal?.throwIfAborted();
    this.reader ??= await this.connect();
    for (let frame = this.frames.shift(); ; frame = this.frames.shift()) {
      if (frame) return frame;
      const { done, value } = await this.read(this.reader);
      if (done) return undefined;
      this.frames = this.parser.push(this.decoder.decode(value, { stream: true }));
    }
  }

  /** Closes the connection. It may be open, broken, or not even connected. */
  close(): void {
    this.closing.abort();
  }

  private async connect(): Promise<ReadableStreamDefaultReader<Uint8Array>> {
    const signals = [this.closing.signal, ...(this.signal ? [this.signal] : [])];
    const signal = AbortSignal.any(signals);
    const response = await this.connection.sendOnce(this.request, {
      number: 1,
      signal,
      timeoutMs: CONNECT_MS,
      isStream: true,
    });
    if (!response.body) throw new TwinboxConnectionError(sentRequest(this.request, 1), new Error('It has no body.'));
    return response.body.getReader();
  }

  private async read(reader: ReadableStreamDefaultReader<Uint8Array>) {
    const silence = setTimeout(() => this.closing.abort(new Error('The stream was silent for too long.')), SILENCE_MS);
    try {
      return await reader.read();
    } catch (error) {
      this.signal?.throwIfAborted();
      throw new TwinboxConnectionError(sentRequest(this.request, 1), error);
    } finally {
      clearTimeout(silence);
    }
  }
}
