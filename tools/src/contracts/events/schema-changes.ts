import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { check_compat as checkCompatibility, initSync } from 'jsoncompat';
import { type JsonSchema, typesOf } from './json-schema.js';

/** An incompatible change of a contract. */
export interface Change {
  /** What changed and how: `OrderCancelled.v1: removed the optional field actor`. */
  readonly text: string;
  /** Whether an exemption may allow it, because a consumer that follows the contract copes with it. */
  readonly mayBeExempt: boolean;
}

/** Whether values of each schema must satisfy the other one, or only those of the later schema the earlier one. */
type Direction = 'both' | 'later values';

let isReady = false;

/**
 * Whether values satisfy the other schema, as far as a consumer can rely on it: a new optional field is compatible, although an open schema
 * allowed any value there before.
 */
function areCompatible(before: JsonSchema, after: JsonSchema, direction: Direction): boolean {
  const [one, other] = differing(compared(before), compared(after)).map((schema) => JSON.stringify(schema));
  if (one === undefined || other === undefined || one === other) return true;
  if (!isReady) {
    const module = readFileSync(createRequire(import.meta.url).resolve('jsoncompat/jsoncompat_wasm_bg.wasm'));
    initSync({ module });
    isReady = true;
  }
  return checkCompatibility(one, other, direction === 'both' ? 'both' : 'serializer');
}

/** Leaves out annotations, identifiers, and formats, which jsoncompat ignores and which are compared separately. */
function compared(schema: JsonSchema): JsonSchema {
  const { properties, items } = schema;
  return {
    ...schema,
    $schema: undefined,
    $id: undefined,
    title: undefined,
    description: undefined,
    format: undefined,
    examples: undefined,
    ...(properties && { properties: mapped(properties, compared) }),
    ...(items && { items: compared(items) }),
  };
}

/** Leaves out the properties that are equal, because comparing two patterns takes up to a second. */
function differing(...schemas: readonly JsonSchema[]): JsonSchema[] {
  const [before = {}, after = {}] = schemas.map(({ properties = {} }) =>
    mapped(properties, (field) => JSON.stringify(field)),
  );
  const isEqual = (field: string) => before[field] === after[field];
  return schemas.map((schema) => ({
    ...schema,
    ...(schema.properties && {
      properties: mapped(schema.properties, (value, field) => (isEqual(field) ? {} : value)),
    }),
  }));
}

function mapped<T, R>(object: Readonly<Record<string, T>>, map: (value: T, key: string) => R): Record<string, R> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value, key)]));
}

/**
 * Lists the changes after which an old consumer cannot read new messages, or a new consumer cannot read old ones. With `later values`, only
 * the former.
 */
export function schemaChanges(
  place: string,
  before: JsonSchema,
  after: JsonSchema,
  direction: Direction = 'both',
): Change[] {
  const changes = [...partChanges(place, '', [before, after], direction)];
  // What is left must be compatible as a whole, unless it is already reported in part.
  const isReported = changes.some(({ mayBeExempt }) => !mayBeExempt);
  if (!isReported && !areCompatible(withoutRemoved(before, after), after, direction))
    changes.push({ text: `${place}: the schema is not compatible`, mayBeExempt: false });
  return changes;
}

/** Leaves out the optional fields that the other schema no longer has. They are reported one by one, and may be exempt. */
function withoutRemoved(before: JsonSchema, after: JsonSchema): JsonSchema {
  const { properties, items, required = [] } = before;
  const kept = Object.entries(properties ?? {}).flatMap(([field, schema]) => {
    const now = after.properties?.[field];
    if (now) return [[field, withoutRemoved(schema, now)]];
    return required.includes(field) ? [[field, schema]] : [];
  });
  return {
    ...before,
    ...(properties && { properties: Object.fromEntries(kept) as JsonSchema['properties'] & object }),
    ...(items && after.items && { items: withoutRemoved(items, after.items) }),
  };
}

/** Leaves out what is compared part by part. */
function withoutParts(schema: JsonSchema): JsonSchema {
  return { ...schema, properties: undefined, items: undefined, required: undefined };
}

function* partChanges(
  place: string,
  path: string,
  [before, after]: readonly [JsonSchema, JsonSchema],
  direction: Direction,
): Generator<Change> {
  const change = (text: string, mayBeExempt = false): Change => ({ text: `${place}: ${text}`, mayBeExempt });
  const name = path || 'the value';
  const isBoth = direction === 'both';
  const [types, newTypes] = [typesOf(before), typesOf(after)];
  if (isBoth ? types.join() !== newTypes.join() : newTypes.some((type) => !types.includes(type)))
    return yield change(`changed the type of ${name} from ${types.join(' or ')} to ${newTypes.join(' or ')}`);
  if (before.format !== after.format && (isBoth || before.format !== undefined))
    yield change(`changed the format of ${name} from ${before.format ?? 'none'} to ${after.format ?? 'none'}`);
  if (!areCompatible(withoutParts(before), withoutParts(after), direction))
    yield change(`changed the limits of ${name}`);
  if (before.items && after.items) yield* partChanges(place, `${path}[]`, [before.items, after.items], direction);
  else if (before.items) yield change(`removed the schema of the elements of ${name}`);
  const [fields, newFields] = [before.properties, after.properties];
  for (const field of Object.keys({ ...fields, ...newFields })) {
    const fieldPath = path ? `${path}.${field}` : field;
    const [one, other] = [fields?.[field], newFields?.[field]];
    const [wasRequired, isRequired] = [before, after].map(({ required = [] }) => required.includes(field));
    if (!other) yield change(`removed the ${wasRequired ? 'required' : 'optional'} field ${fieldPath}`, !wasRequired);
    else if (!one && isRequired && isBoth) yield change(`added the required field ${fieldPath}`);
    else if (one && wasRequired !== isRequired && (isBoth || wasRequired))
      yield change(
        `made the ${wasRequired ? 'required field' : 'optional field'} ${fieldPath} ${isRequired ? 'required' : 'optional'}`,
      );
    if (one && other) yield* partChanges(place, fieldPath, [one, other], direction);
  }
}
