import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';

/** How a token differs from a valid one of the customer `ada`. */
export interface TokenFields {
  readonly claims?: Readonly<Record<string, unknown>>;
  /** In seconds from now. */
  readonly expiresIn?: number;
  readonly typ?: string;
  /** Signs with a key that is not published. */
  readonly forged?: boolean;
  /** The id of the key that the token names. */
  readonly kid?: string | undefined;
}

interface SigningKey {
  readonly alg: string;
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

/** An issuer of access tokens for tests. It publishes real keys over HTTP, rotates them, and goes down when a test asks for it. */
export class TokenIssuer {
  /** How often the keys have been requested. */
  requests = 0;
  /** Whether all connections are cut. */
  isDown = false;
  /** What is published instead of the keys. */
  published: unknown;
  /** The address of the keys in the discovery document, if it is not the real one. */
  jwksUrl: string | undefined;
  private rotations = 0;

  private constructor(
    private readonly server: Server,
    private key: SigningKey,
    private readonly forger: SigningKey,
  ) {
    this.published = { keys: [key.jwk] };
  }

  static async start(alg = 'RS256'): Promise<TokenIssuer> {
    const server = createServer();
    const issuer = new TokenIssuer(server, await signingKey(alg, 'key-1'), await signingKey(alg, 'key-1'));
    server.on('request', (request, response) => issuer.answer(request, response));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return issuer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** The variables with which a service accepts its tokens. */
  get env(): Record<string, string> {
    return { AUTH_MODE: 'jwt', OIDC_ISSUER: this.url, JWT_AUDIENCE: 'twinbox' };
  }

  get jwk(): JWK {
    return this.key.jwk;
  }

  /** Returns a token, valid for five minutes unless the fields say otherwise. */
  async token({
    claims,
    expiresIn = 300,
    typ = 'at+jwt',
    forged = false,
    ...header
  }: TokenFields = {}): Promise<string> {
    const { alg, kid, privateKey } = forged ? this.forger : this.key;
    const now = Math.floor(Date.now() / 1000);
    const payload = { iss: this.url, aud: 'twinbox', sub: 'ada', roles: ['customer'], iat: now, exp: now + expiresIn };
    return new SignJWT({ ...payload, ...claims })
      .setProtectedHeader({ alg, typ, ...('kid' in header ? header : { kid }) } as { alg: string })
      .sign(privateKey);
  }

  /** Signs with a new key from now on, and publishes it, with the previous one if there is an overlap. */
  async rotate({ overlap }: { readonly overlap: boolean }): Promise<void> {
    const previous = this.key;
    this.key = await signingKey(previous.alg, `key-${++this.rotations + 1}`);
    this.published = { keys: overlap ? [this.key.jwk, previous.jwk] : [this.key.jwk] };
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  private answer({ url, socket }: IncomingMessage, response: ServerResponse): void {
    if (url === '/keys') this.requests++;
    if (this.isDown) return void socket.destroy();
    const discovery = { issuer: this.url, jwks_uri: this.jwksUrl ?? `${this.url}/keys` };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(url === '/keys' ? this.published : discovery));
  }
}

async function signingKey(alg: string, kid: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { alg, kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}
