import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';

export interface ReceivedEvent {
  /** In milliseconds. */
  readonly retry?: number;
  readonly id: string;
  readonly event: string;
  // Tests read whatever fields they expect.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly data: any;
}

/** A client of server-sent events as in the HTML Standard, except that it does not reconnect. */
export class EventClient {
  readonly events: ReceivedEvent[] = [];
  /** Includes frames without an event. */
  lastEventId: string | undefined;
  ended: 'cleanly' | 'broken' | undefined;

  private constructor(readonly response: IncomingMessage) {
    if (this.isStream) void this.read();
  }

  /** Opens a connection of its own. The response need not be a stream. */
  static async open(url: string, headers: Record<string, string>, lastEventId?: string): Promise<EventClient> {
    const request = get(url, {
      agent: false,
      headers: { ...headers, ...(lastEventId !== undefined && { 'last-event-id': lastEventId }) },
    });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return new EventClient(response);
  }

  get isStream(): boolean {
    return this.response.headers['content-type']?.startsWith('text/event-stream') ?? false;
  }

  /** Reads the body of a response that is not a stream. */
  async problem(): Promise<unknown> {
    return JSON.parse(await text(this.response));
  }

  /** Cuts the connection. */
  leave(): void {
    this.response.destroy();
  }

  private async read(): Promise<void> {
    let rest = '';
    try {
      for await (const chunk of this.response.setEncoding('utf8')) {
        const frames = (rest + String(chunk)).split('\n\n');
        rest = frames.pop() ?? '';
        for (const frame of frames) this.receive(frame);
      }
      this.ended = 'cleanly';
    } catch {
      this.ended = 'broken';
    }
  }

  private receive(frame: string): void {
    const fields = new Map<string, string>();
    for (const line of frame.split('\n')) {
      const colon = line.indexOf(':');
      fields.set(line.slice(0, colon), line.slice(colon + 1).replace(/^ /, ''));
    }
    this.lastEventId = fields.get('id') ?? this.lastEventId;
    const data = fields.get('data');
    if (data === undefined) return;
    const retry = fields.has('retry') ? { retry: Number(fields.get('retry')) } : {};
    const event = fields.get('event') ?? 'message';
    this.events.push({ ...retry, id: this.lastEventId ?? '', event, data: JSON.parse(data) });
  }
}
