import { reject, type Rejected } from './decision.js';

/** The versions that a caller names; `*` stands for any existing version. */
export type Versions = readonly number[] | '*';

/** What a caller requires of the current version before a change. Without any field, it requires nothing. */
export interface VersionPrecondition {
  /** The current version must be one of these. */
  readonly expected?: Versions | undefined;
  /** The current version must not be one of these. With `*`, nothing may exist yet. */
  readonly unexpected?: Versions | undefined;
  /** The last change must not be later than this time, which is accurate to the second. */
  readonly unmodifiedSince?: Date | undefined;
}

/** The rejection of a change whose {@link VersionPrecondition} the current version does not meet. */
export interface VersionConflict {
  readonly code: 'version-conflict';
  /** The versions that the caller expected; a single version is a number. */
  readonly expected?: Versions | number;
  /** The versions that the caller ruled out; a single version is a number. */
  readonly unexpected?: Versions | number;
  /** The current version; 0 when nothing exists. */
  readonly actual: number;
}

/**
 * Checks the current version (0 if nothing exists) and the time of the last change against a caller's precondition. Returns undefined if
 * the change may be made.
 */
export function versionConflictOf(
  { expected, unexpected, unmodifiedSince }: VersionPrecondition,
  actual: number,
  updatedAt: Date | undefined,
): Rejected<VersionConflict> | undefined {
  if (expected !== undefined && !isAmong(expected, actual))
    return reject({ code: 'version-conflict', expected: asMember(expected), actual });
  if (unmodifiedSince && updatedAt && secondOf(updatedAt) > secondOf(unmodifiedSince))
    return reject({ code: 'version-conflict', actual });
  if (unexpected !== undefined && isAmong(unexpected, actual))
    return reject({ code: 'version-conflict', unexpected: asMember(unexpected), actual });
  return undefined;
}

/** Returns the second that contains a time, because HTTP compares dates to the second. */
export function secondOf(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}

function isAmong(versions: Versions, actual: number): boolean {
  return actual > 0 && (versions === '*' || versions.includes(actual));
}

/** Returns the versions in the form of a {@link VersionConflict}: a single version as a number. */
export function asMember(versions: Versions): Versions | number {
  const [first, ...others] = versions;
  return typeof first === 'number' && others.length === 0 ? first : versions;
}
