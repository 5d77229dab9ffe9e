import { Logger } from '@nestjs/common';
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey, type LocalJWKSet } from 'jose';
import { type KeySource, publishedKeys } from './published-keys.js';

/** The delay before the first repeated attempt to load the keys. It doubles with each failure, up to the cool-down. */
const FIRST_RETRY_MS = 1000;

/** Where the keys are published, and how often they may be loaded. */
export interface TokenKeysOptions extends KeySource {
  readonly refreshMs: number;
  readonly cooldownMs: number;
}

/** Thrown as long as no keys have been loaded, so that no token can be verified. */
export class KeysUnavailable extends Error {}

/**
 * The public keys of the identity provider. They are loaded at the start and then regularly. If that fails, those loaded last stay in use
 * for as long as the failure lasts. A token that names an unknown key makes them load once more, but only if the cool-down has passed since
 * the last attempt, so that forged tokens cannot turn into requests to the identity provider.
 */
export class TokenKeys {
  private readonly logger = new Logger('TokenKeys');
  private keys: LocalJWKSet | undefined;
  private ids = new Set<string | undefined>();
  private published = '';
  private loadedAt: Date | undefined;
  private loading: Promise<void> | undefined;
  private attemptedAt = 0;
  private failures = 0;
  private timer: NodeJS.Timeout | undefined;
  private readonly listeners: (() => void)[] = [];
  private stopped = false;

  constructor(private readonly options: TokenKeysOptions) {}

  /** Loads the keys now, and again at each interval until {@link stop}. */
  start(): void {
    void this.load();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  /** Identifies the keys in use. It changes when the identity provider publishes other keys. */
  get generation(): object | undefined {
    return this.keys;
  }

  /** Calls the listener whenever the identity provider has published other keys. */
  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** Returns `down` if no token can be verified, and `degraded` if the keys in use may be outdated. */
  check(): { readonly status: 'up' | 'degraded' | 'down'; readonly loadedAt?: Date } {
    if (!this.loadedAt) return { status: 'down' };
    return { status: this.failures === 0 ? 'up' : 'degraded', loadedAt: this.loadedAt };
  }

  /** Finds the key of a token for jose. @throws KeysUnavailable */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    if (!this.keys) await this.loading;
    const { keys } = this;
    if (!keys) throw new KeysUnavailable();
    try {
      return await keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await (this.isCoolingDown() ? this.loading : this.load());
      const { keys: newer } = this;
      if (!newer || newer === keys) throw error;
      return await newer(header, token);
    }
  };

  /** Whether a key with this id is in use. If no keys have been loaded, none is known to have been withdrawn. */
  async publishes(keyId: string): Promise<boolean> {
    if (!this.keys || this.ids.has(keyId)) return true;
    // Another replica may have accepted a newer key.
    await (this.isCoolingDown() ? this.loading : this.load());
    return this.ids.has(keyId);
  }

  private isCoolingDown(): boolean {
    return performance.now() - this.attemptedAt < this.options.cooldownMs;
  }

  private load(): Promise<void> {
    clearTimeout(this.timer);
    this.attemptedAt = performance.now();
    return (this.loading ??= publishedKeys(this.options)
      .then(
        (jwks) => this.use(jwks),
        (error: unknown) => this.fail(error as Error),
      )
      .finally(() => {
        this.loading = undefined;
        this.schedule();
      }));
  }

  private use(jwks: JSONWebKeySet): void {
    if (this.failures > 0) this.logger.log('The keys of the identity provider can be loaded again.');
    this.failures = 0;
    this.loadedAt = new Date();
    const published = JSON.stringify(jwks);
    if (published === this.published) return;
    this.keys = createLocalJWKSet(jwks);
    this.published = published;
    this.ids = new Set(jwks.keys.map(({ kid }) => kid));
    for (const listener of this.listeners) listener();
  }

  private fail({ message }: Error): void {
    // Once per outage; health shows how long it lasts.
    if (this.failures === 0) {
      const consequence = this.keys ? 'Those loaded last stay in use.' : 'Until then no token can be verified.';
      this.logger.warn(`The keys of the identity provider cannot be loaded (${message}). ${consequence}`);
    }
    this.failures++;
  }

  private schedule(): void {
    if (this.stopped) return;
    const { refreshMs, cooldownMs } = this.options;
    const delayMs =
      this.failures === 0 ? refreshMs : Math.min(cooldownMs, FIRST_RETRY_MS * 2 ** Math.min(this.failures - 1, 10));
    this.timer = setTimeout(() => void this.load(), delayMs).unref();
  }
}
