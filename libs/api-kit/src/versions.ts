import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { documentedBy } from './openapi.js';
import { commonProblems, problemOf, type ProblemEntry } from './problem.js';
import { validationProblem } from './validation.js';

const HEADER = 'If-Match';

/** A rejection: the caller knows another version than there is. */
export interface VersionConflict {
  readonly code: 'version-conflict';
  /** What the caller has seen. */
  readonly expected: number;
  /** What there is. */
  readonly actual: number;
}

/** How a {@link VersionConflict} is told, for a service's problem table. */
export const versionConflict: ProblemEntry<VersionConflict> = {
  ...commonProblems['version-conflict'],
  detail: ({ expected, actual }) => `It was version ${expected} when you read it, and is version ${actual} now.`,
  example: { expected: 2, actual: 3 },
};

/** The `ETag` of a version: `"7"`. */
export function etagOf(version: number): string {
  return `"${version}"`;
}

/** @throws ProblemException (412) when a version is expected, and it is another */
export function checkVersion(expected: number | undefined, actual: number): void {
  if (expected === undefined || expected === actual) return;
  throw problemOf<VersionConflict>(
    { code: 'version-conflict', expected, actual },
    { 'version-conflict': versionConflict },
  );
}

/**
 * The version that `If-Match` names, as an argument of a handler; undefined without the header and for `*`. One ETag as
 * {@link etagOf} makes them; anything else is a 400. The OpenAPI document gets the header and the 412.
 */
export const IfMatch = createParamDecorator(
  (_: unknown, context: ExecutionContext): number | undefined => {
    const given = context.switchToHttp().getRequest<FastifyRequest>().raw.headersDistinct[HEADER.toLowerCase()];
    if (given === undefined) return undefined;
    const value = given.join(',').trim();
    if (value === '*') return undefined;
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
