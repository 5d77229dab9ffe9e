import { isUuid } from '@twinbox/fields';
import { parseItem } from 'structured-headers';
import { commonProblems } from '../http/common-problems.js';
import type { EdgeRequest } from '../http/edge-request.js';
import { ProblemException } from '../http/problem.js';

/** The path and the key in a row of the table of idempotency keys. */
export interface PathAndKey {
  readonly path: string;
  readonly key: string;
}

/** The path and the key of a request, and other spellings of them. */
export interface NormalizedPathAndKey extends PathAndKey {
  /** The path of the route with normalized parameters: decoded, and UUIDs in lower case. */
  readonly path: string;
  /** 1 to 255 characters, without surrounding quotes. A leading quote that belongs to the key becomes “; see `pathAndKeyOf`. */
  readonly key: string;
  /**
   * The path and the key as they were sent, if they differ. A process of the previous version looks for the key and stores it there. Also
   * undefined if that version rejects the key.
   */
  readonly asSent: PathAndKey | undefined;
  /** Under which a process of the previous version may have stored the key: any of these keys with any of these paths. */
  readonly spellings: { readonly paths: readonly string[]; readonly keys: readonly string[] };
}

export const HEADER = 'Idempotency-Key';
const MAX_KEY = 255;
/** In bytes. Together with the caller and the key it must fit into an index entry, which has 2,704. */
const MAX_PATH = 1000;
const VISIBLE_KEY = new RegExp(`^[\\x21-\\x7e]{1,${MAX_KEY}}$`);
const INVALID_KEY = `${HEADER} must be 1 to ${MAX_KEY} visible ASCII characters, or a string in quotes.`;

/** The characters of a string and the parameters after it (RFC 9651, section 3.1.2), without the rarer types. */
const QUOTED = String.raw`([ !#-[\]-~]|\\["\\])`;
const VALUE = String.raw`-?\d{1,12}(\.\d{1,3})?|"${QUOTED}*"|[A-Za-z*][\w!#$%&'*+.^|~:/-]*|\?[01]`;
const PARAMETER = `; *[a-z*][a-z0-9_.*-]*(=(${VALUE}))?`;
/** The pattern of a valid header. */
export const HEADER_PATTERN = `^([!#-~][!-~]{0,254}|"${QUOTED}{1,255}"(${PARAMETER})*)$`;

/** Returns the path and the key of a request. @throws ProblemException 400 if the header is invalid or the path is too long */
export function pathAndKeyOf(request: EdgeRequest, header: string): NormalizedPathAndKey {
  const [sentPath = ''] = request.url.split('?');
  const path = pathOf(request);
  if ([path, sentPath].some((each) => Buffer.byteLength(each) > MAX_PATH))
    throw invalidKey(`The path is too long for a request with an ${HEADER}.`);
  const value = keyIn(header);
  // The previous version stored quoted keys with their quotes, so a key that itself begins with a quote must not look like one of those.
  // No other key contains a character outside ASCII.
  const key = value.replace(/^"/, '“');
  const isAsSent = path === sentPath && key === header;
  const inQuotes = `"${value.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
  return {
    path,
    key,
    asSent: isAsSent || !VISIBLE_KEY.test(header) ? undefined : { path: sentPath, key: header },
    spellings: {
      paths: [...new Set([path, sentPath])],
      keys: [...new Set([key, header, inQuotes])].filter((each) => each.length <= MAX_KEY),
    },
  };
}

/** Parses a quoted key as a string of RFC 9651, section 3.3.3. Any other key is taken literally. */
function keyIn(header: string): string {
  if (!header.startsWith('"')) {
    if (!VISIBLE_KEY.test(header)) throw invalidKey(INVALID_KEY);
    return header;
  }
  const key = stringIn(header);
  if (key === undefined || key.length < 1 || key.length > MAX_KEY) throw invalidKey(INVALID_KEY);
  return key;
}

function stringIn(header: string): string | undefined {
  try {
    const [value] = parseItem(header);
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the route's path with the values of its parameters. UUIDs in capitals are the same UUIDs, and `%61` is the same as `a`. */
function pathOf({ routeOptions, params }: EdgeRequest): string {
  const values = params as Readonly<Record<string, string>>;
  return (routeOptions.url ?? '').replaceAll(/:(\w+)/g, (_, name: string) => {
    const value = values[name] ?? '';
    return encodeURIComponent(isUuid(value) ? value.toLowerCase() : value);
  });
}

/** Returns the problem for an invalid header. */
export function invalidKey(detail: string): ProblemException {
  return new ProblemException({
    code: 'idempotency-key-invalid',
    ...commonProblems['idempotency-key-invalid'],
    detail,
  });
}
