import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { Provider } from 'oidc-provider';
import { NOTHING_STORED } from '../identity-provider/nothing-stored.js';

/** A client of the issuer, and its secret. */
export const TOKEN_CLIENT = 'kafka-client';
export const TOKEN_SECRET = 'secret-of-the-kafka-client';
const AUDIENCE = 'urn:kafka';

/** An OpenID provider that gives Kafka clients their tokens (RFC 6749, section 4.4). */
export interface TokenIssuer {
  readonly issuer: string;
  readonly tokenUrl: string;
  readonly jwksUrl: string;
  /** The audience of its tokens, unless `next` has another. */
  readonly audience: string;
  /** What later tokens are like. */
  readonly next: { audience: string; lifetimeSeconds: number };
  /** How many tokens it has issued. */
  readonly issued: () => number;
  close(): Promise<void>;
}

/** Starts an OpenID provider on loopback. Its only client is {@link TOKEN_CLIENT}. */
export async function startTokenIssuer(): Promise<TokenIssuer> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const next = { audience: AUDIENCE, lifetimeSeconds: 3600 };
  const provider = providerOf(issuer, next);
  let issued = 0;
  provider.on('client_credentials.issued', () => issued++);
  const handle = provider.callback();
  server.on('request', (request, response) => void handle(request, response));
  return {
    issuer,
    tokenUrl: `${issuer}/token`,
    jwksUrl: `${issuer}/jwks`,
    audience: AUDIENCE,
    next,
    issued: () => issued,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function providerOf(issuer: string, next: TokenIssuer['next']): Provider {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = { ...privateKey.export({ format: 'jwk' }), kid: 'test', use: 'sig', alg: 'RS256' };
  return new Provider(issuer, {
    clients: [
      {
        client_id: TOKEN_CLIENT,
        client_secret: TOKEN_SECRET,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      },
    ],
    jwks: { keys: [key] },
    cookies: { keys: ['unused'] },
    adapter: () => NOTHING_STORED,
    ttl: { ClientCredentials: () => next.lifetimeSeconds },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        getResourceServerInfo: () => ({
          scope: 'kafka',
          audience: next.audience,
          accessTokenTTL: next.lifetimeSeconds,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  });
}
