import type { Unidentified } from '../http/caller.js';
import { commonProblems, KEYS_NOT_LOADED } from '../http/common-problems.js';
import { ProblemException } from '../http/problem.js';

/** Returns the WWW-Authenticate header of RFC 6750, section 3. Without an error it only asks for a token. */
export function bearerChallenge(error?: 'invalid_token' | 'insufficient_scope', description = ''): string {
  return `Bearer realm="twinbox"${error ? `, error="${error}", error_description="${quotable(description)}"` : ''}`;
}

/** A request without a token. */
export const WITHOUT_TOKEN: Unidentified = {
  isAnonymous: true,
  problem: () =>
    callerUnknown('This requires an access token, in the header Authorization: Bearer <token>.', bearerChallenge()),
};

/** A request whose token is not accepted, and why. */
export function refused(detail: string): Unidentified {
  return { isAnonymous: false, problem: () => callerUnknown(detail, bearerChallenge('invalid_token', detail)) };
}

/** A request whose token cannot be verified, because no keys have been loaded. */
export function keysUnavailable(): Unidentified {
  const problem = {
    code: 'keys-unavailable',
    ...commonProblems['keys-unavailable'],
    detail: KEYS_NOT_LOADED,
  };
  return { isAnonymous: false, problem: () => new ProblemException(problem) };
}

function callerUnknown(detail: string, challenge: string): ProblemException {
  return new ProblemException({
    code: 'caller-unknown',
    ...commonProblems['caller-unknown'],
    detail,
    headers: { 'www-authenticate': challenge },
  });
}

/** Returns the text without what RFC 6750 does not allow in an error_description, such as quotation marks. */
function quotable(text: string): string {
  return text.replaceAll(/["\\]|[^ -~]/g, '');
}
