/** A role of a caller. An admin is also an operator. */
export type Role = 'customer' | 'operator' | 'admin';

/**
 * Returns the access token for a request, from the caller's own cache. After a 401 it is called once more with the token that was refused,
 * and should then get a new one. Without a token, a request is anonymous. If it throws, or takes longer than an attempt may, the attempt has
 * failed, and another one may follow.
 */
export type TokenProvider = (refused?: string) => string | undefined | Promise<string | undefined>;

/** How a client reaches its service, and as whom. */
export interface ClientOptions {
  /** The address of the service, such as `https://orders.example.com`. A path, such as `/api/orders`, is relative to the page. */
  readonly baseUrl: string;
  /** The access token of the caller, or a function that returns it. */
  readonly token?: string | TokenProvider;
  /** The caller, for a service with `AUTH_MODE=dev`. */
  readonly devUser?: { readonly id: string; readonly roles?: readonly Role[] };
  /** Headers of every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Replaces `fetch`, for example to send requests through a proxy. */
  readonly fetch?: typeof globalThis.fetch;
  /** How often a request is sent at most, with all its retries. Default 5; 1 never retries. */
  readonly attempts?: number;
  /** How long one attempt may take, with the token provider, in milliseconds. Default 10,000. */
  readonly attemptMs?: number;
  /** How long a call may take with all its retries, in milliseconds. Default 30,000. */
  readonly totalMs?: number;
  /** Ends every call of the client, as the signal of the call does. */
  readonly signal?: AbortSignal;
}

/** What every call may state. */
export interface CallOptions {
  /** Ends the call, and any wait for a token or before a retry, at once. The call then throws the reason of the signal. */
  readonly signal?: AbortSignal;
  /** Further headers. They take precedence over those of the client. */
  readonly headers?: Readonly<Record<string, string>>;
  /** As in {@link ClientOptions}, for this call. */
  readonly attempts?: number;
  /** As in {@link ClientOptions}, for this call. */
  readonly attemptMs?: number;
  /** As in {@link ClientOptions}, for this call. */
  readonly totalMs?: number;
}

/** Preconditions on the version of a resource. An unmet one is a 412 `version-conflict`. */
export interface Preconditions {
  /** The version, or the ETag, that the resource must have. `*`: it must exist. */
  readonly ifMatch?: number | string;
  /** A version, or an ETag, that the resource must not have. `*`: it must not exist. */
  readonly ifNoneMatch?: number | string;
}

/** What a POST that takes an idempotency key may state. */
export interface Idempotency {
  /**
   * Identifies the change, so that it takes effect once however often it is sent. By default, each call has a new key, which its retries
   * share. State one to repeat a call that failed without an answer, even in another process, or from another page.
   */
  readonly idempotencyKey?: string;
}

/** The options of a call, whichever of them the operation takes. */
export type AnyOptions = CallOptions & Preconditions & Idempotency;
