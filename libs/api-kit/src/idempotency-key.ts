import { createHash } from 'node:crypto';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import { isUuid } from '@twinbox/fields';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { parseItem } from 'structured-headers';
import { callerOfRequest } from './caller.js';
import { canonicalJson } from './canonical-json.js';
import { documentedBy } from './openapi.js';
import { commonProblems, ProblemException } from './problem.js';
import { validationProblem } from './validation.js';

/** A path and a key, as a row of the idempotency keys has them. */
export interface KeyPlace {
  readonly path: string;
  readonly key: string;
}

/** By which a caller says that a request is the same as one before: it is to have its effect once. */
export interface IdempotencyKey extends KeyPlace {
  /** The user id. The scope of a key is the caller, the method and the path; query parameters do not count. */
  readonly caller: string;
  /**
   * `operator`, if the caller has it: the only role that shows a caller more than their own. An answer that needed it is for callers who
   * still have it. What needs another role is guarded before the key is looked up.
   */
  readonly roles: readonly string[];
  readonly method: string;
  /** With its parameters decoded and ids in lower case, however they are spelled in the URL. */
  readonly path: string;
  /** 1 to 255 characters, without the quotes that they may stand in. A quote at the beginning is “ here; see `placesOf`. */
  readonly key: string;
  /**
   * The path and the key as they were sent, if those are others: there a process of the previous version looks for the key, and stores
   * it. Undefined too when that version refuses the key.
   */
  readonly asSent: KeyPlace | undefined;
  /** The same key as processes of the previous version may have stored it: any of these keys with any of these paths. */
  readonly spellings: { readonly paths: readonly string[]; readonly keys: readonly string[] };
  /** SHA-256 of the body, whatever the order of its members. */
  readonly requestHash: Buffer;
  /** Whether the hash is that of the same body: none at all and `{}` are the same. */
  readonly isSameRequest: (requestHash: Buffer) => boolean;
  /** Called when the answer is a stored one. */
  replayed(): void;
}

const HEADER = 'Idempotency-Key';
const MAX_KEY = 255;
/** In bytes: with the caller and the key it must fit into an entry of the index, which has 2,704. */
const MAX_PATH = 1000;
const VISIBLE_KEY = new RegExp(`^[\\x21-\\x7e]{1,${MAX_KEY}}$`);
const INVALID_KEY = `${HEADER} must be 1 to ${MAX_KEY} visible ASCII characters, or a string in quotes.`;

/** A character of a string, and a parameter behind it, by RFC 9651, section 3.1.2. Its rarer types are left out. */
const QUOTED = String.raw`([ !#-[\]-~]|\\["\\])`;
const VALUE = String.raw`-?\d{1,12}(\.\d{1,3})?|"${QUOTED}*"|[A-Za-z*][\w!#$%&'*+.^|~:/-]*|\?[01]`;
const PARAMETER = `; *[a-z*][a-z0-9_.*-]*(=(${VALUE}))?`;

const NO_BODY = hashOf(undefined);
const EMPTY_BODY = hashOf({});

/**
 * The request's `Idempotency-Key` as an argument of a handler, for `UnitOfWork.run`; undefined without the header. The OpenAPI
 * document gets the header and its problems. Not on a `@Public()` route: a key without a caller would be everybody's.
 *
 * The key may be a string in quotes, as draft-ietf-httpapi-idempotency-key-header has it, or stand without them: `"k-1"` and `k-1`
 * are the same. Parameters after the string are ignored.
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
      ...placesOf(request, header),
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
          'The same key and body again get the stored answer, with `Idempotent-Replayed: true`, and have no second effect. ' +
          'A key in quotes, as a structured field, is the key between them. Rejections are not stored. Keys are kept for a day ' +
          'unless configured otherwise.',
        required: false,
        schema: { type: 'string', pattern: `^([!#-~][!-~]{0,254}|"${QUOTED}{1,255}"(${PARAMETER})*)$` },
        example: '5f1c2a9e-63f0-4a2b-9d53-0f4a7f6f0c11',
      }),
    ),
  ],
);

function placesOf(
  request: FastifyRequest,
  header: string,
): Pick<IdempotencyKey, 'path' | 'key' | 'asSent' | 'spellings'> {
  const [sentPath = ''] = request.url.split('?');
  const path = pathOf(request);
  if ([path, sentPath].some((each) => Buffer.byteLength(each) > MAX_PATH))
    throw invalid(`The path is too long for a request with an ${HEADER}.`);
  const value = keyIn(header);
  // The previous version stored keys with the quotes around them, so one that begins with a quote itself must not look like those.
  // No other key has a character beyond ASCII.
  const key = value.replace(/^"/, '“');
  const sentAlike = path === sentPath && key === header;
  const inQuotes = `"${value.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
  return {
    path,
    key,
    asSent: sentAlike || !VISIBLE_KEY.test(header) ? undefined : { path: sentPath, key: header },
    spellings: {
      paths: [...new Set([path, sentPath])],
      keys: [...new Set([key, header, inQuotes])].filter((each) => each.length <= MAX_KEY),
    },
  };
}

/** A key in quotes is read as RFC 9651, section 3.3.3, defines it; any other key is taken as it is. */
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

/** The route's path with the values of its parameters. An id in capitals is the same id, and `%61` is the same as `a`. */
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
