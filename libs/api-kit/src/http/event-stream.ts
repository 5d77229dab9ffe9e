import type { FastifyReply, FastifyRequest } from 'fastify';
import { callAt } from '../app/call-at.js';
import type { Identify } from '../identity/identify-callers.js';
import type { TokenKeys } from '../identity/token-keys.js';
import { identityOf } from './caller.js';
import { allowSlowReading } from './limits/slow-readers.js';
import { commentOf, EVENT_STREAM_HEADERS, frameOf, type ServerSentEvent } from './server-sent-event.js';
import { ticketOf } from './stream-ticket.js';

/** In milliseconds. Proxies close silent connections, often after 30 to 60 s. */
const HEARTBEAT_MS = 15_000;
/** In bytes. A client that lags further behind is disconnected. It reconnects and resumes where it was. */
const MAX_LAG = 1024 * 1024;
/** How long a client may take to read the rest of a closed stream. */
const CLOSE_GRACE_MS = 1000;

/**
 * A stream of server-sent events to one client. Its methods never throw. Once the client has disconnected or fallen too far behind, or the
 * application closes, the listeners are called and further events are dropped.
 */
export class EventStream {
  private readonly listeners = new Set<() => void>();
  private readonly heartbeat: NodeJS.Timeout;
  private ended = false;

  /** Use {@link openEventStream}. */
  constructor(private readonly response: FastifyReply['raw']) {
    this.heartbeat = setInterval(() => this.comment(), HEARTBEAT_MS);
    response.once('close', () => this.finish());
    // Emitted when a client resets the connection. 'close' follows.
    response.on('error', () => undefined);
    // The client may have disconnected while its request was being checked.
    if (response.destroyed) this.finish();
  }

  get closed(): boolean {
    return this.ended;
  }

  /** Sends an event. Returns false if the event is dropped because the stream has ended. */
  send(event: ServerSentEvent): boolean {
    return this.write(frameOf(event));
  }

  /** Sends a comment, which clients ignore. It shows that the stream is alive. */
  comment(text = ''): boolean {
    return this.write(commentOf(text));
  }

  /**
   * Waits until the client has read what was sent, or the stream has ended. Call it between the chunks of a long backlog, because the
   * client would otherwise appear to lag behind.
   */
  async drained(): Promise<void> {
    if (this.ended || !this.response.writableNeedDrain) return;
    await new Promise<void>((resolve) => {
      this.response.once('drain', resolve);
      this.onClose(resolve);
      this.response.once('drain', () => this.listeners.delete(resolve));
    });
  }

  /** Ends the stream gracefully. The client reconnects automatically. */
  close(): void {
    if (this.ended) return;
    // If the client does not read, the response never ends.
    const forcedClose = setTimeout(() => this.response.destroy(), CLOSE_GRACE_MS);
    this.response.once('close', () => clearTimeout(forcedClose));
    this.response.end();
    this.finish();
  }

  /** Calls the listener once when the stream ends for any reason, or immediately if it has already ended. */
  onClose(listener: () => void): void {
    if (this.ended) listener();
    else this.listeners.add(listener);
  }

  private write(frame: string): boolean {
    if (this.ended) return false;
    this.response.write(frame);
    if (this.response.writableLength <= MAX_LAG) return true;
    // Not end(), which would wait for the client to read everything.
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

/** The open streams of each server with their requests, or 'closing' once the server closes. */
const streamsOf = new WeakMap<object, Map<EventStream, FastifyRequest> | 'closing'>();

/**
 * Answers a request with a stream of events. Call it in a handler that injects `@Res() reply`, after everything that can fail: an error
 * thrown before it becomes a problem document as usual. For HEAD, which Fastify routes wherever there is a GET, only the headers are sent
 * and the returned stream is closed.
 *
 * @param expiresAt when the stream ends, by default when the token of the request does
 */
export function openEventStream(reply: FastifyReply, expiresAt = expiryOf(reply.request)): EventStream {
  const { raw } = reply;
  reply.hijack();
  // Hooks have set headers on the reply, such as those of CORS.
  for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
  raw.writeHead(200, EVENT_STREAM_HEADERS);
  raw.flushHeaders();
  // A stream may be silent. Heartbeats and MAX_LAG detect clients that are gone.
  raw.socket?.setTimeout(0);
  allowSlowReading(raw);
  const stream = new EventStream(raw);
  const { server } = reply.server;
  const streams = streamsOf.get(server) ?? new Map<EventStream, FastifyRequest>();
  if (streams === 'closing' || reply.request.method === 'HEAD') {
    stream.close();
    return stream;
  }
  streamsOf.set(server, streams.set(stream, reply.request));
  stream.onClose(() => streams.delete(stream));
  // The client reconnects with a new token and resumes.
  if (expiresAt) stream.onClose(callAt(expiresAt, () => stream.close()));
  return stream;
}

/** Returns how many streams of the server are open. */
export function openEventStreams(server: object): number {
  const streams = streamsOf.get(server);
  return streams === undefined || streams === 'closing' ? 0 : streams.size;
}

function expiryOf(request: FastifyRequest): Date | undefined {
  const identity = identityOf(request);
  return identity && 'caller' in identity ? identity.caller.expiresAt : undefined;
}

/** Closes all streams when the application closes, because it would otherwise wait for the clients to disconnect. */
export function closeEventStreams(server: object): void {
  const streams = streamsOf.get(server);
  streamsOf.set(server, 'closing');
  if (streams && streams !== 'closing') for (const stream of streams.keys()) stream.close();
}

/** Ends the streams whose caller would no longer be identified, because the key of their token was withdrawn. */
export async function closeWithdrawnStreams(server: object, identify: Identify, keys: TokenKeys): Promise<void> {
  const streams = streamsOf.get(server);
  if (!streams || streams === 'closing') return;
  for (const [stream, request] of streams) if (await isWithdrawn(request, identify, keys)) stream.close();
}

async function isWithdrawn(request: FastifyRequest, identify: Identify, keys: TokenKeys): Promise<boolean> {
  const { headers, headersDistinct } = request.raw;
  if (ticketOf(request) === undefined)
    return headers.authorization !== undefined && !('caller' in (await identify(headersDistinct)));
  // The ticket was issued for a token.
  const identity = identityOf(request);
  const keyId = identity && 'caller' in identity ? identity.caller.keyId : undefined;
  return keyId !== undefined && !(await keys.publishes(keyId));
}
