import { type Answer, type Call, callOf } from './call.js';
import { Connection, type HttpRequest } from './connection.js';
import { type ProblemOf } from './errors.js';
import { type EventsOptions, LiveUpdates, type Received } from './events.js';
import { createClient } from './generated/client/client.gen.js';
import { type Client } from './generated/client/types.gen.js';
import { type AnyOptions, type CallOptions, type ClientOptions } from './options.js';
import { type Page, Pages } from './pages.js';
import { type Positioned } from './seen-positions.js';

/** What a generated function needs to send its request. */
export interface RequestSettings {
  readonly client: Client;
  readonly headers: Record<string, string>;
  readonly fetch: typeof globalThis.fetch;
  readonly throwOnError: true;
}

/** The result of a generated function that throws its errors. */
type Generated<T> = Promise<{ readonly data: T; readonly response: Response }>;

/** Adds to the generated functions of a service what they leave to their caller. */
export class ServiceClient {
  private readonly connection: Connection;
  private readonly client: Client;

  constructor(options: ClientOptions) {
    this.connection = new Connection(options);
    this.client = createClient({ baseUrl: options.baseUrl.replace(/\/+$/, '') });
  }

  /** Calls a generated function. */
  call<T, E>(run: (settings: RequestSettings) => Generated<T>, options: AnyOptions = {}): Call<T, ProblemOf<E>> {
    return callOf(this.answer(run, options));
  }

  /** Calls a generated function whose operation takes an idempotency key. By default, each call has a new one, which its attempts share. */
  change<T, E>(run: (settings: RequestSettings) => Generated<T>, options: AnyOptions = {}): Call<T, ProblemOf<E>> {
    return callOf(this.answer(run, options, randomKey()));
  }

  /** Calls a generated function for each page of a list. */
  pages<P extends Page<unknown>, E>(
    run: (settings: RequestSettings, cursor: { readonly cursor?: string }) => Generated<P>,
    options: CallOptions = {},
  ): Pages<P, ProblemOf<E>> {
    return new Pages((cursor) =>
      this.call<P, E>((settings) => run(settings, cursor === undefined ? {} : { cursor }), options),
    );
  }

  /** Follows the stream of events at the path. */
  events<E extends Positioned>(
    url: string,
    path: Record<string, unknown>,
    options: EventsOptions = {},
  ): AsyncGenerator<Received<E>, void, undefined> {
    const stream = { url: this.client.buildUrl({ url, path }), beginsWithLatest: Object.keys(path).length > 0 };
    return new LiveUpdates<E>(this.connection, stream, options).events();
  }

  private async answer<T>(
    run: (settings: RequestSettings) => Generated<T>,
    options: AnyOptions,
    defaultKey?: string,
  ): Promise<Answer<T>> {
    let received: Response | undefined;
    const fetch = async (input: Request | URL | string): Promise<Response> => {
      received = await this.connection.send(await repeatable(input as Request, defaultKey), options);
      // The generated client would take a 304 for an error.
      return received.status === 304 ? new Response(null, { status: 204 }) : received;
    };
    const { data, response } = await run({
      client: this.client,
      headers: headersOf(options),
      fetch,
      throwOnError: true,
    });
    const { status, headers } = received ?? response;
    return {
      data: status === 304 ? (undefined as T) : data,
      status,
      etag: headers.get('etag') ?? undefined,
      requestId: headers.get('x-request-id') ?? undefined,
      replayed: headers.get('idempotent-replayed') === 'true',
    };
  }
}

/** Takes a request apart, so that it can be sent more than once. */
async function repeatable(request: Request, defaultKey: string | undefined): Promise<HttpRequest> {
  const { method, url } = request;
  const headers = new Headers(request.headers);
  if (defaultKey !== undefined && !headers.has('idempotency-key')) headers.set('idempotency-key', defaultKey);
  const body = await request.text();
  return { method, url, headers, ...(body !== '' && { body }) };
}

function headersOf({ headers, idempotencyKey, ifMatch, ifNoneMatch }: AnyOptions): Record<string, string> {
  return {
    ...headers,
    ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
    ...(ifMatch !== undefined && { 'if-match': tagOf(ifMatch) }),
    ...(ifNoneMatch !== undefined && { 'if-none-match': tagOf(ifNoneMatch) }),
  };
}

/** A version by itself is a valid ETag. */
function tagOf(version: number | string): string {
  return typeof version === 'number' ? `"${version}"` : version;
}

/** Not `randomUUID`, which pages that are served without TLS do not have. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
