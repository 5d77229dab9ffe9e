import { randomBytes } from 'node:crypto';
import { isLoopback } from '@twinbox/api-kit/edge';
import { Logger } from '@nestjs/common';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AuthorizationResponseError } from 'openid-client';
import type { ConsoleConfig } from './config.js';
import type { Cookies } from './cookies.js';
import { isRefusal, type OpenIdClient, type SignInSecrets } from './openid-client.js';
import { safePath } from './safe-path.js';
import { Sealer } from './sealed.js';
import type { Sessions } from './sessions.js';
import { TokenCredentials } from './token-credentials.js';

/** How long a user may take at the provider's pages. */
const SIGN_IN_SECONDS = 600;
/** How long the browser may take to follow the address of a sign-out, and how many sign-outs may wait for that. */
const SIGN_OUT_MS = 60_000;
const MAX_SIGN_OUTS = 1000;

interface Attempt extends SignInSecrets {
  readonly next: string;
}

/** Signs users in at the OpenID provider, by the authorization code flow with PKCE (RFC 6749, RFC 7636, RFC 9700). */
export class SignIn {
  private readonly logger = new Logger('Sign-in');
  private readonly attempts = new Sealer<Attempt>(SIGN_IN_SECONDS);
  private readonly signOuts = new Map<string, URL>();

  constructor(
    private readonly config: ConsoleConfig,
    private readonly client: OpenIdClient,
    private readonly sessions: Sessions,
    private readonly cookies: Cookies,
  ) {}

  addRoutes(server: FastifyInstance): void {
    server.get('/sign-in/start', (request, reply) => this.start(request, reply));
    server.get('/sign-in/callback', (request, reply) => this.callback(request, reply));
    server.get('/sign-out', (request, reply) => this.leave(request, reply));
  }

  /** Returns an address of this server that sends the browser on once. Scripts see it instead of the ID token in the provider's address. */
  signOutAddress(provider: URL): string {
    const ticket = randomBytes(32).toString('base64url');
    const [oldest] = this.signOuts.keys();
    if (oldest !== undefined && this.signOuts.size >= MAX_SIGN_OUTS) this.signOuts.delete(oldest);
    this.signOuts.set(ticket, provider);
    setTimeout(() => this.signOuts.delete(ticket), SIGN_OUT_MS).unref();
    return `/sign-out?ticket=${ticket}`;
  }

  private async start(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const next = safePath((request.query as { next?: unknown }).next);
    const publicUrl = new URL(this.config.PUBLIC_URL ?? '');
    // The cookie would belong to 127.0.0.1, but the provider sends the browser to localhost.
    if (request.host !== publicUrl.host && isLoopback(request.hostname) && isLoopback(publicUrl.hostname))
      return reply.redirect(new URL(`/sign-in/start?next=${encodeURIComponent(next)}`, publicUrl).href);
    try {
      const { url, secrets } = await this.client.begin();
      this.cookies.setSignIn(reply, await this.attempts.seal({ ...secrets, next }), SIGN_IN_SECONDS);
      return reply.redirect(url.href);
    } catch (error) {
      return this.failed(reply, next, error);
    }
  }

  private async callback(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const attempt = await this.attempts.open(this.cookies.signIn(request));
    this.cookies.clearSignIn(reply);
    if (!attempt) return this.backToSignIn(reply, '/', 'sign_in_expired');
    try {
      const query = request.url.slice(request.url.indexOf('?'));
      const tokens = await this.client.finish(query.startsWith('?') ? query : '', attempt);
      const earlier = this.sessions.find(this.cookies.session(request));
      const session = this.sessions.start(new TokenCredentials(this.client, tokens), earlier);
      this.cookies.setSession(reply, session.id);
      this.logger.log({ userId: tokens.user.id }, 'A user has signed in.');
      return reply.redirect(attempt.next);
    } catch (error) {
      return this.failed(reply, attempt.next, error);
    }
  }

  private leave(request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const { ticket } = request.query as { ticket?: unknown };
    const url = this.signOuts.get(String(ticket));
    this.signOuts.delete(String(ticket));
    return reply.redirect(url?.href ?? '/sign-in');
  }

  private failed(reply: FastifyReply, next: string, error: unknown): FastifyReply {
    if (error instanceof AuthorizationResponseError && error.error === 'access_denied')
      return this.backToSignIn(reply, next, 'access_denied');
    const isAnswer = isRefusal(error) || error instanceof AuthorizationResponseError || !isOutage(error);
    this.logger.warn({ err: error }, isAnswer ? 'A sign-in has failed.' : 'The OpenID provider cannot be reached.');
    return this.backToSignIn(reply, next, isAnswer ? 'sign_in_failed' : 'provider_unavailable');
  }

  private backToSignIn(reply: FastifyReply, next: string, error: string): FastifyReply {
    return reply.redirect(`/sign-in?${new URLSearchParams({ error, next }).toString()}`);
  }
}

/** Whether no answer came, or one that only a broken provider or a proxy in front of it gives. */
function isOutage(error: unknown): boolean {
  const { name, code, cause } = error as { name?: string; code?: string; cause?: { status?: number } };
  return (
    name === 'TypeError' ||
    name === 'TimeoutError' ||
    code === 'OAUTH_TIMEOUT' ||
    (cause?.status ?? 0) >= 500 ||
    /fetch failed/.test(String(error))
  );
}
