import { generateKeyPairSync } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import { KafkaConfig } from './kafka-config.js';
import { kafkaOptions, kafkaSecurity } from './kafka-security.js';
import { ConfigError, loadConfig } from './load-config.js';

const [CA = ''] = rootCertificates;
const KEY = String(
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'pem', type: 'pkcs8' }),
);
const USER = { KAFKA_SASL_USERNAME: 'twinbox', KAFKA_SASL_PASSWORD: 's3cret' };
const CLIENT = {
  KAFKA_OAUTH_TOKEN_URL: 'https://id.example/token',
  KAFKA_OAUTH_CLIENT_ID: 'twinbox',
  KAFKA_OAUTH_CLIENT_SECRET: 's3cret',
};

const load = (env: Record<string, string>) => loadConfig(KafkaConfig, { KAFKA_BROKERS: 'kafka:9092', ...env });

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    load(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

it('connects without TLS and authentication by default', () => {
  expect(kafkaOptions(load({}), 'test')).toEqual({ brokers: ['kafka:9092'], clientId: 'test', security: {} });
});

it.each(['plain', 'scram-sha-256', 'scram-sha-512'])('authenticates with %s', (mechanism) => {
  const config = load({ KAFKA_SSL: 'on', KAFKA_SASL_MECHANISM: mechanism, ...USER });

  expect(kafkaSecurity(config)).toEqual({ tls: {}, sasl: { mechanism, username: 'twinbox', password: 's3cret' } });
});

it('authenticates with tokens, which all connections of a process share', () => {
  const config = load({ KAFKA_SSL: 'on', KAFKA_SSL_CA: CA, KAFKA_SASL_MECHANISM: 'oauthbearer', ...CLIENT });

  expect(kafkaSecurity(config)).toEqual({
    tls: { ca: CA.trim() },
    sasl: { mechanism: 'oauthbearer', token: expect.any(Function) },
  });
  expect(kafkaSecurity(config)).toBe(kafkaSecurity(config));
});

it('accepts SCRAM without TLS, because it does not send the password', () => {
  expect(problemsOf({ KAFKA_SASL_MECHANISM: 'scram-sha-512', ...USER })).toEqual([]);
});

it.each<[string, Record<string, string>, string | RegExp]>([
  ['a CA without TLS', { KAFKA_SSL_CA: CA }, 'KAFKA_SSL_CA has no effect without KAFKA_SSL=on.'],
  ['a certificate without its key', { KAFKA_SSL: 'on', KAFKA_SSL_CERT: CA }, /^KAFKA_SSL_KEY is not set/],
  ['a key without its certificate', { KAFKA_SSL: 'on', KAFKA_SSL_KEY: KEY }, /^KAFKA_SSL_CERT is not set/],
  [
    'the key of another certificate',
    { KAFKA_SSL: 'on', KAFKA_SSL_CERT: CA, KAFKA_SSL_KEY: KEY },
    'KAFKA_SSL_KEY is not the key of KAFKA_SSL_CERT.',
  ],
  ['a password without a mechanism', { KAFKA_SASL_PASSWORD: 's3cret' }, /^KAFKA_SASL_PASSWORD has no effect without/],
  ['PLAIN without TLS', { KAFKA_SASL_MECHANISM: 'plain', ...USER }, /the password as it is, so it needs KAFKA_SSL=on/],
  [
    'tokens without TLS',
    { KAFKA_SASL_MECHANISM: 'oauthbearer', ...CLIENT },
    /the token as it is, so it needs KAFKA_SSL=on/,
  ],
  [
    'a mechanism without a password',
    { KAFKA_SASL_MECHANISM: 'scram-sha-512', KAFKA_SASL_USERNAME: 'a' },
    'KAFKA_SASL_PASSWORD is not set: KAFKA_SASL_MECHANISM=scram-sha-512 needs it.',
  ],
  [
    'a client with a password mechanism',
    { KAFKA_SASL_MECHANISM: 'scram-sha-512', ...USER, KAFKA_OAUTH_CLIENT_ID: 'a' },
    'KAFKA_OAUTH_CLIENT_ID has no effect with KAFKA_SASL_MECHANISM=scram-sha-512.',
  ],
  [
    'a secret that is sent in plain text',
    {
      KAFKA_SSL: 'on',
      KAFKA_SASL_MECHANISM: 'oauthbearer',
      ...CLIENT,
      KAFKA_OAUTH_TOKEN_URL: 'http://id.example/token',
    },
    /^KAFKA_OAUTH_TOKEN_URL must begin with https/,
  ],
  ['an unknown mechanism', { KAFKA_SASL_MECHANISM: 'gssapi' }, /^KAFKA_SASL_MECHANISM="gssapi": it must be off, plain/],
])('P10 refuses %s', (_, env, problem) => {
  expect(problemsOf(env)).toEqual([typeof problem === 'string' ? problem : expect.stringMatching(problem)]);
});

it('P10 refuses what is no certificate or key, and does not show it', () => {
  const problems = problemsOf({ KAFKA_SSL: 'on', KAFKA_SSL_CA: 's3cret', KAFKA_SSL_CERT: CA, KAFKA_SSL_KEY: 's3cret' });

  expect([...problems].sort()).toEqual([
    'KAFKA_SSL_CA="(not shown)": it must be certificates in PEM format.',
    'KAFKA_SSL_KEY="(not shown)": it must be an unencrypted private key in PEM format.',
  ]);
});

it('is independent of the variables of a service', () => {
  expect(problemsOf({ DATABASE_URL: 'nonsense', PORT: 'x' })).toEqual([]);
});
