const variables = {
  bootstrap: {
    description: 'The bootstrap servers of your Kafka, as host:port. Several are separated by commas.',
    default: 'localhost:19092',
    examples: ['kafka-1.example:9092,kafka-2.example:9092'],
  },
};

const scheme = (name: string) => ({ $ref: `#/components/securitySchemes/${name}` });

/** Every installation has its own Kafka, so the address is a variable. */
export const servers = {
  secure: {
    host: '{bootstrap}',
    protocol: 'kafka-secure',
    title: 'Kafka with TLS',
    description: 'TLS, with a client certificate or one of the SASL mechanisms. For everything but development.',
    variables,
    security: ['scramSha512', 'scramSha256', 'plain', 'oauthbearer', 'clientCertificate'].map(scheme),
  },
  development: {
    host: '{bootstrap}',
    protocol: 'kafka',
    title: 'Kafka without TLS',
    description: 'No authentication. `npm start` runs such a broker on localhost:19092.',
    variables,
  },
};

/** How a client may authenticate itself. The broker decides which of these it accepts. */
export const securitySchemes = {
  scramSha512: { type: 'scramSha512', description: 'SASL/SCRAM-SHA-512 with user and password.' },
  scramSha256: { type: 'scramSha256', description: 'SASL/SCRAM-SHA-256 with user and password.' },
  plain: {
    type: 'plain',
    description: 'SASL/PLAIN with user and password. They are sent as they are, so it requires TLS.',
  },
  oauthbearer: {
    type: 'oauth2',
    description: 'SASL/OAUTHBEARER with an access token of the OpenID provider that your broker trusts.',
    flows: { clientCredentials: { tokenUrl: 'https://id.example/token', availableScopes: {} } },
  },
  clientCertificate: {
    type: 'X509',
    description: 'A TLS client certificate, signed by an authority that the broker trusts.',
  },
};
