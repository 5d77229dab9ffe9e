import { createHash } from 'node:crypto';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import { isUuid } from '@twinbox/fields';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { parseItem } from 'structured-headers';
import { callerOfRequest } from '../http/caller.js';
import { canonicalJson } from '../http/canonical-json.js';
import { documentedBy } from '../http/openapi/route-extensions.js';
import { commonProblems, ProblemException } from '../http/problem.js';
import { validationProblem } from '../http/validation.js';

/** The path and the key in a row of the table of idempotency keys. */
export interface PathAndKey {
  readonly path: string;
  readonly key: string;
}

/** Identifies repeated requests of a caller that must take effect only once. */
export interface IdempotencyKey extends PathAndKey {
  /** The user id. The scope of a key is the caller, the method and the path without the query. */
  readonly caller: string;
  /**
   * Contains `operator` if the caller has that role, which is the only one that lets callers see other people's resources. A response that
   * required it is replayed only to callers who still have it. Routes that require another role check it before the key is looked up.
   */
  readonly roles: readonly string[];
  readonly method: string;
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
  /** The SHA-256 hash of the body, which does not depend on the order of its members. */
  readonly requestHash: Buffer;
  /** Whether the hash belongs to the same body. No body and `{}` count as the same. */
  readonly isSameRequest: (requestHash: Buffer) => boolean;
  /** Called when the response is a stored one. */
  replayed(): void;
}

const HEADER = 'Idempotency-Key';
const MAX_KEY = 255;
/** In bytes. Together with the caller and the key it must fit into an index entry, which has 2,704. */
const MAX_PATH = 1000;
const VISIBLE_KEY = new RegExp(`^[\\x21-\\x7e]{1,${MAX_KEY}}$`);
const INVALID_KEY = `${HEADER} must be 1 to ${MAX_KEY} visible ASCII characters, or a string in quotes.`;

/** The characters of a string and the parameters after it (RFC 9651, section 3.1.2), without the rarer types. */
const QUOTED = String.raw`([ !#-[\]-~]|\\["\\])`;
const VALUE = String.raw`-?\d{1,12}(\.\d{1,3})?|"${QUOTED}*"|[A-Za-z*][\w!#$%&'*+.^|~:/-]*|\?[01]`;
const PARAMETER = `; *[a-z*][a-z0-9_.*-]*(=(${VALUE}))?`;

const NO_BODY = hashOf(undefined);
const EMPTY_BODY = hashOf({});

/**
 * Injects the `Idempotency-Key` of the request into a handler, for `UnitOfWork.run`; undefined without the header. The OpenAPI document
 * gets the header and its problems. It cannot be used on a `@Public()` route, because a key without a caller would be shared by everyone.
 *
 * The key may be a quoted string, as in draft-ietf-httpapi-idempotency-key-header, or unquoted: `"k-1"` and `k-1` are the same key.
 * Parameters after the string are ignored.
 */
export const IdempotencyKey = createParamDecorator(
  (_: unknown, context: ExecutionContext): IdempotencyKey | undefined => {
    const http = context.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const given = request.raw.headersDistinct[HEADER.toLowerCase()];
    if (given === undefined) return undefined;

    const [header = ''] = given;
    if (given.length > 1) throw invalid(`${HEADER} was sent more than once.`);
    const { userId, roles } = callerOfRequest(request);
    const { body } = request;
    const requestHash = hashOf(body);
    const hashes = isEmpty(body) ? [NO_BODY, EMPTY_BODY] : [requestHash];
    return {
      caller: userId,
      roles: [...roles].filter((role) => role === 'operator'),
      method: request.method,
      ...pathAndKeyOf(request, header),
      requestHash,
      isSameRequest: (other) => hashes.some((hash) => hash.equals(other)),
      replayed: () => void http.getResponse<FastifyReply>().header('idempotent-replayed', 'true'),
    };
  },
  [
    documentedBy(
      ApiHeader({
        name: HEADER,
        description:
          'A repeated request with the same key and body has no further effect and gets the stored response, with `Idempotent-Replayed: true`. ' +
          'The key may be quoted, as a structured field; the quotes are not part of it. Rejections are not stored. Keys are kept for a day ' +
          'unless configured otherwise.',
        required: false,
        schema: { type: 'string', pattern: `^([!#-~][!-~]{0,254}|"${QUOTED}{1,255}"(${PARAMETER})*)$` },
        example: '5f1c2a9e-63f0-4a2b-9d53-0f4a7f6f0c11',
      }),
    ),
  ],
);

function pathAndKeyOf(
  request: FastifyRequest,
  header: string,
): Pick<IdempotencyKey, 'path' | 'key' | 'asSent' | 'spellings'> {
  const [sentPath = ''] = request.url.split('?');
  const path = pathOf(request);
  if ([path, sentPath].some((each) => Buffer.byteLength(each) > MAX_PATH))
    throw invalid(`The path is too long for a request with an ${HEADER}.`);
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
    if (!VISIBLE_KEY.test(header)) throw invalid(INVALID_KEY);
    return header;
  }
  const key = stringIn(header);
  if (key === undefined || key.length < 1 || key.length > MAX_KEY) throw invalid(INVALID_KEY);
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
function pathOf({ routeOptions, params }: FastifyRequest): string {
  const values = params as Readonly<Record<string, string>>;
  return (routeOptions.url ?? '').replaceAll(/:(\w+)/g, (_, name: string) => {
    const value = values[name] ?? '';
    return encodeURIComponent(isUuid(value) ? value.toLowerCase() : value);
  });
}

function isEmpty(body: unknown): boolean {
  if (body === undefined) return true;
  return typeof body === 'object' && body !== null && !Array.isArray(body) && Object.keys(body).length === 0;
}

function hashOf(body: unknown): Buffer {
  try {
    return createHash('sha256').update(canonicalJson(body)).digest();
  } catch (error) {
    if (error instanceof RangeError) throw validationProblem([{ pointer: '#', detail: 'is nested too deeply' }]);
    throw error;
  }
}

function invalid(detail: string): ProblemException {
  return new ProblemException({
    code: 'idempotency-key-invalid',
    ...commonProblems['idempotency-key-invalid'],
    detail,
  });
}
