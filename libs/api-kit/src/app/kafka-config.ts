import { createPrivateKey } from 'node:crypto';
import { MayBeAbsent } from '@twinbox/fields';
import { ArrayNotEmpty, IsNotEmpty, IsString, Matches } from 'class-validator';
import { EnvList, EnvOneOf, EnvOptionalCertificates, EnvOptionalPem, EnvOptionalUrl } from './env.js';

export const SASL_MECHANISMS = ['off', 'plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'] as const;

/** The environment variables of connections to Kafka, for services and commands. */
export class KafkaConfig {
  /** The Kafka brokers as `host:port`, separated by commas. */
  @EnvList()
  @ArrayNotEmpty({ message: 'must be a list such as 127.0.0.1:9092,127.0.0.1:9094' })
  @Matches(/^(\[[\da-fA-F:.]+\]|[^\s:,/]+):\d{1,5}$/, {
    each: true,
    message: 'must be a list such as 127.0.0.1:9092,127.0.0.1:9094',
  })
  KAFKA_BROKERS!: string[];

  /** `on` encrypts connections to Kafka with TLS. The certificate and the host name of each broker are always verified. */
  @EnvOneOf(['on', 'off'])
  KAFKA_SSL: 'on' | 'off' = 'off';

  /** The authorities that may sign the brokers' certificates, in PEM format. Without it, the authorities that Node trusts. */
  @EnvOptionalCertificates()
  KAFKA_SSL_CA: string | undefined;

  /** The client's certificate in PEM format, for brokers that require one. It needs KAFKA_SSL_KEY. */
  @EnvOptionalCertificates('a certificate')
  KAFKA_SSL_CERT: string | undefined;

  /** The unencrypted key of KAFKA_SSL_CERT in PEM format. */
  @EnvOptionalPem('an unencrypted private key', (text) => void createPrivateKey(text))
  KAFKA_SSL_KEY: string | undefined;

  /** How to authenticate with SASL. `plain` and `oauthbearer` need KAFKA_SSL=on, because they send the secret as it is. */
  @EnvOneOf(SASL_MECHANISMS)
  KAFKA_SASL_MECHANISM: (typeof SASL_MECHANISMS)[number] = 'off';

  /** The user for `plain` and `scram-…`. */
  @MayBeAbsent()
  @IsString()
  @IsNotEmpty()
  KAFKA_SASL_USERNAME: string | undefined;

  /** The user's password. */
  @MayBeAbsent()
  @IsString()
  @IsNotEmpty()
  KAFKA_SASL_PASSWORD: string | undefined;

  /** The token endpoint of the OAuth 2.0 provider for `oauthbearer`. Only on loopback may it begin with `http://`. */
  @EnvOptionalUrl(['https:', 'http:'])
  KAFKA_OAUTH_TOKEN_URL: string | undefined;

  /** The client that requests tokens with the grant `client_credentials`. */
  @MayBeAbsent()
  @IsString()
  @IsNotEmpty()
  KAFKA_OAUTH_CLIENT_ID: string | undefined;

  /** The client's secret. */
  @MayBeAbsent()
  @IsString()
  @IsNotEmpty()
  KAFKA_OAUTH_CLIENT_SECRET: string | undefined;

  /** The scope of the tokens, if the provider needs one. */
  @MayBeAbsent()
  @IsString()
  KAFKA_OAUTH_SCOPE: string | undefined;

  /** The audience of the tokens, if the provider needs one. */
  @MayBeAbsent()
  @IsString()
  KAFKA_OAUTH_AUDIENCE: string | undefined;
}
