import {
  type ClaimNames,
  claimOf,
  grantedRoles,
  isLoopback,
  isProduction,
  optionalSecretOf,
  roleMappingOf,
} from '@twinbox/api-kit/edge';
import { Logger } from '@nestjs/common';
import { decodeJwt } from 'jose';
import * as oidc from 'openid-client';
import { Agent, buildConnector, fetch } from 'undici';
import type { ConsoleConfig } from './config.js';
import type { User } from './sessions.js';

const TIMEOUT_SECONDS = 5;

/** What protects one sign-in: it is sent to the provider, or compared with what comes back. */
export interface SignInSecrets {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
}

/** The tokens of a session. */
export interface Tokens {
  readonly user: User;
  readonly accessToken: string;
  readonly expiresAt: Date;
  readonly refreshToken: string | undefined;
  readonly idToken: string | undefined;
}

/** The console as a client of the OpenID provider. The provider's addresses are discovered with the first sign-in that reaches it. */
export class OpenIdClient {
  private readonly logger = new Logger('Sign-in');
  private readonly dispatcher: Agent;
  private readonly claims: ClaimNames;
  private discovered: Promise<oidc.Configuration> | undefined;

  constructor(private readonly config: ConsoleConfig) {
    this.dispatcher = new Agent(connectingTo(config.OIDC_CONNECT_TO));
    this.claims = {
      userClaim: config.JWT_USER_CLAIM,
      rolesClaim: config.JWT_ROLES_CLAIM,
      roleMap: config.JWT_ROLE_MAP.map(roleMappingOf).filter((mapping) => mapping !== undefined),
    };
  }

  /** Returns the provider's page for a sign-in, and the secrets of that sign-in. */
  async begin(): Promise<{ url: URL; secrets: SignInSecrets }> {
    const provider = await this.provider();
    const secrets = { state: oidc.randomState(), nonce: oidc.randomNonce(), verifier: oidc.randomPKCECodeVerifier() };
    const { OIDC_SCOPE, OIDC_RESOURCE, OIDC_PROMPT } = this.config;
    const url = oidc.buildAuthorizationUrl(provider, {
      redirect_uri: this.address('/sign-in/callback'),
      scope: OIDC_SCOPE,
      state: secrets.state,
      nonce: secrets.nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(secrets.verifier),
      code_challenge_method: 'S256',
      ...(OIDC_RESOURCE !== undefined && { resource: OIDC_RESOURCE }),
      ...(OIDC_PROMPT !== undefined && { prompt: OIDC_PROMPT }),
    });
    return { url, secrets };
  }

  /** Exchanges the code of the provider's answer for tokens. Checks its state, and the signature and the nonce of the ID token. */
  async finish(query: string, { state, nonce, verifier }: SignInSecrets): Promise<Tokens> {
    const provider = await this.provider();
    const url = new URL(`${this.address('/sign-in/callback')}${query}`);
    const checks = { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true };
    return this.tokensOf(await oidc.authorizationCodeGrant(provider, url, checks, this.resource()));
  }

  /** @throws an error that {@link isRefusal} recognizes if the provider no longer accepts the refresh token */
  async refresh(tokens: Tokens & { readonly refreshToken: string }): Promise<Tokens> {
    const answer = await oidc.refreshTokenGrant(await this.provider(), tokens.refreshToken, this.resource());
    const refreshed = this.tokensOf(answer);
    return {
      ...refreshed,
      user: { ...tokens.user, ...refreshed.user },
      // A provider that does not rotate them sends no new ones.
      refreshToken: refreshed.refreshToken ?? tokens.refreshToken,
      idToken: refreshed.idToken ?? tokens.idToken,
    };
  }

  /** Withdraws the refresh token if the provider can, and returns the page that ends the provider's session if it has one. */
  async signOut({ refreshToken, idToken }: Tokens): Promise<URL | undefined> {
    const provider = await this.provider();
    const { revocation_endpoint: revocation, end_session_endpoint: endSession } = provider.serverMetadata();
    // The provider's session ends even if this fails, so that nobody signs in again with one click.
    if (revocation && refreshToken)
      await oidc
        .tokenRevocation(provider, refreshToken)
        .catch((error: unknown) => this.logger.warn({ err: error }, 'The provider did not revoke a refresh token.'));
    if (!endSession) return undefined;
    return oidc.buildEndSessionUrl(provider, {
      post_logout_redirect_uri: this.address('/sign-in'),
      ...(idToken !== undefined && { id_token_hint: idToken }),
    });
  }

  close(): Promise<void> {
    return this.dispatcher.destroy();
  }

  private address(path: string): string {
    return new URL(path, this.config.PUBLIC_URL).href;
  }

  private resource(): Record<string, string> {
    return this.config.OIDC_RESOURCE === undefined ? {} : { resource: this.config.OIDC_RESOURCE };
  }

  /** A failed discovery is repeated with the next request. */
  private async provider(): Promise<oidc.Configuration> {
    this.discovered ??= this.discover();
    try {
      return await this.discovered;
    } catch (error) {
      this.discovered = undefined;
      throw error;
    }
  }

  private async discover(): Promise<oidc.Configuration> {
    const { OIDC_ISSUER = '', OIDC_CLIENT_ID, NODE_ENV } = this.config;
    const secret = optionalSecretOf(this.config, 'OIDC_CLIENT_SECRET');
    const issuer = new URL(OIDC_ISSUER);
    const isInsecure = issuer.protocol === 'http:' && (isLoopback(issuer.hostname) || !isProduction(NODE_ENV));
    const dispatcher = this.dispatcher;
    const authentication: oidc.ClientAuth =
      secret === undefined
        ? oidc.None()
        : // The file of a secret is read for each use.
          (...args) => oidc.ClientSecretBasic(typeof secret === 'string' ? secret : secret())(...args);
    return await oidc.discovery(issuer, OIDC_CLIENT_ID, undefined, authentication, {
      timeout: TIMEOUT_SECONDS,
      execute: [oidc.enableNonRepudiationChecks, ...(isInsecure ? [oidc.allowInsecureRequests] : [])],
      [oidc.customFetch]: (url, options) => fetch(url, { ...options, dispatcher } as never),
    });
  }

  /** @throws if the access token is not a JWT with a user, which the services require too */
  private tokensOf(answer: oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers): Tokens {
    const payload = decodeJwt(answer.access_token);
    const id = claimOf(payload, this.claims.userClaim);
    if (typeof id !== 'string' || id === '')
      throw new Error(`The access token has no user in its claim ${this.claims.userClaim}.`);
    const { name, preferred_username: login } = answer.claims() ?? ({} as Partial<oidc.IDToken>);
    const shown = [name, login].find((one) => typeof one === 'string');
    const seconds = payload.exp ?? Math.floor(Date.now() / 1000) + (answer.expires_in ?? 60);
    return {
      user: { id, roles: grantedRoles(payload, this.claims), ...(shown !== undefined && { name: shown }) },
      accessToken: answer.access_token,
      expiresAt: new Date(seconds * 1000),
      refreshToken: answer.refresh_token,
      idToken: answer.id_token,
    };
  }
}

/** Whether the provider no longer accepts a refresh token. A rate limit, for example, is no reason to end a session. */
export function isRefusal(error: unknown): boolean {
  return error instanceof oidc.ResponseBodyError && error.error === 'invalid_grant';
}

/** Returns the options of an agent that connects to `place` whatever the address of a request, like curl's --connect-to. */
function connectingTo(place: string | undefined): Agent.Options {
  if (place === undefined) return {};
  const connect = buildConnector({});
  const [hostname = '', port = ''] = place.split(':');
  return {
    connect: (options, callback) =>
      connect(
        { ...options, servername: options.servername ?? options.hostname, hostname, port, host: place },
        callback,
      ),
  };
}
