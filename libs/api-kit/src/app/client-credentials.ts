import type { AccessToken } from '@twinbox/messaging';
import { reveal, type Secret } from '@twinbox/messaging/session-client';
import { allowInsecureRequests, clientCredentialsGrant, ClientSecretBasic, Configuration } from 'openid-client';
import { isLoopback } from '../http/loopback.js';

/** An OAuth 2.0 client that acts on its own behalf. */
export interface ClientCredentials {
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly clientSecret: Secret;
  readonly scope?: string | undefined;
  readonly audience?: string | undefined;
}

const TIMEOUT_SECONDS = 5;
/** For providers that do not say how long a token is valid. */
const DEFAULT_LIFETIME_SECONDS = 60;

/** Returns a function that requests a token with the grant `client_credentials` (RFC 6749, section 4.4). */
export function clientCredentials({ tokenUrl, clientId, clientSecret, scope, audience }: ClientCredentials) {
  const url = new URL(tokenUrl);
  const parameters = { ...(scope !== undefined && { scope }), ...(audience !== undefined && { audience }) };
  return async (): Promise<AccessToken> => {
    const server = { issuer: url.origin, token_endpoint: tokenUrl };
    const client = new Configuration(server, clientId, undefined, ClientSecretBasic(reveal(clientSecret)));
    client.timeout = TIMEOUT_SECONDS;
    if (url.protocol === 'http:' && isLoopback(url.hostname)) allowInsecureRequests(client);
    const answer = await clientCredentialsGrant(client, parameters).catch((error: unknown) => {
      // Without the cause, whose text would repeat the reason in the library's words.
      throw new Error(`${url.origin}${url.pathname} ${reasonOf(error, clientId)}`);
    });
    const seconds = answer.expires_in ?? DEFAULT_LIFETIME_SECONDS;
    return { value: answer.access_token, expiresInMs: seconds * 1000 };
  };
}

interface Failure {
  readonly error?: unknown;
  readonly status?: number;
  readonly message?: string;
  readonly cause?: { readonly code?: string };
}

/** The provider's own error codes (RFC 6749, section 5.2) say more than the messages of the library. */
function reasonOf(error: unknown, clientId: string): string {
  const { error: code, status, message, cause } = error as Failure;
  if (code === 'invalid_client' || status === 401) return `refuses the client ${clientId}. Check its id and its secret`;
  if (typeof code === 'string') return `gives no token to the client ${clientId} (${code})`;
  return `gives no token (${cause?.code ?? message ?? 'unknown error'})`;
}
