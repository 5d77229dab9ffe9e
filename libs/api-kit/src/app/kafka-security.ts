import type { KafkaOptions, KafkaSasl, KafkaSecurity } from '@twinbox/messaging';
import { clientCredentials } from './client-credentials.js';
import type { KafkaConfig } from './kafka-config.js';
import { optionalSecretOf, secretOf } from './secret-files.js';

const securities = new WeakMap<KafkaConfig, KafkaSecurity>();

/** Returns how connections to Kafka are secured. All connections of a process must share the object, and with it their token. */
export function kafkaSecurity(config: KafkaConfig): KafkaSecurity {
  const known = securities.get(config);
  if (known) return known;
  const sasl = saslOf(config);
  const security: KafkaSecurity = { ...(config.KAFKA_SSL === 'on' && { tls: tlsOf(config) }), ...(sasl && { sasl }) };
  securities.set(config, security);
  return security;
}

/** Returns the options of a client of Kafka. */
export function kafkaOptions(config: KafkaConfig, clientId: string): KafkaOptions {
  return { brokers: config.KAFKA_BROKERS, clientId, security: kafkaSecurity(config) };
}

function tlsOf(config: KafkaConfig): NonNullable<KafkaSecurity['tls']> {
  const [ca, cert, key] = (['KAFKA_SSL_CA', 'KAFKA_SSL_CERT', 'KAFKA_SSL_KEY'] as const).map((name) =>
    optionalSecretOf(config, name),
  );
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
}

function saslOf(config: KafkaConfig): KafkaSasl | undefined {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: username = '' } = config;
  if (mechanism === 'off') return undefined;
  if (mechanism !== 'oauthbearer') return { mechanism, username, password: secretOf(config, 'KAFKA_SASL_PASSWORD') };
  const token = clientCredentials({
    tokenUrl: config.KAFKA_OAUTH_TOKEN_URL ?? '',
    clientId: config.KAFKA_OAUTH_CLIENT_ID ?? '',
    clientSecret: secretOf(config, 'KAFKA_OAUTH_CLIENT_SECRET'),
    scope: config.KAFKA_OAUTH_SCOPE,
    audience: config.KAFKA_OAUTH_AUDIENCE,
  });
  return { mechanism, token };
}
