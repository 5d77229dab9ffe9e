import { reject, type Rejected } from './decision.js';

/** Versions that a caller names; `*` is any version that exists. */
export type Versions = readonly number[] | '*';

/** What a caller requires of the version that it changes. Without either field it requires nothing. */
export interface VersionPrecondition {
  /** It has to be one of these. */
  readonly expected?: Versions | undefined;
  /** It must not be one of these; with `*` nothing may exist yet. */
  readonly unexpected?: Versions | undefined;
  /** It must not have changed after this time, which is exact to the second. */
  readonly unmodifiedSince?: Date | undefined;
}

/** A rejection: the version is not one that the caller requires. */
export interface VersionConflict {
  readonly code: 'version-conflict';
  /** What the caller expected; a single version is a number. */
  readonly expected?: Versions | number;
  /** What the caller ruled out; a single version is a number. */
  readonly unexpected?: Versions | number;
  /** The current version; 0 when nothing exists. */
  readonly actual: number;
}

/**
 * Compares the current version, 0 for nothing, and the time of the last change, with what a caller requires. Undefined: the change may
 * be made.
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

/** The second that a time is in, as HTTP compares dates. */
export function secondOf(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}

function isAmong(versions: Versions, actual: number): boolean {
  return actual > 0 && (versions === '*' || versions.includes(actual));
}

/** The versions as a {@link VersionConflict} names them. */
export function asMember(versions: Versions): Versions | number {
  const [first, ...others] = versions;
  return typeof first === 'number' && others.length === 0 ? first : versions;
}
