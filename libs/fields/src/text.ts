import { ValidateBy, type ValidateByOptions, type ValidationOptions } from 'class-validator';

/** Returns whether PostgreSQL can store the text. Its `text` and `jsonb` hold neither U+0000 nor half of a surrogate pair. */
export function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

/**
 * Accepts text of `min` to `max` characters that PostgreSQL can store. Characters are code points, as in a varchar. class-validator's
 * `Length` and `MaxLength` do not count variation selectors, so they accept text that the column rejects.
 */
export function IsText(min: number, max: number, options?: ValidationOptions): PropertyDecorator {
  const rule: ValidateByOptions = {
    name: 'isText',
    constraints: [min, max],
    validator: {
      validate(value) {
        // Checked first because it is cheap: a character has at most two UTF-16 units.
        if (typeof value !== 'string' || value.length > 2 * max || !isStorable(value)) return false;
        const characters = lengthOf(value);
        return characters >= min && characters <= max;
      },
      defaultMessage: (args) =>
        `${args?.property ?? 'it'} must be text of ${min === 0 ? 'at most' : `${min} to`} ${max} characters`,
    },
  };
  return ValidateBy(rule, options);
}

function lengthOf(text: string): number {
  let length = 0;
  for (const _ of text) length++;
  return length;
}
