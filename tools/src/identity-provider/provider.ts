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
}

/**
 * Starts a local OpenID provider for trying out `AUTH_MODE=jwt`. Each user is a client that gets access tokens with its own password (client
 * credentials), so that curl is enough. Its key is new at each start, so earlier tokens are refused then.
 */
export async function startIdentityProvider(options: IdentityProviderOptions): Promise<OpenIdProvider> {
  return await startOpenIdProvider({
    ...options,
    clients: Object.fromEntries(Object.keys(USERS).map((user) => [user, user])),
    resource: `urn:${AUDIENCE}`,
    token: () => ({ audience: AUDIENCE, lifetimeSeconds: TOKEN_SECONDS }),
    claims: (user) => ({ roles: USERS[user] }),
  });
}
