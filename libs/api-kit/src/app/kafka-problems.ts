import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isLoopback } from '../http/loopback.js';
import { type KafkaConfig, SASL_MECHANISMS } from './kafka-config.js';

type Variable = keyof KafkaConfig;

const TLS = ['KAFKA_SSL_CA', 'KAFKA_SSL_CERT', 'KAFKA_SSL_KEY'] as const;
const PASSWORD = ['KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD'] as const;
const CLIENT = ['KAFKA_OAUTH_TOKEN_URL', 'KAFKA_OAUTH_CLIENT_ID', 'KAFKA_OAUTH_CLIENT_SECRET'] as const;
const OPTIONAL = ['KAFKA_OAUTH_SCOPE', 'KAFKA_OAUTH_AUDIENCE'] as const;

/** Returns the combinations of variables that have no effect, or less effect than it seems. */
export function kafkaProblemsOf(config: KafkaConfig): string[] {
  return [...tlsProblemsOf(config), ...saslProblemsOf(config)];
}

function tlsProblemsOf(config: KafkaConfig): string[] {
  const { KAFKA_SSL, KAFKA_SSL_CERT: cert, KAFKA_SSL_KEY: key } = config;
  if (KAFKA_SSL !== 'on') return unused(config, TLS, 'without KAFKA_SSL=on');
  if (cert !== undefined && key === undefined) return [missing('KAFKA_SSL_KEY', 'KAFKA_SSL_CERT')];
  if (cert === undefined && key !== undefined) return [missing('KAFKA_SSL_CERT', 'KAFKA_SSL_KEY')];
  return cert === undefined || belongTogether(cert, key) ? [] : ['KAFKA_SSL_KEY is not the key of KAFKA_SSL_CERT.'];
}

function saslProblemsOf(config: KafkaConfig): string[] {
  const { KAFKA_SSL, KAFKA_SASL_MECHANISM: mechanism, KAFKA_OAUTH_TOKEN_URL: tokenUrl } = config;
  const setting = `KAFKA_SASL_MECHANISM=${mechanism}`;
  // The validation of the variable reports an unknown mechanism.
  if (!SASL_MECHANISMS.includes(mechanism)) return [];
  if (mechanism === 'off') return unused(config, [...PASSWORD, ...CLIENT, ...OPTIONAL], 'without KAFKA_SASL_MECHANISM');
  const isBearer = mechanism === 'oauthbearer';
  const problems = (isBearer ? CLIENT : PASSWORD)
    .filter((name) => config[name] === undefined)
    .map((name) => missing(name, setting));
  problems.push(...unused(config, isBearer ? PASSWORD : [...CLIENT, ...OPTIONAL], `with ${setting}`));
  if (KAFKA_SSL !== 'on' && !mechanism.startsWith('scram'))
    problems.push(
      `${setting}: it sends the ${isBearer ? 'token' : 'password'} as it is, so it needs KAFKA_SSL=on. Or use scram-sha-512.`,
    );
  const url = URL.parse(tokenUrl ?? '');
  if (url?.protocol === 'http:' && !isLoopback(url.hostname))
    problems.push('KAFKA_OAUTH_TOKEN_URL must begin with https://, because the secret of the client is sent there.');
  return problems;
}

function unused(config: KafkaConfig, names: readonly Variable[], when: string): string[] {
  return names.filter((name) => config[name] !== undefined).map((name) => `${name} has no effect ${when}.`);
}

const missing = (name: string, because: string) => `${name} is not set: ${because} needs it.`;

/** True if one cannot be parsed, because the validation of its variable reports that. */
function belongTogether(cert: string, key: string | undefined): boolean {
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key ?? ''));
  } catch {
    return true;
  }
}
