import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { type Configuration, Provider } from 'oidc-provider';
import { NOTHING_STORED } from './nothing-stored.js';

/** A local OpenID provider whose clients get signed access tokens with their own secrets (RFC 6749, section 4.4). */
export interface OpenIdProviderOptions {
  /** The URL in the claim `iss`. Default: the address that it listens on. */
  readonly issuer?: string;
  /** Default: any free port. */
  readonly port?: number;
  /** Default: loopback. */
  readonly host?: string;
  /** The secrets of the clients, by their ids. */
  readonly clients: Readonly<Record<string, string>>;
  /** The resource of the tokens, also for clients that request none. */
  readonly resource: string;
  /** Returns the properties of the next token. */
  readonly token: () => { readonly audience: string; readonly lifetimeSeconds: number; readonly scope?: string };
  /** Further claims of a client's tokens. */
  readonly claims?: (clientId: string) => Readonly<Record<string, unknown>>;
  /** Called for each token. */
  readonly onToken?: () => void;
}

/** A running provider. */
export interface OpenIdProvider {
  readonly issuer: string;
  readonly stop: () => Promise<void>;
}

/** Starts the provider. Its key is new at each start, so earlier tokens are refused then. */
export async function startOpenIdProvider(options: OpenIdProviderOptions): Promise<OpenIdProvider> {
  const { port = 0, host = '127.0.0.1', onToken } = options;
  const server = createServer();
  await once(server.listen(port, host), 'listening');
  const issuer = options.issuer ?? `http://${host}:${(server.address() as AddressInfo).port}`;
  const provider = new Provider(issuer, configuration(options));
  if (onToken) provider.on('client_credentials.issued', onToken);
  const handle = provider.callback();
  server.on('request', (request, response) => void handle(request, response));
  return { issuer, stop: () => stop(server) };
}

async function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
}

function configuration({ clients, resource, token, claims }: OpenIdProviderOptions): Configuration {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: randomUUID() };
  return {
    adapter: () => NOTHING_STORED,
    clients: Object.entries(clients).map(([client_id, client_secret]) => ({
      client_id,
      client_secret,
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
    })),
    cookies: { keys: [randomBytes(32).toString('base64')] },
    ...(claims && { extraTokenClaims: (_context, { clientId = '' }) => claims(clientId) }),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        getResourceServerInfo: () => {
          const { audience, lifetimeSeconds, scope = '' } = token();
          const format = { accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } } as const;
          return { scope, audience, accessTokenTTL: lifetimeSeconds, ...format };
        },
      },
    },
    jwks: { keys: [key] },
    ttl: { ClientCredentials: () => token().lifetimeSeconds },
  };
}
