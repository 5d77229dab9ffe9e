import { type JsonSchema } from './json-schema.js';

/*
 * The JSON Schema of each rule in `@twinbox/fields` and of the rule for currencies. Patterns use no lookaheads, flags or Unicode classes,
 * because the validators of other languages do not support all of them (JSON Schema 2020-12, core, section 6.4).
 */

const HEX = '[0-9A-Fa-f]';
const UUID_V7 = `^${HEX}{8}-${HEX}{4}-7${HEX}{3}-[89ABab]${HEX}{3}-${HEX}{12}$`;
const YEAR = '(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})';
const HOUR = '([01][0-9]|2[0-3])';
const TIME = `^${YEAR}-[0-9]{2}-[0-9]{2}T${HOUR}:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]${HOUR}:[0-5][0-9])$`;

/** The key of every message: the id of its order. */
export const ID: JsonSchema = { type: 'string', format: 'uuid', pattern: UUID_V7 };

/** The format of a currency. It is not a format of JSON Schema, so that validators that do not know it only check the pattern. */
export const CURRENCY_FORMAT = 'iso-4217';

/** The schema of a value by the name of its rule, from the rule's constraints. */
export const rules: Readonly<Record<string, (...constraints: number[]) => JsonSchema>> = {
  isUuid: () => ID,
  // Counted in code points by both. PostgreSQL cannot store U+0000.
  isText: (minLength = 0, maxLength = 0) => ({
    type: 'string',
    ...(minLength > 0 && { minLength }),
    maxLength,
    pattern: String.raw`^[^\u0000]*$`,
  }),
  isWholeNumber: (minimum = 0, maximum = 0) => ({ type: 'integer', minimum, maximum }),
  isTime: () => ({ type: 'string', format: 'date-time', pattern: TIME }),
  // Not a list of codes, because the standard gets new ones, and each would be an incompatible change for generated code.
  isKnownCurrency: () => ({ type: 'string', format: CURRENCY_FORMAT, pattern: '^[A-Za-z]{3}$' }),
};
