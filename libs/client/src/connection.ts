import {
  isProblem,
  problemOf,
  type SentRequest,
  TokenUnavailable,
  TwinboxConnectionError,
  unexpectedContent,
} from './errors.js';
import { type CallOptions, type ClientOptions } from './options.js';
import { isRepeatable, mayPass, pauseBefore } from './retries.js';
import { after, unlessAborted, wait } from './wait.js';

/** A request that can be sent any number of times. */
export interface HttpRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly body?: string;
}

/** One attempt to send a request. */
interface Attempt {
  /** How often the request was sent before. */
  readonly sentBefore: number;
  readonly signal: AbortSignal | undefined;
  /** How long it may take, with its tokens. */
  readonly timeoutMs: number;
  /** Whether the answer is a stream, whose body is read later. Otherwise the body is part of the attempt. */
  readonly isStream?: boolean;
}

/** An attempt whose signal is also aborted when its time is up. */
interface Limited extends Pick<Attempt, 'sentBefore' | 'isStream'> {
  readonly signal: AbortSignal;
}

const ATTEMPTS = 5;
const ATTEMPT_MS = 10_000;
const TOTAL_MS = 30_000;
const EVENT_STREAM = /^text\/event-stream\b/i;
const JSON_CONTENT = /^application\/(?:[\w.-]+\+)?json\b/i;
/** Statuses whose responses have no body. */
const WITHOUT_BODY = new Set([204, 304]);

/** Sends requests to one service, with the credentials of one caller. */
export class Connection {
  constructor(private readonly options: ClientOptions) {}

  /**
   * Sends a request until it is answered, as often as that is safe.
   *
   * @throws TwinboxProblem, TwinboxConnectionError, or the reason of the signal
   */
  async send(request: HttpRequest, call: CallOptions): Promise<Response> {
    const { attempts = ATTEMPTS, attemptMs = ATTEMPT_MS, totalMs = TOTAL_MS } = { ...this.options, ...call };
    const signal = eitherOf(this.options.signal, call.signal);
    const deadline = performance.now() + totalMs;
    let sentBefore = 0;
    for (let number = 1; ; number++) {
      const leftMs = deadline - performance.now();
      try {
        return await this.sendOnce(request, { sentBefore, signal, timeoutMs: Math.min(attemptMs, leftMs) });
      } catch (error) {
        if (number >= attempts || !mayPass(error) || !isRepeatable(request, error)) throw error;
        const pauseMs = pauseBefore(number, error);
        if (performance.now() + pauseMs >= deadline) throw error;
        await wait(pauseMs, signal);
        sentBefore = error.request.attempts;
      }
    }
  }

  /**
   * Sends a request once, and once more if its token was refused and there is a new one, because nothing has been done in that case.
   *
   * @throws TwinboxProblem for any answer but a success or a 304
   */
  async sendOnce(request: HttpRequest, attempt: Attempt): Promise<Response> {
    const { signal, timeoutMs, ...further } = attempt;
    signal?.throwIfAborted();
    const late = new AbortController();
    const timer = after(timeoutMs, () => late.abort(new Error(`It took more than ${Math.round(timeoutMs)} ms.`)));
    const ending = signal ? AbortSignal.any([signal, late.signal]) : late.signal;
    try {
      return await this.sendWithToken(request, { ...further, signal: ending });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  private async sendWithToken(request: HttpRequest, attempt: Limited): Promise<Response> {
    const { sentBefore, signal } = attempt;
    const token = await this.token(sentRequest(request, sentBefore), signal);
    try {
      return await this.exchange(request, token, attempt);
    } catch (error) {
      if (!isProblem(error) || error.status !== 401 || token === undefined) throw error;
      const next = await this.token(sentRequest(request, sentBefore + 1), signal, token);
      if (next === undefined || next === token) throw error;
      return this.exchange(request, next, attempt);
    }
  }

  private async token(sent: SentRequest, signal: AbortSignal, refused?: string): Promise<string | undefined> {
    const { token } = this.options;
    if (typeof token !== 'function') return token;
    try {
      return await unlessAborted(signal, async () => token(refused));
    } catch (error) {
      throw new TokenUnavailable(sent, error);
    }
  }

  private async exchange(request: HttpRequest, token: string | undefined, attempt: Limited): Promise<Response> {
    const { method, url, body } = request;
    const { sentBefore, signal, isStream = false } = attempt;
    const sent = sentRequest(request, sentBefore + 1);
    // Called without `this`, which a browser's own function does not accept.
    const { fetch = globalThis.fetch } = this.options;
    try {
      const response = await fetch(url, {
        method,
        headers: this.headersFor(request, token),
        signal,
        ...(body !== undefined && { body }),
      });
      return await received(response, sent, isStream);
    } catch (error) {
      throw isProblem(error) ? error : new TwinboxConnectionError(sent, error);
    }
  }

  private headersFor(request: HttpRequest, token: string | undefined): Headers {
    const { devUser, headers: common } = this.options;
    const headers = new Headers(common);
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
    if (devUser) headers.set('x-user-id', devUser.id);
    if (devUser?.roles) headers.set('x-roles', devUser.roles.join(','));
    request.headers.forEach((value, name) => headers.set(name, value));
    return headers;
  }
}

/**
 * Reads the body unless it is a stream, so that a connection that breaks in the middle of it fails the attempt, which may be repeated.
 *
 * @throws TwinboxProblem if the answer is neither a success with the right content nor a 304
 */
async function received(response: Response, sent: SentRequest, isStream: boolean): Promise<Response> {
  const { ok, status, headers } = response;
  if (!ok && status !== 304) throw await problemOf(response, sent);
  const type = headers.get('content-type') ?? '';
  const hasContent = isStream || !WITHOUT_BODY.has(status);
  if (hasContent && !(isStream ? EVENT_STREAM : JSON_CONTENT).test(type)) {
    await response.body?.cancel();
    throw unexpectedContent(response, sent);
  }
  return isStream ? response : new Response(hasContent ? await response.text() : null, { status, headers });
}

function eitherOf(one: AbortSignal | undefined, other: AbortSignal | undefined): AbortSignal | undefined {
  return one && other ? AbortSignal.any([one, other]) : (one ?? other);
}

/** Describes a request for an error. */
export function sentRequest({ method, url, headers }: HttpRequest, attempts: number): SentRequest {
  const idempotencyKey = headers.get('idempotency-key');
  return { method, url, attempts, ...(idempotencyKey !== null && { idempotencyKey }) };
}
