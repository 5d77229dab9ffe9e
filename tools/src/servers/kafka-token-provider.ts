import { startOpenIdProvider } from '../identity-provider/openid-provider.js';

/** A client of the provider, and its secret. */
export const TOKEN_CLIENT = 'kafka-client';
export const TOKEN_SECRET = 'secret-of-the-kafka-client';
const AUDIENCE = 'urn:kafka';

/** An OpenID provider that gives Kafka clients their tokens. */
export interface KafkaTokenProvider {
  readonly issuer: string;
  readonly tokenUrl: string;
  readonly jwksUrl: string;
  /** The audience of its tokens, unless `next` has another. */
  readonly audience: string;
  /** What later tokens are like. */
  readonly next: { audience: string; lifetimeSeconds: number };
  /** How many tokens it has issued. */
  readonly issued: () => number;
  stop(): Promise<void>;
}

/** Starts an OpenID provider on loopback. Its only client is {@link TOKEN_CLIENT}. */
export async function startKafkaTokenProvider(): Promise<KafkaTokenProvider> {
  const next = { audience: AUDIENCE, lifetimeSeconds: 3600 };
  let issued = 0;
  const { issuer, stop } = await startOpenIdProvider({
    clients: { [TOKEN_CLIENT]: TOKEN_SECRET },
    resource: AUDIENCE,
    token: () => ({ ...next, scope: 'kafka' }),
    onToken: () => issued++,
  });
  return {
    issuer,
    tokenUrl: `${issuer}/token`,
    jwksUrl: `${issuer}/jwks`,
    audience: AUDIENCE,
    next,
    issued: () => issued,
    stop,
  };
}
