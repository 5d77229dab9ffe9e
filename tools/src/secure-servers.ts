export { type Authority, type Certificate, createAuthority } from './servers/certificates.js';
export { SASL_PASSWORD, SASL_USER, type SecureKafka, startSecureKafka } from './servers/secure-kafka.js';
export { type SecurePostgres, startSecurePostgres } from './servers/secure-postgres.js';
export { startTokenIssuer, TOKEN_CLIENT, TOKEN_SECRET, type TokenIssuer } from './servers/token-issuer.js';
