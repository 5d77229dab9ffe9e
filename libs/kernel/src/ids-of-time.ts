/** What a range of times begins with where it has no beginning, and ends with where it has no end. */
export const FIRST_TIME = new Date(0);
/** What 48 bits of milliseconds reach to lies beyond what a Date can be. */
export const LAST_TIME = new Date(8.64e15);

/** The smallest UUIDv7 of the millisecond (RFC 9562, section 5.7): what is created at the time in its id is found by ranges of ids. */
export function firstIdOf(time: Date): string {
  return `${millisecondsOf(time)}-7000-8000-000000000000`;
}

/** The largest UUIDv7 of the millisecond. */
export function lastIdOf(time: Date): string {
  return `${millisecondsOf(time)}-7fff-bfff-ffffffffffff`;
}

/** 48 bits: they last until the year 10889. What lies beyond or before 1970 counts as the last or the first. */
function millisecondsOf(time: Date): string {
  const ms = Math.min(Math.max(0, time.getTime()), 2 ** 48 - 1);
  const digits = ms.toString(16).padStart(12, '0');
  return `${digits.slice(0, 8)}-${digits.slice(8)}`;
}
