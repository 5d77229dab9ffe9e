/** The start of a range of times that has no lower bound. */
export const FIRST_TIME = new Date(0);
/** The end of a range of times that has no upper bound: the last possible Date, which 48 bits of milliseconds still hold. */
export const LAST_TIME = new Date(8.64e15);

/**
 * Returns the smallest UUIDv7 of the millisecond (RFC 9562, section 5.7). Because a UUIDv7 contains its creation time, a range of times
 * can be searched as a range of ids.
 */
export function firstIdOf(time: Date): string {
  return `${millisecondsOf(time)}-7000-8000-000000000000`;
}

/** Returns the largest UUIDv7 of the millisecond. */
export function lastIdOf(time: Date): string {
  return `${millisecondsOf(time)}-7fff-bfff-ffffffffffff`;
}

/** The time in 48 bits, which last until the year 10889. An earlier time than 1970 or a later one is clamped to the first or last. */
function millisecondsOf(time: Date): string {
  const ms = Math.min(Math.max(0, time.getTime()), 2 ** 48 - 1);
  const digits = ms.toString(16).padStart(12, '0');
  return `${digits.slice(0, 8)}-${digits.slice(8)}`;
}
