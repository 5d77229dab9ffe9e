import { isProduction } from '../app/env.js';
import type { ServiceConfig } from '../app/service-config.js';
import type { Identify } from './identify-callers.js';
import { roleMappingOf } from './token-claims.js';
import { TokenKeys } from './token-keys.js';
import { refused, WITHOUT_TOKEN } from './token-problems.js';
import { TokenVerifier } from './token-verifier.js';

/** Creates the keys with which AUTH_MODE=jwt verifies tokens. */
export function tokenKeysOf(config: ServiceConfig): TokenKeys {
  const { OIDC_ISSUER: issuer = '', JWT_JWKS_URL: jwksUrl, JWKS_REFRESH, JWKS_COOLDOWN, NODE_ENV } = config;
  const requiresHttps = isProduction(NODE_ENV);
  return new TokenKeys({ issuer, jwksUrl, requiresHttps, refreshMs: JWKS_REFRESH, cooldownMs: JWKS_COOLDOWN });
}

/** Identifies callers with AUTH_MODE=jwt, by the access token of RFC 6750, section 2.1. Other headers do not matter. */
export function identifyByToken(config: ServiceConfig, keys: TokenKeys): Identify {
  const verifier = verifierOf(config, keys);
  return ({ authorization = [] }) => {
    const [credentials, ...others] = authorization;
    if (credentials === undefined) return WITHOUT_TOKEN;
    if (others.length > 0) return refused('Authorization was sent more than once.');
    const [, token] = /^bearer +([\w.~+/-]+=*) *$/i.exec(credentials) ?? [];
    return token === undefined
      ? refused('Authorization must be the word Bearer and an access token.')
      : verifier.identify(token);
  };
}

function verifierOf(config: ServiceConfig, keys: TokenKeys): TokenVerifier {
  return new TokenVerifier(keys, {
    issuer: config.OIDC_ISSUER ?? '',
    audience: config.JWT_AUDIENCE,
    type: config.JWT_TYPE,
    algorithms: config.JWT_ALGORITHMS,
    toleranceMs: config.JWT_CLOCK_TOLERANCE,
    userClaim: config.JWT_USER_CLAIM,
    rolesClaim: config.JWT_ROLES_CLAIM,
    roleMap: config.JWT_ROLE_MAP.map(roleMappingOf).filter((mapping) => mapping !== undefined),
  });
}
