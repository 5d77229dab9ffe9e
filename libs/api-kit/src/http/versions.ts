import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import {
  asMember,
  secondOf,
  type VersionConflict,
  versionConflictOf,
  type VersionPrecondition,
  type Versions,
} from '@twinbox/kernel';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CALLER_HEADERS } from './caller.js';
import { documentedBy } from './openapi/route-extensions.js';
import { parseHttpDate } from './http-date.js';
import { commonProblems, problemOf, type ProblemEntry } from './problem.js';
import { versionConflictSchemas } from './openapi/problem-schemas.js';
import { validationProblem } from './validation.js';

// RFC 9110, sections 8.8.3 and 5.6.1.2: a list may have empty elements, and a tag may contain commas. At least one tag is required.
const TAG = String.raw`(W/)?"[!#-~\u0080-\u00ff]*"`;
const FIELD = `^(\\*|(,[ \\t]*)*${TAG}([ \\t]*,([ \\t]*${TAG})?)*[ \\t]*)$`;
const isField = new RegExp(FIELD);
/** Matches the tags that {@link etagOf} returns. */
const VERSION = /^"([1-9]\d{0,14})(?:-(?:late|customer|(?:0|[1-9]\d{0,14})(?:-(?:0|[1-9]\d{0,14}))?))?"$/;

/** The part of an ETag after the version. {@link VERSION} allows the same forms, so no other tag counts as a version. */
export type Variant = 'late' | 'customer' | number | `${number}-${number}`;

/** The entry of a {@link VersionConflict} in a service's problem table. */
export const versionConflict = {
  ...commonProblems['version-conflict'],
  detail: ({ expected, unexpected, actual }: VersionConflict) => {
    if (actual === 0) return 'The resource does not exist yet, so it cannot be changed.';
    if (expected === undefined && unexpected === undefined)
      return `The resource has changed since the time in If-Unmodified-Since and is now at version ${actual}.`;
    if (unexpected === '*') return `The resource already exists, at version ${actual}.`;
    if ([expected].flat().includes(actual))
      return `The resource is still at version ${actual}, but its content has changed.`;
    if (unexpected !== undefined) return `The resource is at version ${actual}, which the request excludes.`;
    if (typeof expected === 'number')
      return `The resource was at version ${expected} when you read it and is now at version ${actual}.`;
    return `The resource is now at version ${actual}, which the request does not list.`;
  },
  example: { expected: 2, actual: 3 },
  schemas: versionConflictSchemas,
  optional: ['expected'],
} satisfies ProblemEntry<VersionConflict>;

/**
 * Returns the `ETag` of a representation: `"7"`, or `"7-late"` if the representation also depends on something that the version does not
 * count. The `variant` stands for that, because a strong validator changes with everything a client can see (RFC 9110, section 8.8.1).
 */
export function etagOf(version: number, variant?: Variant): string {
  return variant === undefined ? `"${version}"` : `"${version}-${variant}"`;
}

/** The preconditions in `If-Match`, `If-None-Match`, `If-Unmodified-Since` and `If-Modified-Since` (RFC 9110, section 13.1). */
export interface Preconditions {
  /**
   * The condition for a change. A tag stands for the version that it begins with, so anything that the version does not count, such as
   * items sold, does not make a change fail. Weak tags match only in `If-None-Match`. Tags that the service did not issue match no version.
   */
  readonly version: VersionPrecondition;
  /**
   * For a GET or HEAD: whether `If-Match` is absent, or lists this ETag (strong comparison) or the plain `"<version>"`, which a client can
   * make from the body.
   */
  readonly satisfiesIfMatch: (etag: string, version: number) => boolean;
  /**
   * Whether the client already has the representation: `If-None-Match` lists this ETag (weak comparison), or it is absent and
   * `If-Modified-Since` is the second of `modifiedAt` or a later one.
   */
  readonly isNotModified: (etag: string, modifiedAt: Date | undefined) => boolean;
}

/**
 * Injects the preconditions of the request into a handler. A handler that makes a change passes `version` to its use case. A handler that
 * only reads answers with {@link conditionalAnswer}. A malformed `If-Match` or `If-None-Match` is a 400. The OpenAPI document gets the
 * headers, the 412, and for a GET the 304.
 *
 * A date that is invalid, or that is sent together with ETags, is ignored, as sections 13.1.3 and 13.1.4 require.
 */
export const Preconditions = createParamDecorator(
  (_: unknown, context: ExecutionContext): Preconditions =>
    preconditionsOf(context.switchToHttp().getRequest<FastifyRequest>().raw.headersDistinct),
  [
    documentedBy(
      headerDoc(
        'If-Match',
        'One or more ETags. The request is carried out only if the current ETag is one of them, or with `*` only if the resource exists.',
        '"2"',
      ),
    ),
    documentedBy(
      headerDoc(
        'If-None-Match',
        'One or more ETags. If the current ETag is one of them, or with `*` if the resource exists, a GET returns 304 and a change is rejected.',
        '"1"',
      ),
    ),
    documentedBy(
      dateDoc(
        'If-Unmodified-Since',
        'The request is carried out only if the resource has not changed since this time. Ignored if `If-Match` is sent.',
      ),
    ),
    documentedBy(
      dateDoc(
        'If-Modified-Since',
        'A GET returns 304 if the resource has not changed since this time. Ignored for a change and if `If-None-Match` is sent.',
      ),
    ),
  ],
);

/**
 * Answers a GET or HEAD. Sets the ETag and the caching headers, and returns the body, or undefined with a 304 if the client already has it.
 *
 * `modifiedAt` is the time when the representation last changed. If it is undefined because that time is not known exactly, the dates in
 * the request are ignored. It is sent as `Last-Modified` once its second is over, because further changes in that second would have the
 * same date.
 * @throws ProblemException 412 if `If-Match` lists neither the ETag nor the plain version
 */
export function conditionalAnswer<Body extends { readonly version: number }>(
  reply: FastifyReply,
  { version, satisfiesIfMatch, isNotModified }: Preconditions,
  etag: string,
  body: Body,
  modifiedAt?: Date,
): Body | undefined {
  const { unmodifiedSince } = version;
  const outdated = versionConflictOf({ unmodifiedSince }, body.version, modifiedAt);
  if (outdated) throw problemOf<VersionConflict>(outdated.rejection, { 'version-conflict': versionConflict });
  if (!satisfiesIfMatch(etag, body.version)) {
    const conflict = {
      code: 'version-conflict',
      expected: asMember(version.expected ?? []),
      actual: body.version,
    } as const;
    throw problemOf<VersionConflict>(conflict, { 'version-conflict': versionConflict });
  }
  const vary = [reply.getHeader('vary') ?? [], CALLER_HEADERS].flat();
  // A cache may store the response for this caller but must revalidate it each time.
  void reply.header('etag', etag).header('cache-control', 'private, no-cache').header('vary', vary.join(', '));
  const settledAt = modifiedAt && secondOf(modifiedAt) < secondOf(new Date()) ? modifiedAt : undefined;
  if (settledAt) void reply.header('last-modified', settledAt.toUTCString());
  if (!isNotModified(etag, settledAt)) return body;
  void reply.status(304);
  // Fastify takes the Content-Length of a HEAD response from the body, and 0 would be the length of another representation.
  return reply.request.method === 'HEAD' ? body : undefined;
}

interface EntityTag {
  readonly isWeak: boolean;
  /** Includes the quotes. */
  readonly opaque: string;
}

function preconditionsOf(headers: NodeJS.Dict<string[]>): Preconditions {
  const ifMatch = tagsIn(headers, 'If-Match');
  const ifNoneMatch = tagsIn(headers, 'If-None-Match');
  const modifiedSince = dateIn(headers, 'If-Modified-Since');
  return {
    version: {
      expected: ifMatch && versionsIn(ifMatch, ({ isWeak }) => !isWeak),
      unexpected: ifNoneMatch && versionsIn(ifNoneMatch, () => true),
      unmodifiedSince: ifMatch === undefined ? dateIn(headers, 'If-Unmodified-Since') : undefined,
    },
    satisfiesIfMatch: (etag, version) =>
      ifMatch === undefined ||
      ifMatch === '*' ||
      ifMatch.some(({ isWeak, opaque }) => !isWeak && (opaque === etag || opaque === etagOf(version))),
    isNotModified: (etag, modifiedAt) => {
      if (ifNoneMatch !== undefined) return ifNoneMatch === '*' || ifNoneMatch.some(({ opaque }) => opaque === etag);
      return modifiedAt !== undefined && modifiedSince !== undefined && secondOf(modifiedAt) <= secondOf(modifiedSince);
    },
  };
}

function tagsIn(headers: NodeJS.Dict<string[]>, parameter: string): readonly EntityTag[] | '*' | undefined {
  // Several header lines form one list.
  const value = headers[parameter.toLowerCase()]?.join(',');
  if (value === undefined || value === '*') return value;
  if (!isField.test(value))
    throw validationProblem([{ parameter, detail: 'must be * or a comma-separated list of ETags such as "7"' }]);
  return Array.from(value.matchAll(/(W\/)?("[^"]*")/g), ([, weak, opaque = '']) => ({
    isWeak: weak !== undefined,
    opaque,
  }));
}

function dateIn(headers: NodeJS.Dict<string[]>, name: string): Date | undefined {
  const [value, ...others] = headers[name.toLowerCase()] ?? [];
  return value === undefined || others.length > 0 ? undefined : parseHttpDate(value);
}

function versionsIn(tags: readonly EntityTag[] | '*', matches: (tag: EntityTag) => boolean): Versions {
  if (tags === '*') return tags;
  return tags.filter(matches).flatMap(({ opaque }) => {
    const version = VERSION.exec(opaque)?.[1];
    return version === undefined ? [] : [Number(version)];
  });
}

function dateDoc(name: string, description: string): MethodDecorator {
  return ApiHeader({
    name,
    description,
    required: false,
    schema: { type: 'string', format: 'http-date' },
    example: 'Sat, 21 Nov 2026 09:30:00 GMT',
  });
}

function headerDoc(name: string, description: string, example: string): MethodDecorator {
  return ApiHeader({ name, description, required: false, schema: { type: 'string', pattern: FIELD }, example });
}
