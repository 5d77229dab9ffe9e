import { InvalidInputError } from '../errors.js';
import { eventTime } from '../message/event-time.js';

/** RFC 3339 in capitals, as the time of a command or a request. */
const STRICT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d{1,9}))?(?:Z|[+-]\d\d:\d\d)$/;

/**
 * Returns an operator's time in UTC with microseconds, as `timeText` writes it. PostgreSQL accepts the result whatever the offset
 * was, which it limits to less than 16 hours. It accepts the same texts as `timeIn` in `@twinbox/fields`.
 * @throws InvalidInputError that names the field, for any other text, including days that do not exist
 */
export function operatorTime(name: string, text: unknown): string {
  const match = typeof text === 'string' ? STRICT.exec(text) : null;
  const time = match ? eventTime(match[0]) : undefined;
  if (!time)
    throw new InvalidInputError(
      `${name} must be a time such as 2026-11-30T23:45:00.123456Z, not ${JSON.stringify(text)}`,
    );
  const micros = (match?.[1] ?? '').padEnd(6, '0').slice(0, 6);
  return time.toISOString().replace(/\d{3}Z$/, `${micros}Z`);
}
