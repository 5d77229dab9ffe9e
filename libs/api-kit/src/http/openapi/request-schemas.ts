import type { JsonSchema } from './json-schema.js';

type Schema = Record<string, unknown>;
type Schemas = Readonly<Record<string, Schema>>;

/** The pattern of every text in a request, because PostgreSQL cannot store U+0000. */
const STORABLE = '^[^\\u0000]*$';

/** Documents what validation rejects in every body: members that no class declares, and text that PostgreSQL cannot store. */
export function closeBody(schema: Schema, schemas: Schemas): void {
  eachSchema(schema, schemas, (part, isWhole) => {
    if (isWhole && part['properties'] !== undefined) part['additionalProperties'] ??= false;
    boundText(part);
  });
}

/**
 * Documents what validation accepts as a parameter. It is text, so it is never null. A list is given by repeating the name or separating
 * the values by commas.
 */
export function closeParameter(schema: Schema): void {
  eachSchema(schema, {}, (part) => {
    const { type, enum: values } = part as { readonly type?: unknown; readonly enum?: readonly unknown[] };
    if (Array.isArray(type)) part['type'] = type.find((each) => each !== 'null');
    if (values) part['enum'] = values.filter((value) => value !== null);
    boundText(part);
  });
  const { items, maxItems } = schema as { readonly items?: { readonly enum?: string[] }; readonly maxItems?: number };
  if (!items?.enum) return;
  const value = `(?:${items.enum.map((each) => each.replaceAll(/[^\w-]/g, String.raw`\$&`)).join('|')})`;
  const list = `^${value}(?:,${value}){0,${(maxItems ?? items.enum.length) - 1}}$`;
  schema['anyOf'] = [
    { items, ...(maxItems !== undefined && { maxItems }) },
    { items: { type: 'string', pattern: list }, maxItems: 1 },
  ];
  schema['items'] = { type: 'string' };
  delete schema['maxItems'];
}

/** Whether `{}` matches the schema. A missing body is equivalent. */
export function mayBeEmpty(schema: JsonSchema, schemas: Schemas): boolean {
  const { required, anyOf } = referenced(schema, schemas) as { readonly required?: unknown; readonly anyOf?: Schema[] };
  return required === undefined && (anyOf === undefined || anyOf.some((part) => mayBeEmpty(part, schemas)));
}

function boundText(schema: Schema): void {
  if (![schema['type']].flat().includes('string') || schema['enum'] !== undefined) return;
  const { pattern } = schema as { readonly pattern?: string };
  if (pattern === undefined) schema['pattern'] = STORABLE;
  else if (!pattern.startsWith('^')) {
    delete schema['pattern'];
    schema['allOf'] = [{ pattern: STORABLE }, { pattern }];
  }
}

/** Visits a schema and its parts once each. A part of `anyOf`, `oneOf` or `allOf` that is not a reference is not a whole schema. */
function eachSchema(root: Schema, schemas: Schemas, visit: (schema: Schema, isWhole: boolean) => void): void {
  const seen = new Set<Schema>();
  const go = (given: unknown, isWhole: boolean): void => {
    if (typeof given !== 'object' || given === null) return;
    const schema = referenced(given as Schema, schemas);
    if (seen.has(schema)) return;
    seen.add(schema);
    const { properties = {}, items, anyOf = [], oneOf = [], allOf = [] } = schema as Record<string, never>;
    for (const part of [...Object.values(properties), items]) go(part, true);
    for (const part of [...anyOf, ...oneOf, ...allOf]) go(part, '$ref' in part);
    visit(schema, isWhole);
  };
  go(root, true);
}

function referenced(schema: JsonSchema, schemas: Schemas): Schema {
  const name = (schema['$ref'] as string | undefined)?.split('/').at(-1);
  return (name === undefined ? undefined : schemas[name]) ?? schema;
}
