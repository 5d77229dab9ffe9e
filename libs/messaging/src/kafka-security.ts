import { type Secret } from './secret.js';

/** How connections to Kafka are encrypted and authenticated. Default: neither. */
export interface KafkaSecurity {
  /** Encrypts connections. The broker's certificate and host name are always verified. */
  readonly tls?: KafkaTls;
  /** Authenticates with a user name or a token. A client certificate in `tls` authenticates without it. */
  readonly sasl?: KafkaSasl;
}

/** The TLS settings, as PEM texts. A function is called for every new connection, so a renewed certificate needs no restart. */
export interface KafkaTls {
  /** The certificates of the authorities that brokers' certificates may be signed by. Default: those that Node trusts. */
  readonly ca?: Secret;
  /** The client's certificate, followed by its intermediate ones. It needs a `key`. */
  readonly cert?: Secret;
  /** The unencrypted key of the client's certificate. */
  readonly key?: Secret;
}

/** A SASL mechanism with its credentials. `plain` and `oauthbearer` send them as they are, so they must be used with `tls`. */
export type KafkaSasl =
  | {
      readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
      readonly username: string;
      readonly password: Secret;
    }
  | {
      readonly mechanism: 'oauthbearer';
      /**
       * Gets a new token, whichever provider it is from. The library caches tokens, never calls this twice at a time, and gets the next
       * token before the present one expires or when Kafka has refused it.
       */
      readonly token: () => Promise<AccessToken>;
    };

/** A token for SASL/OAUTHBEARER. */
export interface AccessToken {
  readonly value: string;
  /** For how long it is valid from now on, in milliseconds. */
  readonly expiresInMs: number;
  /** SASL extensions, which some providers need. */
  readonly extensions?: Readonly<Record<string, string>>;
}
