import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import OpenIdProvider, { type Configuration } from 'oidc-provider';
import { DEMO_ORDERS } from '../provisioning/demo-scenarios.js';
import { NOTHING_STORED } from './nothing-stored.js';

/** The audience of its tokens. */
export const AUDIENCE = 'twinbox';
const TOKEN_SECONDS = 3600;

/** The users with their roles. The password of each is their name. They include the customers of the demo orders. */
export const USERS: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(DEMO_ORDERS.map(({ customer }) => [customer, ['customer']])),
  ops: ['operator'],
  admin: ['admin'],
};

export interface IdentityProvider {
  stop(): Promise<void>;
}

export interface IdentityProviderOptions {
  /** The URL in the claim `iss`. */
  readonly issuer: string;
  readonly port: number;
  readonly host?: string;
}

/**
 * Starts a local OpenID provider for trying out `AUTH_MODE=jwt`. Each user is a client that gets access tokens with its own password (client
 * credentials), so that curl is enough. Its key is new at each start, so earlier tokens are refused then.
 */
export async function startIdentityProvider({
  issuer,
  port,
  host = '127.0.0.1',
}: IdentityProviderOptions): Promise<IdentityProvider> {
  const server = new OpenIdProvider(issuer, configuration()).listen(port, host);
  await once(server, 'listening');
  return {
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function configuration(): Configuration {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: randomUUID() };
  const resource = {
    scope: '',
    audience: AUDIENCE,
    accessTokenFormat: 'jwt',
    accessTokenTTL: TOKEN_SECONDS,
  } as const;
  return {
    adapter: () => NOTHING_STORED,
    clients: Object.keys(USERS).map((user) => ({
      client_id: user,
      client_secret: user,
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
    })),
    cookies: { keys: [randomBytes(32).toString('base64')] },
    extraTokenClaims: (_context, { clientId = '' }) => ({ roles: USERS[clientId] }),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => `urn:${AUDIENCE}`,
        getResourceServerInfo: () => resource,
      },
    },
    jwks: { keys: [key] },
    ttl: { ClientCredentials: TOKEN_SECONDS },
  };
}
