import * as contracts from '@twinbox/contracts';
import { type EventClass, type TopicContract } from '@twinbox/messaging';
import { plainToInstance } from 'class-transformer';
import { validateSync, ValidationTypes } from 'class-validator';
import { targetConstructorToSchema } from 'class-validator-jsonschema';
import { OperationalError } from '../../errors.js';
import { commonFields } from './common-fields.js';
import { type ClassDocs, type Docstring, docstrings } from './docstrings.js';
import { type JsonSchema, typesOf } from './json-schema.js';
import { rules } from './rules.js';

/** The topics whose contracts are published: the exports of `@twinbox/contracts` whose names end in `_EVENTS`. */
export const topics: readonly TopicContract[] = Object.entries(contracts).flatMap(([name, topic]) =>
  name.endsWith('_EVENTS') ? [topic as unknown as TopicContract] : [],
);

/** One version of an event. */
export interface EventVersion {
  /** The name of the schema: `OrderPlaced.v1`. */
  readonly name: string;
  readonly type: string;
  readonly version: number;
  readonly schema: JsonSchema;
}

/** Returns every version of every event of the topic, with its schema. */
export async function eventVersions(topic: TopicContract): Promise<readonly EventVersion[]> {
  const docs = await docstrings();
  return Object.entries(topic.events).flatMap(([type, newest]) =>
    versionsOf(newest).map(({ version, dataClass }): EventVersion => {
      return { name: `${type}.v${version}`, type, version, schema: schemaOf(type, version, dataClass, docs) };
    }),
  );
}

/** The id of a schema, which `ce_dataschema` names. */
export const schemaId = (type: string, version: number) => `urn:event:${type}:${version}`;

type Docs = ReadonlyMap<string, ClassDocs>;
type DataClass = new () => object;

/** Returns the class of each version that is published or still read, oldest first. */
function versionsOf(newest: EventClass): readonly { readonly version: number; readonly dataClass: DataClass }[] {
  const earlier = Object.entries(newest.upcasters ?? {}).map(([n, { from }]) => ({
    version: Number(n),
    dataClass: from,
  }));
  return [...earlier, { version: newest.version, dataClass: newest }];
}

function schemaOf(type: string, version: number, dataClass: DataClass, docs: Docs): JsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: schemaId(type, version),
    ...objectSchema(dataClass, docs),
    title: `${type}V${version}`,
  };
}

type Converters = NonNullable<Parameters<typeof targetConstructorToSchema>[1]>['additionalConverters'] & object;

/** The part of class-validator's metadata that a converter reads. */
interface Rule {
  readonly target: unknown;
  readonly propertyName: string;
  readonly type: string;
  readonly constraints?: readonly unknown[];
}

function objectSchema(dataClass: DataClass, docs: Docs): JsonSchema {
  const classDocs = docs.get(dataClass.name);
  const bare = targetConstructorToSchema(dataClass, { additionalConverters: converters(docs) }) as JsonSchema;
  const properties = Object.entries(bare.properties ?? {}).map(([field, schema]) => {
    const stated = classDocs?.fields.get(field) ?? {};
    return [field, describedField(`${dataClass.name}.${field}`, nullable(dataClass, field, schema), stated)] as const;
  });
  if (!classDocs?.description)
    throw new OperationalError(`${dataClass.name} has no docstring. It describes the schema.`);
  return {
    title: dataClass.name,
    description: classDocs.description,
    type: 'object',
    properties: Object.fromEntries(properties),
    required: bare.required ?? [],
    examples: [Object.fromEntries(properties.map(([field, { examples }]) => [field, examples?.[0]]))],
  };
}

/** The converters of class-validator-jsonschema for our own rules and for nested classes, which become part of the schema. */
function converters(docs: Docs): Converters {
  const own = Object.entries(rules).map(([name, schema]) => [
    name,
    ({ constraints = [] }: Rule): JsonSchema => schema(...(constraints as number[])),
  ]);
  return {
    ...Object.fromEntries(own),
    [ValidationTypes.NESTED_VALIDATION]: ({ target, propertyName }: Rule) => {
      return objectSchema(nestedClass(target as DataClass, propertyName), docs);
    },
    [ValidationTypes.CUSTOM_VALIDATION]: ({ type, propertyName }: Rule) => {
      throw new OperationalError(
        `The rule ${type} of ${propertyName} has no JSON Schema. Add it to tools/src/contracts/events/rules.ts.`,
      );
    },
  } as Converters;
}

/** Returns the class that class-transformer converts the elements of an array to. */
function nestedClass(dataClass: DataClass, field: string): DataClass {
  const { [field]: elements } = plainToInstance(dataClass, { [field]: [{}] }) as Record<string, object[] | undefined>;
  return elements?.[0]?.constructor as DataClass;
}

/** Allows null where the reader does. */
function nullable(dataClass: DataClass, field: string, schema: JsonSchema): JsonSchema {
  const read = plainToInstance(dataClass, { [field]: null });
  const errors = validateSync(read, { forbidUnknownValues: false });
  return errors.some(({ property }) => property === field) ? schema : { ...schema, type: [...typesOf(schema), 'null'] };
}

function describedField(name: string, schema: JsonSchema, stated: Docstring): JsonSchema {
  const common = commonFields[name.replace(/.*\./, '')];
  const description = stated.description ?? common?.description;
  const nested = schema.items?.examples ?? schema.examples;
  const example = stated.example ?? common?.example ?? (schema.items ? nested : nested?.[0]);
  if (description === undefined || example === undefined)
    throw new OperationalError(
      `${name} has no ${description === undefined ? 'docstring' : 'example'}. State it in the class (as @example with JSON), or in ` +
        'tools/src/contracts/events/common-fields.ts if several events have the field.',
    );
  return { description, ...schema, ...(!schema.properties && { examples: [example] }) };
}
