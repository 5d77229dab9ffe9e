import { CURRENCY_FORMAT, ID } from './rules.js';
import { type JsonSchema } from './json-schema.js';

/** Describes the limits of a value for people: `1 to 255 characters`. */
export function constraintsOf(schema: JsonSchema): string[] {
  const { const: constant, format, pattern, minLength, maxLength, minimum, maximum, minItems, maxItems } = schema;
  const texts: string[] = [];
  if (constant !== undefined) texts.push(`Always ${code(constant)}.`);
  if (schema.enum) texts.push(`One of ${schema.enum.map(code).join(', ')}.`);
  if (format === 'date-time') texts.push('Date and time as in RFC 3339.');
  else if (format === CURRENCY_FORMAT) texts.push('Three letters.');
  else if (pattern === ID.pattern) texts.push('UUIDv7.');
  if (minLength !== undefined || maxLength !== undefined) texts.push(`${range(minLength, maxLength)} characters.`);
  if (minimum !== undefined || maximum !== undefined) texts.push(`${range(minimum, maximum)}.`);
  if (minItems !== undefined || maxItems !== undefined) texts.push(`${range(minItems, maxItems)} elements.`);
  return texts;
}

function range(min: number | undefined, max: number | undefined): string {
  const shown = (limit: number) => (limit === Number.MAX_SAFE_INTEGER ? '2^53 − 1' : limit.toLocaleString('en'));
  if (min === undefined) return `At most ${shown(max ?? 0)}`;
  return max === undefined ? `At least ${shown(min)}` : `${shown(min)} to ${shown(max)}`;
}

function code(value: unknown): string {
  return `\`${String(value)}\``;
}
