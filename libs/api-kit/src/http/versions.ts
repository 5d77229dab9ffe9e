import type { VersionConflict } from '@twinbox/kernel';
import { commonProblems } from './common-problems.js';
import { versionConflictSchemas } from './openapi/problem-schemas.js';
import type { ProblemEntry } from './problem.js';

/** Matches the tags that {@link etagOf} returns. */
const VERSION = /^"([1-9]\d{0,14})(?:-(?:late|customer|(?:0|[1-9]\d{0,14})(?:-(?:0|[1-9]\d{0,14}))?))?"$/;

/** The part of an ETag after the version. {@link VERSION} allows the same forms, so no other tag counts as a version. */
export type Variant = 'late' | 'customer' | number | `${number}-${number}`;

/**
 * Returns the `ETag` of a representation: `"7"`, or `"7-late"` if the representation also depends on something that the version does not
 * count. The `variant` stands for that, because a strong validator changes with everything a client can see (RFC 9110, section 8.8.1).
 */
export function etagOf(version: number, variant?: Variant): string {
  return variant === undefined ? `"${version}"` : `"${version}-${variant}"`;
}

/** Returns the version that an ETag begins with, if the service may have issued it. The ETag includes its quotes. */
export function versionIn(etag: string): number | undefined {
  const version = VERSION.exec(etag)?.[1];
  return version === undefined ? undefined : Number(version);
}

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
