import { DescribedApi, type Document, type Schema as JsonSchema } from './openapi.js';

interface Schema {
  readonly $ref?: string;
  readonly allOf?: readonly Schema[];
  readonly example?: unknown;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
}

interface Operation {
  readonly parameters?: readonly { name: string; in: string; example?: unknown; schema?: Schema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
}

/** A request built from the examples in the document. */
export interface DescribedRequest {
  readonly method: string;
  readonly path: string;
  /** Absent for a route that takes no body. */
  readonly body?: unknown;
  /** The same body with null at a place where the document does not allow it. */
  readonly withNull: readonly { readonly pointer: string; readonly body: unknown }[];
}

/** Returns one request for each operation of a service's API, except health. */
export function describedRequests(document: Document): DescribedRequest[] {
  const api = new DescribedApi(document);
  return Object.entries(document.paths)
    .filter(([path]) => !path.startsWith('/health'))
    .flatMap(([path, operations]) =>
      Object.entries(operations as Record<string, Operation>).map(([method, operation]) =>
        describedRequest(api, document, method.toUpperCase(), path, operation),
      ),
    );
}

function describedRequest(
  api: DescribedApi,
  document: Document,
  method: string,
  template: string,
  operation: Operation,
): DescribedRequest {
  const { parameters = [], requestBody } = operation;
  const path = template.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const parameter = parameters.find((one) => one.in === 'path' && one.name === name);
    return String(parameter?.example ?? parameter?.schema?.example);
  });
  const schema = requestBody?.content['application/json']?.schema;
  if (!schema) return { method, path, withNull: [] };
  const body = exampleOf(document, schema);
  return { method, path, body, withNull: nullsIn(api, document, schema, body, '#') };
}

function exampleOf(document: Document, schema: Schema): unknown {
  const { example, default: initial, enum: values, items, properties } = resolved(document, schema);
  if (items) return [exampleOf(document, items)];
  if (!properties) return example ?? initial ?? values?.[0];
  return Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, exampleOf(document, one)]));
}

function nullsIn(
  api: DescribedApi,
  document: Document,
  schema: Schema,
  value: unknown,
  pointer: string,
): DescribedRequest['withNull'] {
  const { items, properties } = resolved(document, schema);
  const here = api.meets(schema as JsonSchema, null) ? [] : [{ pointer, body: null }];
  if (items) {
    const [item] = value as unknown[];
    // Errors of values that are no objects name their list.
    const place = resolved(document, items).properties ? `${pointer}/0` : pointer;
    const inner = nullsIn(api, document, items, item, place);
    return [...here, ...inner.map((one) => ({ ...one, body: [one.body] }))];
  }
  const fields = value as Readonly<Record<string, unknown>>;
  const inner = Object.entries(properties ?? {}).flatMap(([name, one]) =>
    nullsIn(api, document, one, fields[name], `${pointer}/${name}`).map((wrong) => ({
      ...wrong,
      body: { ...fields, [name]: wrong.body },
    })),
  );
  return [...here, ...inner];
}

function resolved(document: Document, schema: Schema): Schema {
  const [part, ...others] = schema.allOf ?? [];
  if (part && others.length === 0) return { ...resolved(document, part), ...schema };
  if (!schema.$ref) return schema;
  const name = schema.$ref.split('/').at(-1) ?? '';
  return resolved(document, document.components?.schemas?.[name] ?? {});
}
