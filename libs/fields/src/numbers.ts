import { ValidateBy } from 'class-validator';

/**
 * Accepts a whole number from `min` to `max`, both safe integers. Other whole numbers, such as the JSON text `1e19`, are rejected because
 * they are not exact.
 */
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

/** Accepts an amount of money in minor units of its currency (cents), which is positive and a safe integer. Stored in a `bigint` column. */
export function IsAmount(): PropertyDecorator {
  return IsWholeNumber(1, Number.MAX_SAFE_INTEGER);
}
