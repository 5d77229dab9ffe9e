import { DAY_PATTERN, TIME_PATTERN } from '@twinbox/fields';
import type { JsonSchema } from './json-schema.js';

/** The JSON Schema keywords for the rules of class-validator, by rule name. */
export const keywords: Readonly<Record<string, (...constraints: never[]) => JsonSchema>> = {
  isString: () => ({ type: 'string' }),
  isText: (min: number | undefined, maxLength: number | undefined) => ({
    type: 'string',
    ...(min && { minLength: min }),
    maxLength,
  }),
  isLength: (minLength: number, maxLength: number) => ({ minLength, maxLength }),
  minLength: (minLength: number) => ({ minLength }),
  maxLength: (maxLength: number) => ({ maxLength }),
  matches: ({ source, flags }: RegExp) => (flags.includes('i') ? {} : { pattern: source }),
  isUuid: () => ({ type: 'string', format: 'uuid' }),
  isIn: (values: readonly unknown[]) => ({ enum: values }),
  isBoolean: () => ({ type: 'boolean' }),
  isInt: () => ({ type: 'integer' }),
  isWholeNumber: (minimum: number | undefined, maximum: number | undefined) => ({ type: 'integer', minimum, maximum }),
  isPositive: () => ({ exclusiveMinimum: 0 }),
  min: (minimum: number) => ({ minimum }),
  max: (maximum: number) => ({ maximum }),
  arrayNotEmpty: () => ({ minItems: 1 }),
  arrayMinSize: (minItems: number) => ({ minItems }),
  arrayMaxSize: (maxItems: number) => ({ maxItems }),
  arrayUnique: () => ({ uniqueItems: true }),
};

/** Returns the schema of a time, or of a time or a date. */
export function timeOf(orDate: boolean): JsonSchema {
  if (!orDate) return { type: 'string', pattern: TIME_PATTERN };
  const forms = [
    { format: 'date-time', pattern: TIME_PATTERN },
    { format: 'date', pattern: DAY_PATTERN },
  ];
  return { type: 'string', format: undefined, anyOf: forms };
}

/** Restricts the format `uuid`, which allows any version, to the accepted versions. */
export function uuidOf(isAccepted: (uuid: string) => boolean): JsonSchema {
  const versions = '12345678'
    .split('')
    .filter((version) => isAccepted(`00000000-0000-${version}000-8000-000000000000`));
  if (versions.length === 8) return {};
  const hex = '[0-9a-fA-F]';
  return { pattern: `^${hex}{8}-${hex}{4}-[${versions.join('')}]${hex}{3}-[89abAB]${hex}{3}-${hex}{12}$` };
}
