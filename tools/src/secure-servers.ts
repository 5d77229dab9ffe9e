export { type Authority, type Certificate, createAuthority } from './servers/certificates.js';
export { runsJava } from './servers/runs-java.js';
export { SASL_PASSWORD, SASL_USER, saslVariables, type SecureKafka, startSecureKafka } from './servers/secure-kafka.js';
export { type SecurePostgres, startSecurePostgres } from './servers/secure-postgres.js';
export {
  startKafkaTokenProvider,
  TOKEN_CLIENT,
  TOKEN_SECRET,
  type KafkaTokenProvider,
} from './servers/kafka-token-provider.js';
