import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import { secondOf, type VersionPrecondition, type Versions } from '@twinbox/kernel';
import { requestOf } from './edge-request.js';
import { parseHttpDate } from './http-date.js';
import { documentedBy } from './openapi/route-extensions.js';
import { validationProblem } from './validation-problem.js';
import { etagOf, versionIn } from './versions.js';

// RFC 9110, sections 8.8.3 and 5.6.1.2: a list may have empty elements, and a tag may contain commas. At least one tag is required.
const TAG = String.raw`(W/)?"[!#-~\u0080-\u00ff]*"`;
const FIELD = `^(\\*|(,[ \\t]*)*${TAG}([ \\t]*,([ \\t]*${TAG})?)*[ \\t]*)$`;
const isField = new RegExp(FIELD);

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
 * only reads answers with {@link conditionalResponse}. A malformed `If-Match` or `If-None-Match` is a 400. The OpenAPI document gets the
 * headers, the 412, and for a GET the 304.
 *
 * A date that is invalid, or that is sent together with ETags, is ignored, as sections 13.1.3 and 13.1.4 require.
 */
export const Preconditions = createParamDecorator(
  (_: unknown, context: ExecutionContext): Preconditions => preconditionsOf(requestOf(context).raw.headersDistinct),
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

/** The only precondition that a page of a list has. */
export type PagePreconditions = Pick<Preconditions, 'isNotModified'>;

/**
 * Injects `If-None-Match` into the handler of a list, which answers with {@link conditionalPage}. A malformed one is a 400. The OpenAPI
 * document gets the header, the ETag and the 304.
 */
export const PagePreconditions = createParamDecorator(
  (_: unknown, context: ExecutionContext): PagePreconditions => {
    const { 'if-none-match': ifNoneMatch } = requestOf(context).raw.headersDistinct;
    return preconditionsOf(ifNoneMatch ? { 'if-none-match': ifNoneMatch } : {});
  },
  [
    documentedBy(
      headerDoc(
        'If-None-Match',
        'One or more ETags. If the ETag of the page is one of them, or with `*`, the answer is a 304.',
        '"p-9fJ2mXUqkYt0b3aWcR5dLw"',
      ),
    ),
  ],
);

interface EntityTag {
  readonly isWeak: boolean;
  /** Includes the quotes. */
  readonly opaque: string;
}

/** Returns the preconditions in the headers of a request. @throws ProblemException 400 if they are malformed */
export function preconditionsOf(headers: NodeJS.Dict<string[]>): Preconditions {
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
  return tags.filter(matches).flatMap(({ opaque }) => versionIn(opaque) ?? []);
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
