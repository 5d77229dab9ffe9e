import { DEMO_ORDERS } from '../provisioning/demo-scenarios.js';
import { type OpenIdProvider, startOpenIdProvider } from './openid-provider.js';

export { type OpenIdProvider as IdentityProvider } from './openid-provider.js';

/** The audience of its tokens. */
export const AUDIENCE = 'twinbox';
const TOKEN_SECONDS = 3600;

/** The users with their roles. The password of each is their name. They include the customers of the demo orders. */
export const USERS: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(DEMO_ORDERS.map(({ customer }) => [customer, ['customer']])),
  ops: ['operator'],
  admin: ['admin'],
};

export interface IdentityProviderOptions {
  /** The URL in the claim `iss`. */
  readonly issuer: string;
  readonly port: number;
  readonly host?: string;
  /** The addresses of the consoles at which users may sign in. */
  readonly consoles?: readonly string[];
  /** How long access tokens are valid. An hour by default. */
  readonly tokenSeconds?: number;
  /** Whether consoles get refresh tokens. They do by default. */
  readonly refreshTokens?: boolean;
}

/** The client id of the console. */
export const CONSOLE_CLIENT = 'twinbox-console';

/**
 * Starts a local OpenID provider for trying out `AUTH_MODE=jwt`. Each user is a client that gets access tokens with its own password (client
 * credentials), so that curl is enough, and can sign in to the consoles with a browser. Its key is new at each start, so earlier tokens are refused then.
 */
export async function startIdentityProvider({
  consoles = [],
  tokenSeconds = TOKEN_SECONDS,
  refreshTokens,
  ...options
}: IdentityProviderOptions): Promise<OpenIdProvider> {
  const users = Object.keys(USERS);
  return await startOpenIdProvider({
    ...options,
    signIn: {
      clientId: CONSOLE_CLIENT,
      redirectUris: consoles.map((console) => `${console}/sign-in/callback`),
      signedOutUris: consoles.map((console) => `${console}/sign-in`),
      users,
      refreshTokens,
    },
    clients: Object.fromEntries(users.map((user) => [user, user])),
    resource: `urn:${AUDIENCE}`,
    token: () => ({ audience: AUDIENCE, lifetimeSeconds: tokenSeconds }),
    claims: (user) => ({ roles: USERS[user] }),
  });
}
