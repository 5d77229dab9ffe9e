import { Validator } from '@seriousme/openapi-schema-validator';
import { type openApiDocument } from '@twinbox/api-kit';
import { type Answer } from './http.js';

type Document = ReturnType<typeof openApiDocument>;

interface Schema {
  readonly $ref?: string;
  readonly allOf?: readonly Schema[];
  readonly type?: string;
  readonly nullable?: boolean;
  readonly enum?: readonly unknown[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}

/** What is wrong with a document by OpenAPI's own schema; undefined when nothing is. */
export async function openApiErrors(document: Document): Promise<unknown> {
  return (await new Validator().validate(structuredClone({ ...document }))).errors;
}

/** What the document does not tell as it was answered, one line each: the operation, the status, the media type, a field. */
export function undocumented(document: Document, answers: readonly Answer[]): string[] {
  return [...new Set(answers.flatMap((answer) => gapsOf(document, answer)))];
}

function gapsOf(document: Document, { method, path, status, headers, body }: Answer): string[] {
  const pathname = path.replace(/\?.*/s, '');
  const template = Object.keys(document.paths)
    .filter((known) => new RegExp(`^${known.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(pathname))
    // /things/mine is no /things/{id}
    .sort((a, b) => a.split('{').length - b.split('{').length)[0];
  const name = `${method} ${template ?? pathname} ${status}`;
  const operation = document.paths[template ?? '']?.[method.toLowerCase() as 'get' | 'post'];
  const response = operation?.responses[status];
  if (!response || '$ref' in response) return [name];
  // It has no content.
  if (status === 304) return [];

  const mediaType = headers.get('content-type')?.replace(/;.*/, '') ?? 'none';
  const content = response.content?.[mediaType];
  if (!content) return [`${name} ${mediaType}`];
  // A problem has members of its own beyond the schema.
  return mediaType === 'application/json' ? differences(document, content.schema as Schema, body, name) : [];
}

function differences(document: Document, schema: Schema, value: unknown, at: string): string[] {
  const { type, nullable, items, properties, required = [], enum: values } = resolved(document, schema);
  if (value === null) return nullable ? [] : [`${at} is null`];
  if (values && !values.includes(value)) return [`${at} is ${JSON.stringify(value)}`];
  const actual = Array.isArray(value) ? 'array' : Number.isInteger(value) ? 'integer' : typeof value;
  if (type !== actual) return [`${at} is of type ${actual}, not ${type}`];
  if (Array.isArray(value)) return value.flatMap((item) => differences(document, items ?? {}, item, `${at} []`));
  if (!properties) return [];
  const fields = value as Record<string, unknown>;
  const missing = required.filter((name) => !(name in fields));
  return [
    ...missing.map((name) => `${at} .${name} is missing`),
    ...Object.entries(fields).flatMap(([name, field]) =>
      properties[name] ? differences(document, properties[name], field, `${at} .${name}`) : [`${at} .${name}`],
    ),
  ];
}

function resolved(document: Document, schema: Schema): Schema {
  const [part, ...others] = schema.allOf ?? [];
  if (part && others.length === 0) return { ...resolved(document, part), ...schema };
  if (!schema.$ref) return schema;
  const name = schema.$ref.split('/').at(-1) ?? '';
  return resolved(document, (document.components?.schemas?.[name] ?? {}) as Schema);
}
