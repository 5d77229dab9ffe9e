import { createLocalJWKSet, type JSONWebKeySet } from 'jose';
import { isTamperProof } from './tamper-proof.js';

/** How long the identity provider may take to answer. */
const FETCH_TIMEOUT_MS = 5000;

/** Where an identity provider publishes its keys. */
export interface KeySource {
  /** The issuer of the tokens. Without `jwksUrl`, its discovery document names the address of the keys. */
  readonly issuer: string;
  readonly jwksUrl?: string | undefined;
  /** Whether to refuse keys that anyone on the network could replace. */
  readonly requiresHttps: boolean;
}

/** Loads the keys. @throws Error that says why they cannot be used */
export async function publishedKeys(source: KeySource): Promise<JSONWebKeySet> {
  const url = source.jwksUrl ?? (await discover(source));
  const jwks = (await fetchJson(url)) as Partial<JSONWebKeySet>;
  // A provider without keys is misconfigured. To lock everybody out, it can publish a new key.
  if (!Array.isArray(jwks.keys) || jwks.keys.length === 0) throw new Error(`${url} lists no keys`);
  createLocalJWKSet(jwks as JSONWebKeySet);
  return jwks as JSONWebKeySet;
}

/** Returns the address of the keys according to OpenID Connect Discovery 1.0, section 4. */
async function discover({ issuer, requiresHttps }: KeySource): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const found = (await fetchJson(url)) as { readonly issuer?: unknown; readonly jwks_uri?: unknown };
  if (found.issuer !== issuer) throw new Error(`${url} must name the issuer ${issuer}`);
  const jwksUrl = typeof found.jwks_uri === 'string' ? URL.parse(found.jwks_uri) : null;
  if (!jwksUrl) throw new Error(`${url} has no jwks_uri`);
  if (requiresHttps && !isTamperProof(jwksUrl)) throw new Error(`the jwks_uri of ${url} does not begin with https://`);
  return jwksUrl.href;
}

async function fetchJson(url: string): Promise<object> {
  // A redirect could lead to an address that is not protected by TLS.
  const request = fetch(url, { redirect: 'error', signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
  const response = await request.catch((error: Error) => {
    throw new Error(`${url} cannot be reached: ${reasonOf(error)}`);
  });
  if (!response.ok) throw new Error(`${url} answered with ${response.status}`);
  const json: unknown = await response.json().catch(() => undefined);
  if (typeof json !== 'object' || json === null) throw new Error(`${url} did not answer with a JSON object`);
  return json;
}

/** Returns the reason of a failed fetch, which hides it in its cause. */
function reasonOf({ message, cause }: Error): string {
  const { code, message: hidden } = (cause ?? {}) as { readonly code?: string; readonly message?: string };
  return hidden || code || message;
}
