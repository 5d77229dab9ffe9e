import { pipeline } from 'node:stream/promises';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Agent, type Dispatcher, errors } from 'undici';
import { ALLOWED_ROUTES, type ApiName } from './allowed-routes.js';
import type { CallerSession } from './caller-session.js';
import type { ConsoleConfig } from './config.js';
import { endsGracefully } from './event-stream.js';
import type { Metrics } from './metrics.js';
import { problem } from './problems.js';
import type { Session } from './sessions.js';

/** What a page may tell a service. Nothing else is passed on, above all not who it claims to be. */
const READ_HEADERS = [
  'accept',
  'accept-language',
  'idempotency-key',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-unmodified-since',
  'last-event-id',
  'traceparent',
  'tracestate',
] as const;

const BODY_HEADERS = ['content-length', 'content-type'] as const;

const RESPONSE_HEADERS = [
  'cache-control',
  'content-length',
  'content-type',
  'etag',
  'idempotent-replayed',
  'last-modified',
  'location',
  'ratelimit',
  'ratelimit-policy',
  'retry-after',
] as const;

const CONNECT_TIMEOUT_MS = 2000;
/** Services send a heartbeat every 15 s. */
const SILENCE_MS = 45_000;

interface Parts {
  readonly config: ConsoleConfig;
  readonly caller: CallerSession;
  readonly metrics: Metrics;
  /** Aborted when the server closes. */
  readonly closing: AbortSignal;
}

/** Adds the allowed routes of both services under `/api`. Bodies and streams are passed on as they arrive. */
export function addProxy(server: FastifyInstance, parts: Parts): void {
  const { config } = parts;
  const dispatcher = new Agent({ connect: { timeout: CONNECT_TIMEOUT_MS }, bodyTimeout: SILENCE_MS });
  const addresses: Record<ApiName, string> = { orders: config.ORDERS_URL, payments: config.PAYMENTS_URL };
  void server.register(
    (scope, _, done) => {
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser('*', (_request, _payload, parsed) => parsed(null));
      scope.addHook('onClose', () => dispatcher.destroy());
      for (const [api, routes] of Object.entries(ALLOWED_ROUTES) as [ApiName, (typeof ALLOWED_ROUTES)[ApiName]][]) {
        const proxy = new Proxy({ ...parts, api, address: addresses[api], dispatcher });
        for (const [method, url] of routes)
          scope.route({
            method,
            url: `/${api}${url}`,
            handler: (request, reply) => proxy.forward(url, request, reply),
          });
      }
      done();
    },
    { prefix: '/api' },
  );
}

interface Upstream extends Parts {
  readonly api: ApiName;
  readonly address: string;
  readonly dispatcher: Agent;
}

/** Forwards requests to one service. */
class Proxy {
  private readonly origin: string;
  private readonly basePath: string;

  constructor(private readonly upstream: Upstream) {
    const { origin, pathname } = new URL(upstream.address);
    this.origin = origin;
    this.basePath = pathname.replace(/\/$/, '');
  }

  async forward(route: string, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    const session = this.upstream.caller.require(request);
    if (!route.endsWith('/events')) return this.exchange({ route, session, isStream: false }, request, reply);
    const { MAX_STREAMS } = this.upstream.config;
    if (session.openStreams >= MAX_STREAMS)
      throw problem('too-many-streams', `A session may have ${MAX_STREAMS} event streams open.`);
    session.openStreams++;
    try {
      return await this.exchange({ route, session, isStream: true }, request, reply);
    } finally {
      session.openStreams--;
    }
  }

  private async exchange(
    { route, session, isStream }: { readonly route: string; readonly session: Session; readonly isStream: boolean },
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<FastifyReply | undefined> {
    const { caller, metrics, api, closing } = this.upstream;
    // Also when the browser is gone before the service has answered.
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    // A change in flight is finished, whatever happens to its session meanwhile.
    const signal = isStream ? AbortSignal.any([gone.signal, session.signal, closing]) : gone.signal;
    const identity = await caller.headersOf(session, reply);
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    const allowed = isRead ? READ_HEADERS : [...READ_HEADERS, ...BODY_HEADERS];
    const headers = { ...selected(request.headers, allowed), ...identity, 'x-request-id': request.id };
    try {
      const answer = await this.send(this.basePath + pathOf(route, request), headers, request, signal);
      metrics.countAnswer(api, answer.statusCode);
      if (answer.statusCode === 401) return await this.refused(session, answer, reply);
      await passOn(answer, request, reply, signal);
      return undefined;
    } catch (error) {
      if (error instanceof errors.UndiciError) metrics.countAnswer(api, 'none');
      throw this.problemOf(error, isStream ? session : undefined);
    }
  }

  private send(path: string, headers: Record<string, string>, { raw, method }: FastifyRequest, signal: AbortSignal) {
    const isRead = method === 'GET' || method === 'HEAD';
    const hasBody = 'content-length' in headers || (!isRead && 'transfer-encoding' in raw.headers);
    return this.upstream.dispatcher.request({
      origin: this.origin,
      path,
      method,
      headers,
      body: hasBody ? raw : null,
      signal,
      headersTimeout: this.upstream.config.SERVICE_TIMEOUT,
    });
  }

  /** The service does not accept the token, for example because its key was withdrawn. Only another sign-in helps. */
  private async refused(session: Session, { body }: Dispatcher.ResponseData, reply: FastifyReply): Promise<never> {
    await body.dump();
    this.upstream.caller.end(session, reply);
    throw problem('session-ended', 'The service does not accept the credentials of the session. Sign in again.');
  }

  /** `stream` is the session of an event stream. A change goes on when its session has ended, so its problem says what may have become of it. */
  private problemOf(error: unknown, stream: Session | undefined): unknown {
    const service = this.upstream.api === 'orders' ? 'order-service' : 'payment-service';
    if (stream?.signal.aborted) return problem('session-ended');
    if (stream && this.upstream.closing.aborted) return problem('console-stopping');
    if (error instanceof errors.HeadersTimeoutError)
      return problem('service-timeout', `${service} did not answer in time. A change may have been made.`);
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (error instanceof errors.UndiciError || /^(E[A-Z]+|ENOTFOUND)$/.test(code))
      return problem('service-unreachable', `${service} cannot be reached at the moment. A change may have been made.`);
    return error;
  }
}

/** Passes on an answer without waiting for its end. */
async function passOn(
  { statusCode, headers, body }: Dispatcher.ResponseData,
  request: FastifyRequest,
  reply: FastifyReply,
  signal: AbortSignal,
): Promise<void> {
  const { raw } = reply;
  reply.hijack();
  for (const [name, value] of Object.entries({ ...reply.getHeaders(), ...selected(headers, RESPONSE_HEADERS) }))
    if (value !== undefined) raw.setHeader(name, value);
  // The rest of a body that the service did not want cannot be distinguished from the next request.
  if (!request.raw.complete) raw.setHeader('connection', 'close');
  raw.writeHead(statusCode);
  raw.flushHeaders();
  const isStream = String(headers['content-type']).startsWith('text/event-stream');
  try {
    await pipeline(isStream ? endsGracefully(body, signal) : body, raw);
  } catch {
    // The browser or the service is gone. The connection shows the browser that the answer is not complete.
    raw.destroy();
  }
}

/** Returns the path at the service. Each parameter is one segment, whatever characters the browser has escaped in it. */
function pathOf(route: string, { params, url }: FastifyRequest): string {
  const path = route.replace(/:(\w+)/g, (_, name: string) => {
    const value = (params as Record<string, string>)[name] ?? '';
    // These have a meaning of their own, escaped or not.
    if (value === '' || value === '.' || value === '..') throw problem('not-found');
    return encodeURIComponent(value);
  });
  const query = url.indexOf('?');
  return query < 0 ? path : path + url.slice(query);
}

function selected(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  names: readonly string[],
): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of names) {
    const value = headers[name];
    if (value !== undefined) found[name] = [value].flat().join(', ');
  }
  return found;
}
