import { hash } from 'node:crypto';
import { errors, jwtVerify, type JWTPayload } from 'jose';
import { type Caller, type Identity, type Unidentified, withIncluded } from '../http/caller.js';
import { userIdProblem } from '../http/caller-headers.js';
import { claimOf, type ClaimNames, grantedRoles } from './token-claims.js';
import { type TokenKeys, KeysUnavailable } from './token-keys.js';
import { keysUnavailable, refused } from './token-problems.js';

/** In characters. Larger than any real token, and small enough that hashing and parsing it costs little. */
const MAX_TOKEN_LENGTH = 8 * 1024;
/** How many verified tokens are remembered. At about 500 bytes each they take 5 MB. */
const MAX_REMEMBERED = 10_000;

/** What a valid token looks like. */
export interface TokenRules extends ClaimNames {
  readonly issuer: string;
  readonly audience: readonly string[];
  readonly type: string;
  readonly algorithms: readonly string[];
  readonly toleranceMs: number;
}

interface Known {
  readonly caller: Caller;
  readonly expiresAtMs: number;
}

interface Remembered extends Known {
  /** The keys that were in use when the token was verified. */
  readonly keys: object | undefined;
}

/**
 * Verifies access tokens (RFC 9068, RFC 8725). A valid token is remembered by its hash, because a signature takes about 50 µs to verify. It
 * is verified again when the identity provider publishes other keys, so a token whose key was withdrawn is refused.
 */
export class TokenVerifier {
  private readonly remembered = new Map<string, Remembered>();

  constructor(
    private readonly keys: TokenKeys,
    private readonly rules: TokenRules,
  ) {}

  /** Returns the caller that the token names, at once if the token was verified before. */
  identify(token: string): Identity | Promise<Identity> {
    if (token.length > MAX_TOKEN_LENGTH) return refused(`The token is longer than ${MAX_TOKEN_LENGTH} characters.`);
    const digest = hash('sha256', token, 'base64');
    const known = this.remembered.get(digest);
    if (known && known.expiresAtMs > Date.now() && known.keys === this.keys.generation) return known;
    this.remembered.delete(digest);
    return this.verify(token, digest);
  }

  private async verify(token: string, digest: string): Promise<Identity> {
    const { issuer, audience, type, algorithms, toleranceMs } = this.rules;
    // Before the verification, so that a key that is withdrawn during it does not count as one in use.
    const keys = this.keys.generation;
    try {
      const { payload, protectedHeader } = await jwtVerify(token, this.keys.find, {
        issuer,
        audience: [...audience],
        typ: type,
        algorithms: [...algorithms],
        requiredClaims: ['exp'],
        clockTolerance: toleranceMs / 1000,
      });
      const identity = this.identityOf(payload, protectedHeader.kid);
      if ('caller' in identity) this.remember(digest, { ...identity, keys });
      return identity;
    } catch (error) {
      if (error instanceof KeysUnavailable) return keysUnavailable();
      if (error instanceof errors.JOSEError) return refused(this.reasonOf(error));
      // A published key that cannot be used, such as an RSA key of 1024 bits.
      return refused('The token cannot be verified with the key that it names.');
    }
  }

  private identityOf(payload: JWTPayload, keyId: string | undefined): Unidentified | Known {
    const { userClaim } = this.rules;
    const userId = claimOf(payload, userClaim);
    if (typeof userId !== 'string') return refused(`The token has no user: its claim ${userClaim} is not a string.`);
    const problem = userIdProblem(userId);
    if (problem) return refused(`The token has no valid user: its claim ${userClaim} ${problem}.`);

    const expiresAtMs = Number(payload.exp) * 1000 + this.rules.toleranceMs;
    const roles = withIncluded(grantedRoles(payload, this.rules));
    const expiresAt = new Date(expiresAtMs);
    return { caller: { userId, roles, expiresAt, ...(keyId !== undefined && { keyId }) }, expiresAtMs };
  }

  private remember(digest: string, token: Remembered): void {
    const [oldest] = this.remembered.size >= MAX_REMEMBERED ? this.remembered.keys() : [];
    if (oldest !== undefined) this.remembered.delete(oldest);
    this.remembered.set(digest, token);
  }

  /** Says why a token is refused. Nothing of the token is quoted, because problems end up in logs and tickets. */
  private reasonOf(error: errors.JOSEError): string {
    if (error instanceof errors.JWTExpired) return 'The token has expired.';
    if (error instanceof errors.JWTClaimValidationFailed) return this.reasonOfClaim(error);
    if (error instanceof errors.JWSSignatureVerificationFailed) return 'The signature of the token is not valid.';
    if (error instanceof errors.JWKSNoMatchingKey)
      return 'The token is not signed with a key that the issuer publishes.';
    if (error instanceof errors.JWKSMultipleMatchingKeys) return 'The token does not name the key that signed it.';
    if (error instanceof errors.JOSEAlgNotAllowed || error instanceof errors.JOSENotSupported)
      return `The token must be signed with ${this.rules.algorithms.join(', ')}.`;
    return 'The token is not a signed JWT.';
  }

  private reasonOfClaim({ claim, reason }: errors.JWTClaimValidationFailed): string {
    if (claim === 'typ') return `The token is not an access token: its type must be ${this.rules.type}.`;
    if (reason === 'missing') return `The token has no claim ${claim}.`;
    if (claim === 'aud') return 'The token is for another audience.';
    if (claim === 'iss') return 'The token is from another issuer.';
    if (claim === 'nbf' && reason === 'check_failed') return 'The token is not valid yet.';
    return `The claim ${claim} of the token is not valid.`;
  }
}
