export { type TokenFields, TokenIssuer } from './token-issuer.js';
