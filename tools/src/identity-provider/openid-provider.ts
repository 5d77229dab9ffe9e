import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { type ClientMetadata, type Configuration, Provider } from 'oidc-provider';
import { createMemoryAdapter } from 'oidc-provider/lib/adapters/memory_adapter.js';
import { NOTHING_STORED } from './nothing-stored.js';
import { answerSignIn, isSignInPage, signInPage, signOutPage } from './sign-in-page.js';

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
  /** Further claims of the tokens of a client or a user. */
  readonly claims?: (id: string) => Readonly<Record<string, unknown>>;
  /** Lets users sign in with a browser. Without it, the provider has nothing to store. */
  readonly signIn?: SignInOptions;
  /** Called for each token. */
  readonly onToken?: () => void;
}

/** How users sign in: by the authorization code flow with PKCE, to a public client. */
export interface SignInOptions {
  readonly clientId: string;
  /** Where the browser is sent after a sign-in. */
  readonly redirectUris: readonly string[];
  /** Where the browser is sent after a sign-out. */
  readonly signedOutUris: readonly string[];
  /** The names of the users, which are also their passwords. */
  readonly users: readonly string[];
  /** Whether clients get refresh tokens. They do by default. */
  readonly refreshTokens?: boolean | undefined;
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
  const users = options.signIn?.users;
  server.on('request', (request, response) => {
    if (!users || !isSignInPage(request)) return void handle(request, response);
    answerSignIn(provider, users, request, response).catch(() =>
      response.writeHead(400, { 'content-type': 'text/plain' }).end('This sign-in has expired. Start again.\n'),
    );
  });
  return { issuer, stop: () => stop(server) };
}

async function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
}

function configuration({ clients, resource, token, claims, signIn }: OpenIdProviderOptions): Configuration {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: randomUUID() };
  return {
    // The memory adapter keeps at most 1,000 things.
    adapter: signIn ? createMemoryAdapter() : () => NOTHING_STORED,
    ...(signIn && signInConfiguration(signIn, resource)),
    clients: [
      ...Object.entries(clients).map(([client_id, client_secret]) => ({
        client_id,
        client_secret,
        grant_types: ['client_credentials'],
        response_types: [],
        redirect_uris: [],
      })),
      ...(signIn ? [publicClient(signIn)] : []),
    ],
    cookies: { keys: [randomBytes(32).toString('base64')] },
    ...(claims && {
      extraTokenClaims: (_context, of) => claims(('accountId' in of ? of.accountId : undefined) ?? of.clientId ?? ''),
    }),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      revocation: {
        enabled: signIn !== undefined,
        allowedPolicy: (_context, client, of) => of.clientId === client.clientId,
      },
      rpInitiatedLogout: { enabled: signIn !== undefined, logoutSource: showSignOut },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: () => {
          const { audience, lifetimeSeconds, scope = '' } = token();
          const format = { accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } } as const;
          return { scope, audience, accessTokenTTL: lifetimeSeconds, ...format };
        },
      },
    },
    jwks: { keys: [key] },
    ttl: {
      AccessToken: () => token().lifetimeSeconds,
      ClientCredentials: () => token().lifetimeSeconds,
      ...SIGN_IN_SECONDS,
    },
  };
}

/** How long what belongs to a sign-in is valid. */
const SIGN_IN_SECONDS = { Grant: 86_400, IdToken: 3600, Interaction: 600, RefreshToken: 28_800, Session: 86_400 };

const showSignOut: NonNullable<NonNullable<Configuration['features']>['rpInitiatedLogout']>['logoutSource'] = (
  context,
  form,
) => {
  context.body = signOutPage(form);
};

function publicClient({ clientId, redirectUris, signedOutUris }: SignInOptions): ClientMetadata {
  return {
    client_id: clientId,
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: [...redirectUris],
    post_logout_redirect_uris: [...signedOutUris],
  };
}

function signInConfiguration({ users, refreshTokens = true }: SignInOptions, resource: string): Configuration {
  const scopes = ['openid', 'profile', 'offline_access'];
  return {
    scopes,
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'] },
    // The name of the user is in the ID token, so that a client needs no further request.
    conformIdTokenClaims: false,
    findAccount: (_context, accountId) =>
      users.includes(accountId)
        ? { accountId, claims: () => ({ sub: accountId, name: accountId, preferred_username: accountId }) }
        : undefined,
    interactions: { url: (_context, { uid }) => signInPage(uid) },
    // The only client belongs to the same system, so nobody needs to allow it anything.
    loadExistingGrant: async ({ oidc: { client, session, provider } }) => {
      const grant = new provider.Grant({ clientId: client?.clientId ?? '', accountId: session?.accountId ?? '' });
      grant.addOIDCScope(scopes.join(' '));
      grant.addResourceScope(resource, '');
      await grant.save();
      return grant;
    },
    issueRefreshToken: () => refreshTokens,
  };
}
