/** The types of columns, each with the type of a parameter for it. */
export const PARAMETER_TYPES = {
  uuid: 'uuid',
  varchar: 'text',
  char: 'text',
  text: 'text',
  integer: 'int',
  bigint: 'bigint',
  timestamptz: 'timestamptz',
  jsonb: 'jsonb',
  tsvector: 'tsvector',
} as const;

/** A column with its property and its name in the table. */
export interface NamedColumn {
  readonly property: string;
  readonly name: string;
  readonly type: keyof typeof PARAMETER_TYPES;
}

/** Returns the column as an item of a `select` list, under the name of its property. */
export function selected({ property, name, type }: NamedColumn, reference: string): string {
  const isWhole = type === 'integer' || type === 'bigint';
  if (!isWhole && name === property) return reference;
  return `${reference}${isWhole ? '::float8' : ''} as ${quoted(property)}`;
}

export function snakeCase(property: string): string {
  return property.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** PostgreSQL folds names without quotes to lower case. */
export function quoted(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name}"`;
}

/** Serializes what pg would not: JSON arrays, which it takes for PostgreSQL arrays, and JSON and dates within arrays. */
export function parameter(value: unknown, { type }: NamedColumn): unknown {
  if (value === null || value === undefined) return null;
  if (type === 'jsonb') return JSON.stringify(value);
  return value instanceof Date ? value.toISOString() : value;
}
