import { applyDecorators } from '@nestjs/common';
import { dayIn, IsWholeNumber, MayBeAbsent, timeIn } from '@twinbox/fields';
import { Transform } from 'class-transformer';
import { ArrayMaxSize, ArrayNotEmpty, IsBoolean, IsDate, IsIn } from 'class-validator';

/*
 * Decorators for the fields of a query. Every field may be absent. Only a list may repeat its name: for any other field a repeated name is
 * parsed as a list, which the rules reject.
 */

const DAY_MS = 24 * 3600 * 1000;

/**
 * Accepts a whole number in decimal digits, from `min` to `max`. Rejects `1e3`, `0x10`, `+5` and ` 5`, which are more likely typing errors.
 */
export function QueryInt(min: number, max: number): PropertyDecorator {
  return applyDecorators(
    MayBeAbsent(),
    read((value) => (typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN)),
    IsWholeNumber(min, max),
  );
}

/** Accepts an amount of money in minor units, including 0. */
export function QueryAmount(): PropertyDecorator {
  return QueryInt(0, Number.MAX_SAFE_INTEGER);
}

/**
 * Accepts one end of a time range: a date and time with `Z` or an offset, or a date. A plain date means the whole day in UTC, so the range
 * begins with its first millisecond or ends with its last.
 */
export function QueryTime(end: 'from' | 'to'): PropertyDecorator {
  const timeOf = (value: string): Date | undefined => {
    const day = dayIn(value);
    return day ? new Date(day.getTime() + (end === 'to' ? DAY_MS - 1 : 0)) : timeIn(value);
  };
  return applyDecorators(
    MayBeAbsent(),
    read((value) => (typeof value === 'string' ? (timeOf(value) ?? value) : value)),
    IsDate({ message: '$property must be an ISO 8601 date, or date and time with Z or an offset (+ as %2B)' }),
  );
}

/** Accepts a list of the values, either with the name repeated or as a comma-separated list. */
export function QueryList(values: readonly string[]): PropertyDecorator {
  const maxItems = 2 * values.length;
  return applyDecorators(
    MayBeAbsent(),
    read((value) => partsOf(value, maxItems + 1)),
    ArrayNotEmpty(),
    ArrayMaxSize(maxItems),
    IsIn(values, { each: true }),
  );
}

/** Accepts `true` or `false`. */
export function QueryFlag(): PropertyDecorator {
  return applyDecorators(
    MayBeAbsent(),
    read((value) => (value === 'true' ? true : value === 'false' ? false : value)),
    IsBoolean({ message: '$property must be true or false' }),
  );
}

/**
 * Returns at most `limit` parts of a list. One more than allowed is enough for the list to be rejected, and the other rules check every
 * part.
 */
function partsOf(value: unknown, limit: number): unknown[] {
  const given: unknown[] = [value].flat().slice(0, limit);
  return given.flatMap((each) => (typeof each === 'string' ? each.split(',', limit) : [each])).slice(0, limit);
}

function read(parse: (value: unknown) => unknown): PropertyDecorator {
  return Transform(({ value }: { value: unknown }) => parse(value), { toClassOnly: true });
}
