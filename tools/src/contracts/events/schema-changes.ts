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

let isReady = false;

/**
 * Whether values of each schema satisfy the other one, as far as a consumer can rely on it: a new optional field is compatible, although
 * an open schema allowed any value there before.
 */
function areCompatible(before: JsonSchema, after: JsonSchema): boolean {
  const [one, other] = differing(compared(before), compared(after)).map((schema) => JSON.stringify(schema));
  if (one === undefined || other === undefined || one === other) return true;
  if (!isReady) {
    const module = readFileSync(createRequire(import.meta.url).resolve('jsoncompat/jsoncompat_wasm_bg.wasm'));
    initSync({ module });
    isReady = true;
  }
  return checkCompatibility(one, other, 'both');
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

/** Lists the changes after which an old consumer cannot read new messages, or a new consumer cannot read old ones. */
export function schemaChanges(place: string, before: JsonSchema, after: JsonSchema): Change[] {
  const changes = [...partChanges(place, '', before, after)];
  // Removed optional fields have been reported. What is left must be compatible as a whole.
  if (changes.length === 0 && !areCompatible(before, after))
    return [{ text: `${place}: the schema is not compatible`, mayBeExempt: false }];
  return changes;
}

/** Leaves out what is compared part by part. */
function withoutParts(schema: JsonSchema): JsonSchema {
  return { ...schema, properties: undefined, items: undefined, required: undefined };
}

function* partChanges(place: string, path: string, before: JsonSchema, after: JsonSchema): Generator<Change> {
  const { properties: fieldsBefore, items: itemsBefore } = before;
  const { properties: fieldsAfter, items: itemsAfter } = after;
  const change = (text: string, mayBeExempt = false): Change => ({ text: `${place}: ${text}`, mayBeExempt });
  const name = path || 'the value';
  if (typesOf(before).join() !== typesOf(after).join())
    return yield change(
      `changed the type of ${name} from ${typesOf(before).join(' or ')} to ${typesOf(after).join(' or ')}`,
    );
  if (before.format !== after.format)
    yield change(`changed the format of ${name} from ${before.format ?? 'none'} to ${after.format ?? 'none'}`);
  if (!areCompatible(withoutParts(before), withoutParts(after))) yield change(`changed the limits of ${name}`);
  if (itemsBefore && itemsAfter) yield* partChanges(place, `${path}[]`, itemsBefore, itemsAfter);
  for (const field of Object.keys({ ...fieldsBefore, ...fieldsAfter })) {
    const fieldPath = path ? `${path}.${field}` : field;
    const [one, other] = [fieldsBefore?.[field], fieldsAfter?.[field]];
    const [wasRequired, isRequired] = [before, after].map(({ required = [] }) => required.includes(field));
    if (!other) yield change(`removed the ${wasRequired ? 'required' : 'optional'} field ${fieldPath}`, !wasRequired);
    else if (!one && isRequired) yield change(`added the required field ${fieldPath}`);
    else if (one && wasRequired !== isRequired)
      yield change(
        `made the ${wasRequired ? 'required field' : 'optional field'} ${fieldPath} ${isRequired ? 'required' : 'optional'}`,
      );
    if (one && other) yield* partChanges(place, fieldPath, one, other);
  }
}
