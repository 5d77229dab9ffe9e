import type { Type } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ApiExtension, ApiProperty } from '@nestjs/swagger';
import { plainToInstance } from 'class-transformer';
import { getMetadataStorage, validateSync } from 'class-validator';
import type { JsonSchema } from './json-schema.js';
import { keywords, timeOf, uuidOf } from './rule-keywords.js';

type Rule = ReturnType<ReturnType<typeof getMetadataStorage>['getTargetValidationMetadatas']>[number];
type Property = JsonSchema & { readonly type?: unknown; readonly isArray?: boolean; readonly required?: unknown };

/** Metadata keys of @nestjs/swagger, copied from its constants.js because it does not export them. */
const MODEL_PROPERTY = 'swagger/apiModelProperties';
const PARAMETERS = 'swagger/apiParameters';
const EXTRA_MODELS = 'swagger/apiExtraModels';

const CONSTRAINT_EXTENSION = 'x-constraint';

/** Adds to the schema of a class how its properties depend on each other, which the rules of single properties cannot state. */
export const ApiConstraint = (schema: JsonSchema): ClassDecorator => ApiExtension(CONSTRAINT_EXTENSION, schema);

/** Moves the constraints of {@link ApiConstraint} into the schemas. */
export function applyConstraints(schemas: Record<string, Record<string, unknown>>): void {
  for (const schema of Object.values(schemas)) {
    Object.assign(schema, schema[CONSTRAINT_EXTENSION]);
    delete schema[CONSTRAINT_EXTENSION];
  }
}

/**
 * Documents the limits that validation enforces, for every class that a route of the application accepts. They come from the validation
 * rules and override those of `@ApiProperty`. A custom rule states its schema in its validation options, as `context: { schema: { … } }`.
 */
export function documentValidation(app: NestFastifyApplication): void {
  const done = new Set<Type>();
  for (const controller of controllersOf(app)) for (const type of typesOf(controller)) documentClass(type, done);
}

function controllersOf(app: NestFastifyApplication): Type[] {
  const modules = [...app.get(ModulesContainer).values()];
  return modules.flatMap(({ controllers }) => [...controllers.values()].map(({ metatype }) => metatype as Type));
}

/** Returns the classes of all parameters of a controller's methods, and those that `@ApiBody` and `@ApiExtraModels` name. */
function typesOf({ prototype }: Type): Type[] {
  return Object.getOwnPropertyNames(prototype).flatMap((name) => {
    const handler: unknown = Object.getOwnPropertyDescriptor(prototype, name)?.value;
    if (typeof handler !== 'function') return [];
    const typed = (Reflect.getMetadata('design:paramtypes', prototype as object, name) ?? []) as unknown[];
    const named = (Reflect.getMetadata(PARAMETERS, handler) ?? []) as { readonly type?: unknown }[];
    const extra = (Reflect.getMetadata(EXTRA_MODELS, handler) ?? []) as unknown[];
    return [...typed, ...named.map(({ type }) => type), ...extra].filter(
      (type) => typeof type === 'function',
    ) as Type[];
  });
}

function documentClass(type: Type, done: Set<Type>): void {
  if (done.has(type)) return;
  done.add(type);
  const rules = getMetadataStorage().getTargetValidationMetadatas(type, '', false, false);
  for (const [name, propertyRules] of Map.groupBy(rules, ({ propertyName }) => propertyName)) {
    const prototype = type.prototype as object;
    const known = (Reflect.getMetadata(MODEL_PROPERTY, prototype, name) ?? {}) as Property;
    if (typeof known.type === 'function') documentClass(known.type as Type, done);
    const required = !accepts(type, name, {});
    // Whether it is required, and what it must be, depends on other properties. ApiConstraint states that.
    if (required && known.required === false) continue;
    document(prototype, name, { ...documented(type, name, propertyRules, known), required });
  }
}

/** Adds keywords to the documented schema of a property, and removes those that are undefined. */
function document(prototype: object, name: string, schema: JsonSchema): void {
  ApiProperty(schema)(prototype, name);
  const all = Object.entries({ ...(Reflect.getMetadata(MODEL_PROPERTY, prototype, name) as object), ...schema });
  const stated = all.filter(([, value]) => value !== undefined);
  Reflect.defineMetadata(MODEL_PROPERTY, Object.fromEntries(stated), prototype, name);
}

function documented(type: Type, name: string, rules: readonly Rule[], known: Property): JsonSchema {
  const own = rules.filter(({ each }) => !each).map(keywordsOf);
  const ofItems = together(rules.filter(({ each }) => each).map(keywordsOf));
  return {
    // For an inherited property, ApiProperty would replace them with the type that TypeScript emitted.
    ...(known.type !== undefined && { type: known.type, isArray: known.isArray }),
    ...together(own),
    ...(Object.keys(ofItems).length > 0 && { items: { ...ofItems, ...(known['items'] as object | undefined) } }),
    ...(own.some(({ format }) => format === 'uuid') && uuidOf((uuid) => accepts(type, name, { [name]: uuid }))),
    ...(known['format'] === 'date-time' && timeOf(accepts(type, name, { [name]: '2026-11-21' }))),
    ...(accepts(type, name, { [name]: null }) && { nullable: true }),
  };
}

/** Whether validation of the body reports no error for this property. */
function accepts(type: Type, name: string, body: object): boolean {
  const errors = validateSync(plainToInstance(type, body) as object, { forbidUnknownValues: false });
  return !errors.some(({ property }) => property === name);
}

function keywordsOf({ name = '', constraints, context }: Rule): JsonSchema {
  const stated = (context as { readonly schema?: JsonSchema } | undefined)?.schema;
  return stated ?? keywords[name]?.(...((constraints ?? []) as never[])) ?? {};
}

/** Merges schemas into one that requires all of them. A schema can have only one pattern, so several become an `allOf`. */
function together(schemas: readonly JsonSchema[]): JsonSchema {
  const all: Record<string, unknown> = Object.assign({}, ...schemas);
  const patterns = [...new Set(schemas.map(({ pattern }) => pattern).filter((pattern) => pattern !== undefined))];
  if (patterns.length > 1) {
    delete all['pattern'];
    all['allOf'] = patterns.map((pattern) => ({ pattern }));
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}
