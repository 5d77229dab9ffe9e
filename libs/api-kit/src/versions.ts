import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { documentedBy } from './openapi.js';
import { commonProblems, type ProblemEntry } from './problem.js';
import { validationProblem } from './validation.js';

const HEADER = 'If-Match';

/** A rejection: the caller knows another version than there is. */
export interface VersionConflict {
  readonly code: 'version-conflict';
  /** What the caller has seen; `*`: that there is something. */
  readonly expected: ExpectedVersion;
  /** What there is; 0: nothing. */
  readonly actual: number;
}

/** How a {@link VersionConflict} is told, for a service's problem table. */
export const versionConflict = {
  ...commonProblems['version-conflict'],
  detail: ({ expected, actual }: VersionConflict) =>
    expected === '*'
      ? 'There is nothing yet that could be changed.'
      : `It was version ${expected} when you read it, and is version ${actual} now.`,
  example: { expected: 2, actual: 3 },
} satisfies ProblemEntry<VersionConflict>;

/** The `ETag` of a version: `"7"`. */
export function etagOf(version: number): string {
  return `"${version}"`;
}

/** What `If-Match` names: a version, or `*` for any, so that there must be one at all. */
export type ExpectedVersion = number | '*';

/**
 * What `If-Match` names, as an argument of a handler; undefined without the header. One ETag as {@link etagOf} makes them, or `*`,
 * which holds only for what is there (RFC 9110, section 13.1.1); anything else is a 400. The OpenAPI document gets the header and
 * the 412.
 */
export const IfMatch = createParamDecorator(
  (_: unknown, context: ExecutionContext): ExpectedVersion | undefined => {
    const given = context.switchToHttp().getRequest<FastifyRequest>().raw.headersDistinct[HEADER.toLowerCase()];
    if (given === undefined) return undefined;
    const value = given.join(',').trim();
    if (value === '*') return value;
    const version = /^"(0|[1-9]\d{0,14})"$/.exec(value)?.[1];
    if (version === undefined) {
      throw validationProblem([{ parameter: HEADER, detail: 'must be the ETag of an earlier answer, such as "7"' }]);
    }
    return Number(version);
  },
  [
    documentedBy(
      ApiHeader({
        name: HEADER,
        description: 'The `ETag` of what you have read: the change is made only if it is still that.',
        required: false,
        schema: { type: 'string', pattern: '^("\\d+"|\\*)$' },
        example: '"2"',
      }),
    ),
  ],
);
