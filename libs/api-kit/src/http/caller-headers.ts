import { type Caller, type Identity, type Role, roles, withIncluded } from './caller.js';
import { commonProblems } from './common-problems.js';
import { ProblemException } from './problem.js';

/** The headers that identify the caller with AUTH_MODE=dev. */
export const CALLER_HEADERS: readonly string[] = ['X-User-Id', 'X-Roles'];

/**
 * Matches invisible characters and those that look like others: control, format and default-ignorable characters, private-use and
 * unassigned ones, the empty Braille pattern, the object replacement character, and every space except U+0020. With them the ids of two
 * users could look the same.
 */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}\u2800\ufffc]|(?! )\p{Zs}/u;

/** Identifies the caller with AUTH_MODE=dev, which trusts the headers. */
export function identifyByHeaders(headers: NodeJS.Dict<string[]>): Identity {
  try {
    return { caller: callerOf(headers) };
  } catch (error) {
    if (!(error instanceof ProblemException)) throw error;
    return { isAnonymous: !CALLER_HEADERS.some((name) => name.toLowerCase() in headers), problem: () => error };
  }
}

/** Returns the caller that the headers identify. @throws ProblemException 401 if they do not identify one */
export function callerOf(headers: NodeJS.Dict<string[]>): Caller {
  const users = headers['x-user-id'] ?? [];
  // A second one may have been smuggled past a proxy that checked only the first.
  if (users.length > 1) throw callerUnknown('X-User-Id was sent more than once.');
  const userId = trimmed(decoded(users[0] ?? ''));
  if (userId === '') throw callerUnknown('The X-User-Id header is missing or empty.');
  const problem = userIdProblem(userId);
  if (problem !== undefined) throw callerUnknown(`X-User-Id ${problem}.`);

  const named = (headers['x-roles'] ?? [])
    .join(',')
    .split(',')
    .map(trimmed)
    .filter((role) => role !== '');
  const unknown = named.find((role) => !(roles as readonly string[]).includes(role));
  if (unknown !== undefined) {
    throw callerUnknown(`X-Roles contains ${JSON.stringify(unknown)}, which is not one of ${roles.join(', ')}.`);
  }
  return { userId, roles: withIncluded(named.length > 0 ? (named as Role[]) : ['customer']) };
}

/** Returns why this cannot be a user id, such as `is empty`. */
export function userIdProblem(userId: string): string | undefined {
  if (userId === '') return 'is empty';
  if (trimmed(userId) !== userId) return 'begins or ends with a space';
  // In code points, as PostgreSQL and class-validator count them.
  if (Array.from(userId).length > 255) return 'is longer than 255 characters';
  const [invisible] = INVISIBLE.exec(userId) ?? [];
  return invisible === undefined ? undefined : `contains ${nameOf(invisible)}`;
}

// Node decodes headers as Latin-1 (RFC 9110, section 5.5), but clients send UTF-8. So bytes that are valid UTF-8 are decoded as such.
function decoded(header: string): string {
  const bytes = Buffer.from(header, 'latin1');
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return header;
  }
}

/** Removes the spaces that HTTP allows around a value (RFC 9110, section 5.5). `trim` would also remove no-break spaces and a BOM. */
function trimmed(value: string): string {
  return value.replace(/^[ \t]+|[ \t]+$/g, '');
}

function nameOf(character: string): string {
  const codePoint = `U+${character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}`;
  return /\p{Cc}/u.test(character)
    ? `a control character, ${codePoint}`
    : `${codePoint}, an invisible or ambiguous character`;
}

function callerUnknown(detail: string): ProblemException {
  return new ProblemException({
    code: 'caller-unknown',
    ...commonProblems['caller-unknown'],
    detail,
    headers: { 'www-authenticate': 'Dev realm="twinbox", header="X-User-Id"' },
  });
}
