import { type Connection, type HttpRequest, sentRequest } from './connection.js';
import { TwinboxConnectionError } from './errors.js';
import { type EventFrame, FrameParser } from './event-frames.js';
import { after } from './wait.js';

const CONNECT_MS = 10_000;

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
    private readonly limits: { readonly signal: AbortSignal | undefined; readonly silenceMs: number },
  ) {}

  /**
   * Returns the next frame, or undefined if the service has ended the stream. The first call connects.
   *
   * @throws TwinboxProblem, TwinboxConnectionError, or the reason of the signal
   */
  async next(): Promise<EventFrame | undefined> {
    this.limits.signal?.throwIfAborted();
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
    const { signal: caller } = this.limits;
    const signal = caller ? AbortSignal.any([this.closing.signal, caller]) : this.closing.signal;
    const response = await this.connection.sendOnce(this.request, {
      sentBefore: 0,
      signal,
      timeoutMs: CONNECT_MS,
      isStream: true,
    });
    if (!response.body) throw new TwinboxConnectionError(sentRequest(this.request, 1), new Error('It has no body.'));
    return response.body.getReader();
  }

  private async read(reader: ReadableStreamDefaultReader<Uint8Array>) {
    const { silenceMs } = this.limits;
    const tooSilent = () => this.closing.abort(new Error(`The stream was silent for ${silenceMs} ms.`));
    const silence = after(silenceMs, tooSilent);
    try {
      return await reader.read();
    } catch (error) {
      this.limits.signal?.throwIfAborted();
      throw new TwinboxConnectionError(sentRequest(this.request, 1), error);
    } finally {
      clearTimeout(silence);
    }
  }
}
