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
import { documentedBy } from './openapi.js';
import { parseHttpDate } from './http-date.js';
import { commonProblems, problemOf, type ProblemEntry } from './problem.js';
import { versionConflictSchemas } from './problem-schemas.js';
import { validationProblem } from './validation.js';

// RFC 9110, sections 8.8.3 and 5.6.1.2: a list may have empty elements, and a tag may have commas. At least one tag is required.
const TAG = String.raw`(W/)?"[!#-~\u0080-\u00ff]*"`;
const FIELD = `^(\\*|(,[ \\t]*)*${TAG}([ \\t]*,([ \\t]*${TAG})?)*[ \\t]*)$`;
const isField = new RegExp(FIELD);
/** The tags that {@link etagOf} makes. */
const VERSION = /^"([1-9]\d{0,14})(?:-(?:late|customer|(?:0|[1-9]\d{0,14})(?:-(?:0|[1-9]\d{0,14}))?))?"$/;

/** What an ETag names beside the version. {@link VERSION} has the same forms: no other tag names a version. */
export type Variant = 'late' | 'customer' | number | `${number}-${number}`;

/** The entry of a {@link VersionConflict} in a service's problem table. */
export const versionConflict = {
  ...commonProblems['version-conflict'],
  detail: ({ expected, unexpected, actual }: VersionConflict) => {
    if (actual === 0) return 'There is nothing yet that could be changed.';
    if (expected === undefined && unexpected === undefined)
      return `It is version ${actual} now, and has changed since the time that If-Unmodified-Since names.`;
    if (unexpected === '*') return `It exists already, in version ${actual}.`;
    if ([expected].flat().includes(actual)) return `It is version ${actual}, but shows something else than it did.`;
    if (unexpected !== undefined) return `It is version ${actual}, which the request rules out.`;
    if (typeof expected === 'number')
      return `It was version ${expected} when you read it, and is version ${actual} now.`;
    return `It is version ${actual} now, which the request does not name.`;
  },
  example: { expected: 2, actual: 3 },
  schemas: versionConflictSchemas,
  optional: ['expected'],
} satisfies ProblemEntry<VersionConflict>;

/**
 * The `ETag` of a representation: `"7"`, or `"7-late"` where it also depends on something that the version does not count. That is
 * the `variant`: a strong validator changes with everything that a client can see (RFC 9110, section 8.8.1).
 */
export function etagOf(version: number, variant?: Variant): string {
  return variant === undefined ? `"${version}"` : `"${version}-${variant}"`;
}

/** The request's `If-Match`, `If-None-Match`, `If-Unmodified-Since` and `If-Modified-Since` (RFC 9110, section 13.1). */
export interface Preconditions {
  /**
   * For a change. A tag stands for the version that it begins with, so what the version does not count, such as pieces that were sold,
   * does not make a change fail. Weak tags match in `If-None-Match` only, and tags that we did not issue name no version.
   */
  readonly version: VersionPrecondition;
  /**
   * For a GET or HEAD. Whether there is no `If-Match`, or it names this ETag, compared strongly, or `"<version>"` alone, which a client
   * can make from the body.
   */
  readonly isExpected: (etag: string, version: number) => boolean;
  /**
   * Whether the client has the representation: `If-None-Match` names this ETag, compared weakly, or there is no such field and
   * `If-Modified-Since` names the second of `modifiedAt` or a later one.
   */
  readonly isKnown: (etag: string, modifiedAt: Date | undefined) => boolean;
}

/**
 * The request's preconditions as an argument of a handler. A handler that changes something passes `version` on to its use case,
 * one that only reads answers with {@link conditionalAnswer}. A malformed field is a 400. The OpenAPI document gets both headers, the
 * 412, and for a GET the 304.
 *
 * A date that is invalid, or comes beside ETags, is ignored, as sections 13.1.3 and 13.1.4 require.
 */
export const Preconditions = createParamDecorator(
  (_: unknown, context: ExecutionContext): Preconditions =>
    preconditionsOf(context.switchToHttp().getRequest<FastifyRequest>().raw.headersDistinct),
  [
    documentedBy(
      headerDoc(
        'If-Match',
        'The `ETag` of what you have read, or several: the request is carried out only if it is still one of them. `*`: if it exists.',
        '"2"',
      ),
    ),
    documentedBy(
      headerDoc(
        'If-None-Match',
        'ETags that you know: a GET is a 304 if it is still one of them, a change is refused. `*`: if it exists at all.',
        '"1"',
      ),
    ),
    documentedBy(
      dateDoc(
        'If-Unmodified-Since',
        'The request is carried out only if nothing has changed since. Ignored beside `If-Match`.',
      ),
    ),
    documentedBy(
      dateDoc(
        'If-Modified-Since',
        'A GET is a 304 if nothing has changed since. Ignored beside `If-None-Match` and for a change.',
      ),
    ),
  ],
);

/**
 * Answers a GET or HEAD: sets the ETag and what caches have to know, and returns the body, or nothing for a client that has it (304).
 *
 * `modifiedAt` is when the representation last changed; undefined where that is not known exactly, and dates are ignored. It is sent
 * as `Last-Modified` once its second is over: further changes in the same second would have the same date.
 * @throws ProblemException (412) when `If-Match` names neither the ETag nor the version alone
 */
export function conditionalAnswer<Body extends { readonly version: number }>(
  reply: FastifyReply,
  { version, isExpected, isKnown }: Preconditions,
  etag: string,
  body: Body,
  modifiedAt?: Date,
): Body | undefined {
  const { unmodifiedSince } = version;
  const outdated = versionConflictOf({ unmodifiedSince }, body.version, modifiedAt);
  if (outdated) throw problemOf<VersionConflict>(outdated.rejection, { 'version-conflict': versionConflict });
  if (!isExpected(etag, body.version)) {
    const conflict = {
      code: 'version-conflict',
      expected: asMember(version.expected ?? []),
      actual: body.version,
    } as const;
    throw problemOf<VersionConflict>(conflict, { 'version-conflict': versionConflict });
  }
  const vary = [reply.getHeader('vary') ?? [], CALLER_HEADERS].flat();
  // A cache may keep the answer for this caller, and has to revalidate it each time.
  void reply.header('etag', etag).header('cache-control', 'private, no-cache').header('vary', vary.join(', '));
  const settledAt = modifiedAt && secondOf(modifiedAt) < secondOf(new Date()) ? modifiedAt : undefined;
  if (settledAt) void reply.header('last-modified', settledAt.toUTCString());
  if (!isKnown(etag, settledAt)) return body;
  void reply.status(304);
  // Fastify takes the length of the answer to a HEAD from its body, and 0 would be that of another representation.
  return reply.request.method === 'HEAD' ? body : undefined;
}

interface EntityTag {
  readonly isWeak: boolean;
  /** With its quotes. */
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
    isExpected: (etag, version) =>
      ifMatch === undefined ||
      ifMatch === '*' ||
      ifMatch.some(({ isWeak, opaque }) => !isWeak && (opaque === etag || opaque === etagOf(version))),
    isKnown: (etag, modifiedAt) => {
      if (ifNoneMatch !== undefined) return ifNoneMatch === '*' || ifNoneMatch.some(({ opaque }) => opaque === etag);
      return modifiedAt !== undefined && modifiedSince !== undefined && secondOf(modifiedAt) <= secondOf(modifiedSince);
    },
  };
}

function tagsIn(headers: NodeJS.Dict<string[]>, parameter: string): readonly EntityTag[] | '*' | undefined {
  // Lines of one field are one list.
  const value = headers[parameter.toLowerCase()]?.join(',');
  if (value === undefined || value === '*') return value;
  if (!isField.test(value))
    throw validationProblem([{ parameter, detail: 'must be * or ETags with commas between, such as "7"' }]);
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
