import { type AccessToken } from '../kafka-security.js';

/** A token is replaced after this part of its lifetime. */
const FRESH_PART = 0.8;
/** Longer than kafkajs's `reauthenticationThreshold`, so that a connection never authenticates again with the token that is about to expire. */
const LEAST_REMAINING_MS = 12_000;
/** How long a failure to get a token stands. */
const FAILED_MS = 1000;

interface Held {
  readonly token: AccessToken;
  readonly freshUntil: number;
  readonly validUntil: number;
}

/**
 * Caches the token of a provider for all connections. Only one request for a token runs at a time. If a token cannot be replaced in time,
 * it is used until it expires.
 */
export class TokenCache {
  private held: Held | undefined;
  private requesting: Promise<AccessToken> | undefined;
  private failure: { readonly error: Error; readonly until: number } | undefined;

  constructor(
    private readonly provide: () => Promise<AccessToken>,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** @throws what the provider throws, if there is no valid token */
  async get(): Promise<AccessToken> {
    const { held } = this;
    if (held && this.now() < held.freshUntil) return held.token;
    try {
      return await this.request();
    } catch (error) {
      if (held && held === this.held && this.now() < held.validUntil) return held.token;
      throw error;
    }
  }

  /** Forgets the token, unless it has been replaced already, because Kafka has refused it. */
  refused(token: AccessToken): void {
    if (this.held?.token === token) this.held = undefined;
  }

  private request(): Promise<AccessToken> {
    if (this.failure && this.now() < this.failure.until) return Promise.reject(this.failure.error);
    this.requesting ??= this.renew().finally(() => (this.requesting = undefined));
    return this.requesting;
  }

  private async renew(): Promise<AccessToken> {
    try {
      const at = this.now();
      const token = await this.provide();
      const { expiresInMs } = token;
      const freshMs = Math.min(expiresInMs * FRESH_PART, expiresInMs - LEAST_REMAINING_MS);
      this.held = { token, freshUntil: at + freshMs, validUntil: at + expiresInMs };
      this.failure = undefined;
      return token;
    } catch (error) {
      this.failure = { error: error as Error, until: this.now() + FAILED_MS };
      throw error;
    }
  }
}
