import { Validator } from '@seriousme/openapi-schema-validator';
import { type openApiDocument } from '@twinbox/api-kit';
import { type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { fullFormats } from 'ajv-formats/dist/formats.js';
import { type Answer } from './http.js';

export type Document = ReturnType<typeof openApiDocument>;
export type Schema = Readonly<Record<string, unknown>>;

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required?: boolean;
  readonly schema: Schema;
}

interface Content {
  readonly schema: Schema;
  readonly examples?: Readonly<Record<string, unknown>>;
}

export interface Operation {
  /** `PUT /products/{productId}` */
  readonly name: string;
  readonly method: string;
  readonly template: string;
  readonly parameters: readonly Parameter[];
  readonly security: readonly Readonly<Record<string, unknown>>[];
  readonly requestBody?: { readonly required?: boolean; readonly content: Readonly<Record<string, Content>> };
  readonly responses: Readonly<
    Record<
      string,
      {
        readonly headers?: Readonly<Record<string, { readonly required?: boolean }>>;
        readonly content?: Readonly<Record<string, Content>>;
      }
    >
  >;
}

/** Validates a document against OpenAPI's own schema; undefined when there are no errors. */
export async function openApiErrors(document: Document): Promise<unknown> {
  return (await new Validator().validate(structuredClone({ ...document }))).errors;
}

const METHODS = ['get', 'put', 'post', 'patch', 'delete'] as const;

/** Headers of the connection, of security, and others that any answer may have. */
const COMMON_HEADERS = new RegExp(
  '^(access-control-.*|cache-control|connection|content-(length|security-policy|type)|cross-origin-.*|date|keep-alive|' +
    'origin-agent-cluster|referrer-policy|transfer-encoding|vary|x-(accel-buffering|content-type-options|frame-options))$',
);

/** Routes that the document omits. */
const UNDOCUMENTED = /^\/(metrics|docs(\/.*)?|openapi\.json)$/;

/** Compares an OpenAPI 3.1 document with the requests that a service accepts and the answers it gives. */
export class DescribedApi {
  readonly operations: readonly Operation[];
  readonly schemas: Readonly<Record<string, Schema>>;
  private readonly requests: Schemas;
  private readonly answers: Schemas;

  constructor(document: Document) {
    this.schemas = (document.components?.schemas ?? {}) as Record<string, Schema>;
    this.operations = Object.entries(document.paths).flatMap(([template, path]) =>
      METHODS.flatMap((method) => {
        const operation = path[method] as unknown as Operation | undefined;
        if (!operation) return [];
        const name = `${method.toUpperCase()} ${template}`;
        return [{ ...operation, parameters: operation.parameters ?? [], name, method: method.toUpperCase(), template }];
      }),
    );
    this.requests = new Schemas(this.schemas);
    this.answers = new Schemas(closed(this.schemas));
  }

  /** Whether a value of a request matches a schema of the document. */
  meets(schema: Schema, value: unknown): boolean {
    return this.requests.validatorOf(schema)(value);
  }

  /** Lists what the document lacks for an answer, one line each: the status, the media type, a header, a field of the body. */
  gapsOf({ method, path, status, headers, body }: Answer): string[] {
    if (method === 'HEAD' || method === 'OPTIONS') return [];
    const pathname = path.replace(/[?#].*/s, '');
    const operation = this.operationOf(method, pathname);
    if (!operation) return [404, 405].includes(status) || UNDOCUMENTED.test(pathname) ? [] : [`${method} ${pathname}`];
    const name = `${operation.name} ${status}`;
    const response = operation.responses[status];
    if (!response) return [`${name}: ${JSON.stringify(body)}`];

    const stated = new Map(Object.entries(response.headers ?? {}).map(([key, value]) => [key.toLowerCase(), value]));
    const gaps = [...headers.keys()]
      .filter((header) => !COMMON_HEADERS.test(header) && !stated.has(header))
      .map((header) => `${name} ${header}`);
    for (const [header, { required }] of stated)
      if (required && !headers.has(header)) gaps.push(`${name} without ${header}`);
    return [...gaps, ...this.contentGaps(name, response.content, headers.get('content-type'), body)];
  }

  operationOf(method: string, pathname: string): Operation | undefined {
    const found = this.operations.filter(
      (operation) =>
        operation.method === method &&
        new RegExp(`^${operation.template.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(pathname),
    );
    // `/things/mine` takes precedence over `/things/{id}`.
    return found.sort((a, b) => a.template.split('{').length - b.template.split('{').length)[0];
  }

  private contentGaps(
    name: string,
    content: Operation['responses'][string]['content'],
    contentType: string | null,
    body: unknown,
  ): string[] {
    const mediaType = contentType?.replace(/;.*/, '');
    if (!content) return mediaType === undefined ? [] : [`${name} ${mediaType}`];
    const stated = content[mediaType ?? ''];
    if (!stated) return [`${name} ${mediaType ?? 'without a content type'}`];
    if (!mediaType?.endsWith('json')) return [];
    const validate = this.answers.validatorOf(stated.schema);
    if (validate(body)) return [];
    return (validate.errors ?? []).map(
      ({ instancePath, message, params }) => `${name} ${instancePath} ${message} ${JSON.stringify(params)}`,
    );
  }
}

class Schemas {
  private readonly ajv = new Ajv2020({
    strict: false,
    validateSchema: false,
    allErrors: true,
    // Opaque values: only the service knows which ones are valid.
    formats: { ...fullFormats, cursor: true, 'event-id': true, 'former-currency': true, 'http-date': true },
  });
  private readonly validators = new Map<Schema, ValidateFunction>();

  constructor(schemas: Readonly<Record<string, Schema>>) {
    this.ajv.addSchema({ $id: 'api', components: { schemas: absolute(schemas) } });
  }

  validatorOf(schema: Schema): ValidateFunction {
    const known = this.validators.get(schema) ?? this.ajv.compile(absolute(schema));
    this.validators.set(schema, known);
    return known;
  }
}

/** Returns the schema with references that work outside the document. */
function absolute(schema: Schema): Schema {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"api#/components/')) as Schema;
}

/**
 * Clients must tolerate unknown members, so the document does not exclude them. Tests must detect members that the document does not have.
 */
function closed(schemas: Readonly<Record<string, Schema>>): Record<string, Schema> {
  const copy = structuredClone(schemas) as Record<string, Record<string, unknown>>;
  for (const [name, schema] of Object.entries(copy)) if (name !== 'Problem') close(schema);
  return copy;
}

function close(schema: Record<string, unknown>): void {
  const { properties, items, additionalProperties } = schema as {
    readonly properties?: Record<string, Record<string, unknown>>;
    readonly items?: Record<string, unknown>;
    readonly additionalProperties?: unknown;
  };
  for (const part of Object.values(properties ?? {})) close(part);
  if (items) close(items);
  if (properties && additionalProperties === undefined) schema['unevaluatedProperties'] = false;
}
