import { Logger } from '@nestjs/common';
import { isRefusal, type OpenIdClient, type Tokens } from './openid-client.js';
import { problem } from './problems.js';
import { type Credentials, SessionEnded, type User } from './sessions.js';

/** How long before it expires a token is renewed, if it is valid for at least five times as long. */
const MARGIN_MS = 30_000;
/** The shortest time between two attempts while the provider cannot be reached and the token is still valid. */
const RETRY_MS = 5000;

/** The access token of a session, which is renewed before it expires. It never leaves this server except in requests to the services. */
export class TokenCredentials implements Credentials {
  private readonly logger = new Logger('Sign-in');
  private renewal: Promise<void> | undefined;
  private renewAt: number;

  constructor(
    private readonly client: OpenIdClient,
    private tokens: Tokens,
  ) {
    this.renewAt = renewalOf(tokens);
  }

  get user(): User {
    return this.tokens.user;
  }

  get validUntil(): Date | undefined {
    return this.tokens.refreshToken === undefined ? this.tokens.expiresAt : undefined;
  }

  async headers(): Promise<Record<string, string>> {
    const { refreshToken } = this.tokens;
    if (refreshToken !== undefined && Date.now() >= this.renewAt) {
      // All requests of the session wait for one renewal, because a provider that rotates refresh tokens accepts each only once.
      this.renewal ??= this.renew({ ...this.tokens, refreshToken }).finally(() => (this.renewal = undefined));
      await this.renewal;
    }
    if (this.tokens.expiresAt.getTime() <= Date.now()) throw new SessionEnded();
    return { authorization: `Bearer ${this.tokens.accessToken}` };
  }

  async signOut(): Promise<URL | undefined> {
    try {
      return await this.client.signOut(this.tokens);
    } catch (error) {
      this.logger.warn({ err: error }, 'The provider could not be notified that a user has signed out.');
      return undefined;
    }
  }

  /** @throws SessionEnded if the provider refuses, or a problem if it cannot be reached and the token has expired */
  private async renew(tokens: Tokens & { readonly refreshToken: string }): Promise<void> {
    try {
      const renewed = await this.client.refresh(tokens);
      if (renewed.user.id !== tokens.user.id) throw new SessionEnded();
      this.tokens = renewed;
      this.renewAt = renewalOf(renewed);
    } catch (error) {
      if (error instanceof SessionEnded || isRefusal(error)) throw new SessionEnded(undefined, { cause: error });
      this.logger.warn({ err: error }, 'The provider did not renew an access token.');
      if (tokens.expiresAt.getTime() <= Date.now()) throw problem('provider-unavailable');
      this.renewAt = Math.min(Date.now() + RETRY_MS, tokens.expiresAt.getTime());
    }
  }
}

function renewalOf({ expiresAt }: Tokens): number {
  const remaining = expiresAt.getTime() - Date.now();
  return expiresAt.getTime() - Math.min(MARGIN_MS, remaining / 5);
}
