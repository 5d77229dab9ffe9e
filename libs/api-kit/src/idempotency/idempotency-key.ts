import { createHash } from 'node:crypto';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import { callerOfRequest } from '../http/caller.js';
import { canonicalJson } from '../http/canonical-json.js';
import { type AnswerHeaders, answerHeadersOf, type EdgeRequest, requestOf } from '../http/edge-request.js';
import { documentedBy } from '../http/openapi/route-extensions.js';
import { validationProblem } from '../http/validation-problem.js';
import { HEADER, HEADER_PATTERN, invalidKey, type NormalizedPathAndKey, pathAndKeyOf } from './path-and-key.js';

/** Identifies repeated requests of a caller that must take effect only once. */
export interface IdempotencyKey extends NormalizedPathAndKey {
  /** The user id. The scope of a key is the caller, the method and the path without the query. */
  readonly caller: string;
  /**
   * Contains `operator` if the caller has that role, which is the only one that lets callers see other people's resources. A response that
   * required it is replayed only to callers who still have it. Routes that require another role check it before the key is looked up.
   */
  readonly roles: readonly string[];
  readonly method: string;
  /** The SHA-256 hash of the body, which does not depend on the order of its members. */
  readonly requestHash: Buffer;
  /** Whether the hash belongs to the same body. No body and `{}` count as the same. */
  readonly isSameRequest: (requestHash: Buffer) => boolean;
  /** Called when the response is a stored one. */
  replayed(): void;
}

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
    return idempotencyKeyOf(requestOf(context), answerHeadersOf(context));
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
        schema: { type: 'string', pattern: HEADER_PATTERN },
        example: '5f1c2a9e-63f0-4a2b-9d53-0f4a7f6f0c11',
      }),
    ),
  ],
);

/** Returns the key of a request, whose answer then says whether it is a stored one. Undefined without the header. @throws ProblemException 400 */
export function idempotencyKeyOf(request: EdgeRequest, answer: AnswerHeaders): IdempotencyKey | undefined {
  const given = request.raw.headersDistinct[HEADER.toLowerCase()];
  if (given === undefined) return undefined;

  const [header = ''] = given;
  if (given.length > 1) throw invalidKey(`${HEADER} was sent more than once.`);
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
    replayed: () => void answer.header('idempotent-replayed', 'true'),
  };
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
