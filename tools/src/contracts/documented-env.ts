/**
 * The settings of the services whose contracts are documented. The required ones connect nowhere, because no service starts. The documents
 * describe how callers identify themselves in production, so AUTH_MODE is `jwt`. All other settings are the defaults.
 */
export const DOCUMENTED_ENV = {
  AUTH_MODE: 'jwt',
  OIDC_ISSUER: 'https://id.example',
  JWT_AUDIENCE: 'twinbox',
  DATABASE_URL: 'postgres://127.0.0.1/twinbox',
  KAFKA_BROKERS: '127.0.0.1:9092',
  LOG_LEVEL: 'fatal',
};
