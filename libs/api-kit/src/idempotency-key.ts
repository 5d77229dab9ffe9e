import { createHash } from 'node:crypto';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import { isUuid } from '@twinbox/fields';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { callerOfRequest } from './caller.js';
import { canonicalJson } from './canonical-json.js';
import { documentedBy } from './openapi.js';
import { commonProblems, ProblemException } from './problem.js';
import { validationProblem } from './validation.js';

/** By which a caller says that a request is the same as one before: it is to have its effect once. */
export interface IdempotencyKey {
  /** The user id. The scope of a key is the caller, the method and the path; query parameters do not count. */
  readonly caller: string;
  readonly method: string;
  /** Without the query, and the same however it was spelled. */
  readonly path: string;
  /** What the header says: 1 to 255 visible ASCII characters. */
  readonly key: string;
  /** SHA-256 of the body, whatever the order of its members. */
  readonly requestHash: Buffer;
  /** Called when the answer is a stored one. */
  replayed(): void;
}

const HEADER = 'Idempotency-Key';
/** In bytes: with the caller and the key it must fit into an entry of the index, which has 2,704. */
const MAX_PATH = 1000;

/**
 * The request's `Idempotency-Key` as an argument of a handler, for `UnitOfWork.run`; undefined without the header. The OpenAPI
 * document gets the header and its problems. Not on a `@Public()` route: a key without a caller would be everybody's.
 */
export const IdempotencyKey = createParamDecorator(
  (_: unknown, context: ExecutionContext): IdempotencyKey | undefined => {
    const http = context.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const given = request.raw.headersDistinct[HEADER.toLowerCase()];
    if (given === undefined) return undefined;

    const [key = ''] = given;
    if (given.length > 1) throw invalid(`${HEADER} was sent more than once.`);
    if (!/^[\x21-\x7e]{1,255}$/.test(key)) throw invalid(`${HEADER} must be 1 to 255 visible ASCII characters.`);
    const path = pathOf(request);
    if (Buffer.byteLength(path) > MAX_PATH) throw invalid(`The path is too long for a request with an ${HEADER}.`);
    return {
      caller: callerOfRequest(request).userId,
      method: request.method,
      path,
      key,
      requestHash: hashOf(request.body),
      replayed: () => void http.getResponse<FastifyReply>().header('idempotent-replayed', 'true'),
    };
  },
  [
    documentedBy(
      ApiHeader({
        name: HEADER,
        description:
          'The same key and body again get the stored answer, with `Idempotent-Replayed: true`, and have no second effect. ' +
          'Rejections are not stored. Keys are kept for a day unless configured otherwise.',
        required: false,
        schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[!-~]+$' },
        example: '5f1c2a9e-63f0-4a2b-9d53-0f4a7f6f0c11',
      }),
    ),
  ],
);

/** One path for all its spellings: escapes only where they are needed, and UUIDs in lower case. */
function pathOf({ routeOptions, params }: FastifyRequest): string {
  const values = params as Readonly<Record<string, string>>;
  return (routeOptions.url ?? '').replaceAll(/:(\w+)/g, (_, name: string) => {
    const value = values[name] ?? '';
    return encodeURIComponent(isUuid(value) ? value.toLowerCase() : value);
  });
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
