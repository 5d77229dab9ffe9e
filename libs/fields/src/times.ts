import { ValidateBy } from 'class-validator';

/** The form of a calendar day. A pattern cannot check that the day exists; `format: date` does in a schema, and {@link dayIn} here. */
export const DAY_PATTERN = String.raw`^(?!0000)\d{4}-\d\d-\d\d$`;
/** RFC 3339, section 5.6, in capitals and without leap seconds, which Date does not support. */
export const TIME_PATTERN = String.raw`^(?!0000)(\d{4}-\d\d-\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`;

const DAY = new RegExp(DAY_PATTERN);
const TIME = new RegExp(TIME_PATTERN);

/** RFC 3339 has four-digit years. Both Date and timestamptz can hold every time between these bounds. */
const FIRST_MS = Date.parse('0001-01-01T00:00:00.000Z');
const LAST_MS = Date.parse('9999-12-31T23:59:59.999Z');

/**
 * Returns the first moment of an ISO 8601 calendar day in UTC, such as `2026-11-21`. Returns undefined for any other text, including days
 * that do not exist, such as `2026-02-30`.
 */
export function dayIn(text: string): Date | undefined {
  if (!DAY.test(text)) return undefined;
  const day = within(Date.parse(`${text}T00:00:00.000Z`));
  // Date reads the 30th of February as the 2nd of March.
  return day?.toISOString().startsWith(text) ? day : undefined;
}

/** Parses an RFC 3339 date and time with `Z` or an offset, to the millisecond. Returns undefined for any other text. */
export function timeIn(text: string): Date | undefined {
  const day = TIME.exec(text)?.[1];
  return day !== undefined && dayIn(day) ? within(Date.parse(text)) : undefined;
}

/** Accepts the text of a time that {@link timeIn} can parse. */
export function IsTime(): PropertyDecorator {
  return ValidateBy({
    name: 'isTime',
    validator: {
      validate: (value) => typeof value === 'string' && timeIn(value) !== undefined,
      defaultMessage: (args) => `${args?.property ?? 'it'} must be a date and time with Z or an offset, as in RFC 3339`,
    },
  });
}

function within(ms: number): Date | undefined {
  return ms >= FIRST_MS && ms <= LAST_MS ? new Date(ms) : undefined;
}
