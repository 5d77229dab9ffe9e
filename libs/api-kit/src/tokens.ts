/** The verification of access tokens without an HTTP server. */
export { TokenKeys } from './identity/token-keys.js';
export { type TokenRules, TokenVerifier } from './identity/token-verifier.js';
