import { type KafkaTokenProvider, TOKEN_CLIENT, TOKEN_SECRET } from '@twinbox/tools/secure-servers';
import { type AccessToken } from '#src/kafka-security.js';

export {
  SASL_PASSWORD,
  SASL_USER,
  type SecureKafka,
  type SecurePostgres,
  startSecureKafka,
  startSecurePostgres,
  startKafkaTokenProvider,
  type KafkaTokenProvider,
} from '@twinbox/tools/secure-servers';

/** Gets a token from the issuer, as an application would from its own provider. */
export async function getToken(issuer: KafkaTokenProvider): Promise<AccessToken> {
  const answer = await fetch(issuer.tokenUrl, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${TOKEN_CLIENT}:${TOKEN_SECRET}`)}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'kafka' }),
  });
  const { access_token: value, expires_in: seconds } = (await answer.json()) as {
    access_token: string;
    expires_in: number;
  };
  return { value, expiresInMs: seconds * 1000 };
}
