import { applyDecorators, createParamDecorator, type ExecutionContext, type Type } from '@nestjs/common';
import { ApiExtraModels, ApiHeader, ApiOkResponse, ApiProduces, getSchemaPath } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { documentedBy } from './openapi.js';
import { validationProblem } from './validation.js';

/** One event of a stream (HTML Standard, section "Server-sent events"). */
export interface ServerSentEvent {
  /** Where a client resumes that has got this event; one line. */
  readonly id?: string;
  /** Its name; `message` unless given. */
  readonly event?: string;
  /** Any JSON. Without data no event is fired: what is left moves the place where the client resumes. */
  readonly data?: unknown;
}

/** In milliseconds. Proxies cut a connection that is silent for longer, often after 30 to 60 s. */
const HEARTBEAT_MS = 15_000;
/** In bytes. A client that lags further behind is cut off: it comes back, and resumes where it was. */
const MAX_LAG = 1024 * 1024;
/** In milliseconds: how long a client has to read the rest of a stream that is closed. */
const LAST_WORDS_MS = 1000;

/**
 * A stream of server-sent events to one client. Nothing of it throws: once the client has gone, has fallen too far behind, or
 * the application closes, what is sent is dropped and the listeners have been told.
 */
export class EventStream {
  private readonly listeners = new Set<() => void>();
  private readonly heartbeat: NodeJS.Timeout;
  private ended = false;

  /** Use {@link openEventStream}. */
  constructor(private readonly response: FastifyReply['raw']) {
    this.heartbeat = setInterval(() => this.comment(), HEARTBEAT_MS);
    response.once('close', () => this.finish());
    // A client that resets the connection: 'close' follows.
    response.on('error', () => undefined);
    // It may have gone while its request was looked into.
    if (response.destroyed) this.finish();
  }

  get closed(): boolean {
    return this.ended;
  }

  /** False when the client does not get it any more. */
  send({ id, event, data }: ServerSentEvent): boolean {
    let frame = '';
    if (id !== undefined) frame += `id: ${oneLine(id)}\n`;
    if (event !== undefined) frame += `event: ${oneLine(event)}\n`;
    if (data !== undefined) frame += `data: ${JSON.stringify(data)}\n`;
    return this.write(`${frame}\n`);
  }

  /** A line that clients pass over: it shows that the stream lives. */
  comment(text = ''): boolean {
    return this.write(`: ${oneLine(text)}\n\n`);
  }

  /**
   * Waits until there is room for more, or the stream has ended: between the chunks of a long backlog, which a client would
   * otherwise seem to lag behind.
   */
  async drained(): Promise<void> {
    if (this.ended || !this.response.writableNeedDrain) return;
    await new Promise<void>((resolve) => {
      this.response.once('drain', resolve);
      this.onClose(resolve);
      this.response.once('drain', () => this.listeners.delete(resolve));
    });
  }

  /** Ends the stream in order; the client reconnects by itself. */
  close(): void {
    if (this.ended) return;
    // A client that does not read would never let it end.
    const impatient = setTimeout(() => this.response.destroy(), LAST_WORDS_MS);
    this.response.once('close', () => clearTimeout(impatient));
    this.response.end();
    this.finish();
  }

  /** Calls the listener once, when the stream has ended for whatever reason; at once if it has. */
  onClose(listener: () => void): void {
    if (this.ended) listener();
    else this.listeners.add(listener);
  }

  private write(frame: string): boolean {
    if (this.ended) return false;
    this.response.write(frame);
    if (this.response.writableLength <= MAX_LAG) return true;
    // Not ended in order: that would wait for the client to read it all.
    this.response.destroy();
    this.finish();
    return false;
  }

  private finish(): void {
    if (this.ended) return;
    this.ended = true;
    clearInterval(this.heartbeat);
    for (const listener of this.listeners) listener();
    this.listeners.clear();
  }
}

/** The streams of a server; none any more once it closes. */
const streamsOf = new WeakMap<object, Set<EventStream> | 'closing'>();

/**
 * Answers a request with a stream of events. To be called in a handler that injects `@Res() reply`, when nothing can go wrong
 * any more: what is thrown before it becomes a problem document as ever. For HEAD, which Fastify has wherever there is GET, it is
 * the headers alone, and the stream is closed.
 */
export function openEventStream(reply: FastifyReply): EventStream {
  const { raw } = reply;
  reply.hijack();
  // Those of CORS, say, that hooks have set meanwhile.
  for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
  raw.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    // Tells nginx not to collect events until a buffer is full.
    'x-accel-buffering': 'no',
  });
  raw.flushHeaders();
  // A stream may be silent; heartbeats and MAX_LAG find the clients that have gone.
  raw.socket?.setTimeout(0);
  const stream = new EventStream(raw);
  const { server } = reply.server;
  const streams = streamsOf.get(server) ?? new Set();
  if (streams === 'closing' || reply.request.method === 'HEAD') {
    stream.close();
    return stream;
  }
  streamsOf.set(server, streams.add(stream));
  stream.onClose(() => streams.delete(stream));
  return stream;
}

/** For the closing of the application, which else would wait for the clients to leave. */
export function closeEventStreams(server: object): void {
  const streams = streamsOf.get(server);
  streamsOf.set(server, 'closing');
  if (streams && streams !== 'closing') for (const stream of streams) stream.close();
}

/** The id of the last event that a returning client got, as an argument of a handler; at most 255 characters, else a 400. */
export const LastEventId = createParamDecorator(
  (_: unknown, context: ExecutionContext): string | undefined => {
    const id = context.switchToHttp().getRequest<FastifyRequest>().headers['last-event-id'];
    if (id === undefined || id === '') return undefined;
    if (typeof id === 'string' && id.length <= 255) return id;
    throw validationProblem([{ parameter: 'Last-Event-ID', detail: 'must be the id of an event' }]);
  },
  [
    documentedBy(
      ApiHeader({
        name: 'Last-Event-ID',
        description:
          'The id of the last event that you got: the stream goes on after it. An EventSource sends it by itself.',
        required: false,
        schema: { type: 'string', format: 'event-id', maxLength: 255 },
      }),
    ),
  ],
);

/**
 * Documents a route that answers with {@link openEventStream}: `data` is the class of the data of its events, and the example is what a
 * client might read. The schema is that of one event. OpenAPI has a keyword for that since 3.2 (`itemSchema`); tools for 3.1 read
 * `schema` so.
 */
export const ApiEventStream = (description: string, example: string, data?: Type): MethodDecorator => {
  const schema = {
    type: 'object',
    properties: {
      id: { type: 'string', format: 'event-id' },
      event: { type: 'string' },
      data: {
        type: 'string',
        contentMediaType: 'application/json',
        ...(data && { contentSchema: { $ref: getSchemaPath(data) } }),
      },
    },
    required: ['data'],
  };
  return applyDecorators(
    ApiProduces('text/event-stream'),
    ...(data ? [ApiExtraModels(data)] : []),
    ApiOkResponse({ description, content: { 'text/event-stream': { schema, example } } }),
  );
};

/** A line break would begin another field. */
function oneLine(text: string): string {
  return text.replaceAll(/[\r\n\0]/g, ' ');
}
