import { ValidateBy } from 'class-validator';

/** A whole number from `min` to `max`, which are safe integers. JSON text such as `1e19` is a whole number too, and beyond them. */
export function IsWholeNumber(min: number, max: number): PropertyDecorator {
  return ValidateBy({
    name: 'isWholeNumber',
    constraints: [min, max],
    validator: {
      validate: (value) => Number.isSafeInteger(value) && value >= min && value <= max,
      defaultMessage: (args) => `${args?.property ?? 'it'} must be a whole number from ${min} to ${max}`,
    },
  });
}

/** An amount of money in minor units of its currency (cents): positive and safe, so that sums stay exact. A `bigint` column holds it. */
export function IsAmount(): PropertyDecorator {
  return IsWholeNumber(1, Number.MAX_SAFE_INTEGER);
}
