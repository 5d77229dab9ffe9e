import { applyDecorators } from '@nestjs/common';
import { dayIn, IsWholeNumber, MayBeAbsent, timeIn } from '@twinbox/fields';
import { Transform } from 'class-transformer';
import { ArrayMaxSize, ArrayNotEmpty, IsBoolean, IsDate, IsIn } from 'class-validator';

/*
 * Fields of a query. Each may be absent, and is given once, unless it is a list: a name that is repeated where one value is meant comes
 * as a list, which the rules refuse.
 */

const DAY_MS = 24 * 3600 * 1000;

/** A whole number from `min` to `max` in decimal digits. `1e3`, `0x10`, `+5` and ` 5` are refused: they are more likely slips. */
export function QueryInt(min: number, max: number): PropertyDecorator {
  return applyDecorators(
    MayBeAbsent(),
    read((value) => (typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN)),
    IsWholeNumber(min, max),
  );
}

/** An amount of money, or none of it, in minor units. */
export function QueryAmount(): PropertyDecorator {
  return QueryInt(0, Number.MAX_SAFE_INTEGER);
}

/**
 * One end of a range of times: a date and time with `Z` or an offset, or a date. A date alone is its whole day in UTC, so the range
 * begins with its first millisecond, or ends with its last.
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

/** Any of the values: the name repeated, or the values with commas between them. */
export function QueryList(values: readonly string[]): PropertyDecorator {
  const most = 2 * values.length;
  return applyDecorators(
    MayBeAbsent(),
    read((value) => partsOf(value, most + 1)),
    ArrayNotEmpty(),
    ArrayMaxSize(most),
    IsIn(values, { each: true }),
  );
}

/** `true` or `false`. */
export function QueryFlag(): PropertyDecorator {
  return applyDecorators(
    MayBeAbsent(),
    read((value) => (value === 'true' ? true : value === 'false' ? false : value)),
    IsBoolean({ message: '$property must be true or false' }),
  );
}

/** At most so many parts of a list. One more than are allowed suffices to refuse it, and further rules look at each. */
function partsOf(value: unknown, most: number): unknown[] {
  const given: unknown[] = [value].flat().slice(0, most);
  return given.flatMap((each) => (typeof each === 'string' ? each.split(',', most) : [each])).slice(0, most);
}

function read(parse: (value: unknown) => unknown): PropertyDecorator {
  return Transform(({ value }: { value: unknown }) => parse(value), { toClassOnly: true });
}
