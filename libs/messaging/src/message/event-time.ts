/** The timestamp of a record without one. */
export const NO_TIMESTAMP = -1;
/** The first year of both RFC 3339 and PostgreSQL. Neither has a year 0. */
const EARLIEST_MS = Date.parse('0001-01-01T00:00:00Z');
/** The end of 9999, the last year that RFC 3339 can express. PostgreSQL and JavaScript support later years, with different limits. */
const LATEST_MS = Date.UTC(10_000, 0) - 1;

/** Converts a record's timestamp, which may be any 64-bit integer that its producer wrote, to a time within limits. */
export function recordTime(timestamp: string): Date {
  return new Date(Math.min(Math.max(Number(timestamp), NO_TIMESTAMP), LATEST_MS));
}

const RFC_3339 =
  /^(?!0000)(\d{4}-\d\d-\d\d)[Tt ]([01]\d|2[0-3]):\d\d:\d\d(\.\d{1,20})?([Zz]|[+-]([01]\d|2[0-3]):\d\d)$/;

/**
 * Parses the event's time; undefined if it is missing or unusable, because the record's timestamp is then the best known time. It
 * accepts the same times as `timeIn` in `@twinbox/fields`, which this library does not import.
 */
export function eventTime(time: string | undefined): Date | undefined {
  const day = RFC_3339.exec(time ?? '')?.[1];
  if (time === undefined || day === undefined || !isDay(day)) return undefined;
  const parsed = new Date(time.toUpperCase().replace(' ', 'T'));
  return parsed.getTime() >= EARLIEST_MS && parsed.getTime() <= LATEST_MS ? parsed : undefined;
}

/** Needed because Date accepts the 30th of February as the 2nd of March. */
function isDay(text: string): boolean {
  const day = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
}
