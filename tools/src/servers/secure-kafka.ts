import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { OperationalError } from '../errors.js';
import { type Authority, createAuthority, writeKeyStore } from './certificates.js';
import { contextOf, removeData, serverOf } from './kafka.js';
import { downloadJars, findJava } from './kafka-jars.js';
import { NodeOnJava } from './kafka-on-java.js';
import { type KafkaOptions, type KafkaServer } from './kafka-server.js';
import { steadyPorts } from './ports.js';
import { type KafkaTokenProvider } from './kafka-token-provider.js';

/** The user of the mechanisms with a password. */
export const SASL_USER = 'twinbox';
export const SASL_PASSWORD = 'secret-of-twinbox';

/** Returns the variables with which a service uses the listener that requires SASL. `ca` is the authority's certificate in PEM format. */
export const saslVariables = (ca: string): Readonly<Record<string, string>> => ({
  KAFKA_SSL: 'on',
  KAFKA_SSL_CA: ca,
  KAFKA_SASL_MECHANISM: 'scram-sha-512',
  KAFKA_SASL_USERNAME: SASL_USER,
  KAFKA_SASL_PASSWORD: SASL_PASSWORD,
});

/** A broker that listens in several ways, each `host:port`. Its certificate is valid for 127.0.0.1 only. */
export interface SecureKafka extends KafkaServer {
  /** TLS, and SASL with PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512. */
  readonly sasl: string;
  /** TLS with a client certificate. */
  readonly mutual: string;
  /** TLS, and SASL with OAUTHBEARER. Absent without a token issuer. */
  readonly bearer: string | undefined;
  readonly authority: Authority;
  /** Changes the password of {@link SASL_USER} for SCRAM-SHA-512. */
  setPassword(password: string): Promise<void>;
}

export interface SecureKafkaOptions extends Omit<KafkaOptions, 'port'> {
  /** Whose tokens the broker accepts. The issuer must be running, because the broker fetches its keys when it starts. */
  readonly tokens?: Pick<KafkaTokenProvider, 'jwksUrl' | 'issuer' | 'audience'>;
  /** How long an authentication is valid, in milliseconds. Default: for as long as the connection. */
  readonly maxReauthMs?: number;
}

/**
 * Starts a broker with the settings of the `kafka` service in docker-compose.yml, and further listeners with TLS and authentication.
 * `brokers` is the listener without either, for tests that look at its contents. It runs with Java from Kafka's own jars even where a
 * Docker engine is running.
 */
export async function startSecureKafka(options: SecureKafkaOptions = {}): Promise<SecureKafka> {
  const context = await contextOf({ shortLived: true, ...options });
  const java = await findJava();
  if (!java) throw new OperationalError('A broker with TLS runs from its jars, but Java 17 or newer was not found');
  const jars = await downloadJars(context);
  const { tokens } = options;
  const [port = 0, sasl = 0, mutual = 0, bearer = 0] = await steadyPorts(4);
  const authority = await createAuthority(context.dataDir);
  const keyStore = join(context.dataDir, 'broker.pem');
  await writeKeyStore(await authority.issue({ name: 'broker', hosts: 'IP:127.0.0.1' }), keyStore);
  const extras = {
    listeners: { SASL: sasl, MUTUAL: mutual, ...(tokens && { BEARER: bearer }) },
    properties: { ...tlsProperties(authority.caFile, keyStore), ...saslProperties(options) },
    formatOptions: ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
      '--add-scram',
      `${mechanism}=[name=${SASL_USER},password=${SASL_PASSWORD}]`,
    ]),
    javaOptions: tokens ? [`-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=${tokens.jwksUrl}`] : [],
  };
  const node = new NodeOnJava({ ...context, extras }, java, jars, port);
  const server = serverOf(node, port, () => removeData(context, options.logFile !== undefined));
  try {
    await node.start();
  } catch (error) {
    await server.remove();
    throw error;
  }
  const at = (listener: number) => `127.0.0.1:${listener}`;
  return {
    ...server,
    sasl: at(sasl),
    mutual: at(mutual),
    bearer: tokens && at(bearer),
    authority,
    async setPassword(password) {
      const user = ['--entity-type', 'users', '--entity-name', SASL_USER];
      const change = ['--alter', '--add-config', `SCRAM-SHA-512=[password=${password}]`];
      const command = ['kafka.admin.ConfigCommand', '--bootstrap-server', at(port), ...user, ...change];
      await promisify(execFile)(java, ['-XX:TieredStopAtLevel=1', '-cp', join(jars, '*'), ...command]);
    },
  };
}

function tlsProperties(caFile: string, keyStore: string): Record<string, string> {
  return {
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': keyStore,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': caFile,
    'listener.name.mutual.ssl.client.auth': 'required',
  };
}

function saslProperties({ tokens, maxReauthMs }: SecureKafkaOptions): Record<string, string> {
  const login = 'org.apache.kafka.common.security';
  const scram = `${login}.scram.ScramLoginModule required;`;
  return {
    'listener.security.protocol.map':
      'CONTROLLER:PLAINTEXT,EXTERNAL:PLAINTEXT,SASL:SASL_SSL,MUTUAL:SSL,BEARER:SASL_SSL',
    'listener.name.sasl.sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    'listener.name.sasl.plain.sasl.jaas.config': `${login}.plain.PlainLoginModule required user_${SASL_USER}="${SASL_PASSWORD}";`,
    'listener.name.sasl.scram-sha-256.sasl.jaas.config': scram,
    'listener.name.sasl.scram-sha-512.sasl.jaas.config': scram,
    ...(maxReauthMs !== undefined && { 'connections.max.reauth.ms': String(maxReauthMs) }),
    ...(tokens && {
      'listener.name.bearer.sasl.enabled.mechanisms': 'OAUTHBEARER',
      'listener.name.bearer.oauthbearer.sasl.jaas.config': `${login}.oauthbearer.OAuthBearerLoginModule required;`,
      'listener.name.bearer.oauthbearer.sasl.server.callback.handler.class': `${login}.oauthbearer.OAuthBearerValidatorCallbackHandler`,
      'listener.name.bearer.sasl.oauthbearer.jwks.endpoint.url': tokens.jwksUrl,
      'listener.name.bearer.sasl.oauthbearer.expected.audience': tokens.audience,
      'listener.name.bearer.sasl.oauthbearer.expected.issuer': tokens.issuer,
    }),
  };
}
