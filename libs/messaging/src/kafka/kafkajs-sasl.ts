import { type Authenticator, type AuthenticationProviderArgs, type Mechanism } from 'kafkajs';
// @ts-expect-error -- kafkajs has no types for its internals
import plain from 'kafkajs/src/broker/saslAuthenticator/plain.js';
// @ts-expect-error -- kafkajs has no types for its internals
import scram256 from 'kafkajs/src/broker/saslAuthenticator/scram256.js';
// @ts-expect-error -- kafkajs has no types for its internals
import scram512 from 'kafkajs/src/broker/saslAuthenticator/scram512.js';
import { describeError } from '../errors.js';
import { type AccessToken, type KafkaSasl } from '../kafka-security.js';
import { reveal } from '../secret.js';
import { KafkaRefusal } from './kafka-refusal.js';
import { TokenCache } from './token-cache.js';

type Provider = (credentials: object) => (args: object) => Authenticator;
const WITH_PASSWORD = { plain, 'scram-sha-256': scram256, 'scram-sha-512': scram512 } as Record<string, Provider>;
const SILENT = { debug() {}, error() {} };

type PasswordSasl = Exclude<KafkaSasl, { mechanism: 'oauthbearer' }>;
type BearerSasl = Extract<KafkaSasl, { mechanism: 'oauthbearer' }>;

/**
 * Returns the settings with which kafkajs authenticates. kafkajs's own authenticators would keep the first password, and do not say why a
 * token was refused.
 */
export function saslMechanism(sasl: KafkaSasl): Mechanism {
  const { mechanism } = sasl;
  if (sasl.mechanism !== 'oauthbearer')
    return { mechanism, authenticationProvider: (args) => ({ authenticate: () => withPassword(sasl, args) }) };
  const tokens = new TokenCache(() => newToken(sasl));
  return { mechanism, authenticationProvider: (args) => ({ authenticate: () => withToken(tokens, args) }) };
}

async function withPassword(
  { mechanism, username, password }: PasswordSasl,
  { host, port, saslAuthenticate }: AuthenticationProviderArgs,
): Promise<void> {
  let answer: unknown;
  const exchange: typeof saslAuthenticate = async (message) => {
    try {
      return await saslAuthenticate(message);
    } catch (error) {
      answer = error;
      throw error;
    }
  };
  try {
    const args = { host, port, logger: SILENT, saslAuthenticate: exchange };
    await WITH_PASSWORD[mechanism]?.({ username, password: reveal(password) })(args).authenticate();
  } catch (error) {
    // kafkajs wraps outages too.
    if (answer !== undefined && !isRefusedLogin(answer)) throw answer;
    if (answer !== undefined)
      throw new KafkaRefusal(
        `${host}:${port}`,
        `refuses the password of user ${username} (${mechanism.toUpperCase()}). Check the user name and the password`,
      );
    throw new KafkaRefusal(`${host}:${port}`, `cannot authenticate user ${username}: ${describeError(error)}`);
  }
}

async function newToken({ token }: BearerSasl): Promise<AccessToken> {
  const answer = await token();
  if (!(answer.expiresInMs > 0)) throw new Error('the provider returned a token that has expired');
  return answer;
}

async function withToken(
  tokens: TokenCache,
  { host, port, saslAuthenticate }: AuthenticationProviderArgs,
): Promise<void> {
  const address = `${host}:${port}`;
  let token: AccessToken;
  try {
    token = await tokens.get();
  } catch (error) {
    throw new KafkaRefusal(address, `needs a token, but there is none: ${describeError(error)}`);
  }
  const extensions = Object.entries(token.extensions ?? {}).map(([name, value]) => `${SEPARATOR}${name}=${value}`);
  const message = `n,,${SEPARATOR}auth=Bearer ${token.value}${extensions.join('')}${SEPARATOR}${SEPARATOR}`;
  let problem: string;
  try {
    problem = await exchanged(saslAuthenticate, message);
  } catch (error) {
    if (!isRefusedLogin(error)) throw error;
    problem = describeError(error);
  }
  if (problem === '') return;
  tokens.refused(token);
  throw new KafkaRefusal(address, `refuses the token (${problem}). Check its audience, its issuer and its scope`);
}

/** Separates the parts of a message, and is the answer to a refusal (RFC 7628, sections 3.1 and 3.2.3). */
const SEPARATOR = '\u0001';

/** Sends the token. Returns why it was refused, or an empty text. */
async function exchanged(
  saslAuthenticate: AuthenticationProviderArgs['saslAuthenticate'],
  message: string,
): Promise<string> {
  const answer = await saslAuthenticate<string>({ request: bytes(message), response: text });
  if (!answer) return '';
  // Kafka reports the refusal only after this.
  await saslAuthenticate({ request: bytes(SEPARATOR), response: text }).catch(() => undefined);
  return String((JSON.parse(answer) as { status?: unknown }).status);
}

/** A SASL message in kafkajs's format, with its length in front. */
function bytes(message: string) {
  const content = Buffer.from(message);
  const length = Buffer.alloc(4);
  length.writeInt32BE(content.length);
  return { encode: () => Buffer.concat([length, content]) };
}

const text = {
  decode: (answer: Buffer) => answer.subarray(4),
  parse: (answer: Buffer) => answer.toString(),
};

function isRefusedLogin(error: unknown): boolean {
  return (error as { type?: unknown }).type === 'SASL_AUTHENTICATION_FAILED';
}
