import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ApiExtension, ApiProperty, DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { CALLER_HEADERS, OPTIONAL_CALLER_EXTENSION, PUBLIC_EXTENSION, ROLES_EXTENSION } from '../caller.js';
import { commonProblems, OUTCOME_UNKNOWN, PROBLEM_JSON, problemDocument, type ProblemEntry } from '../problem.js';
import {
  type DocumentedProblem,
  schemaOfProblems,
  versionConflictSchemas,
  violationSchemas,
} from './problem-schemas.js';
import { QUERY_IGNORED_EXTENSION } from '../query-guard.js';
import { closeBody, closeParameter, mayBeEmpty } from './request-schemas.js';
import { applyConstraints, documentValidation, type JsonSchema } from './validated-schemas.js';

/** The general information about the service in the document. */
export interface OpenApiInfo {
  readonly title: string;
  readonly description: string;
  readonly version: string;
}

/** A problem document (RFC 9457). Further members depend on the type. */
class ProblemDto {
  @ApiProperty({
    format: 'uri',
    description: 'Identifies the kind of problem.',
    example: 'urn:twinbox:problem:not-found',
  })
  readonly type!: string;

  @ApiProperty({ description: 'A summary of the kind of problem.', example: 'Not Found.' })
  readonly title!: string;

  @ApiProperty({ type: 'integer', description: 'The HTTP status.', example: 404 })
  readonly status!: number;

  @ApiProperty({ description: 'What happened in this case.', example: 'Cannot GET /nowhere' })
  readonly detail!: string;

  @ApiProperty({
    format: 'uri',
    description: 'Identifies this occurrence. Quote it when you report the problem.',
    example: 'urn:request:4f2c0c7e-8f0a-4a51-9a39-0d8c1f5b7e21',
  })
  readonly instance!: string;
}

/** Marks a route that does not use the database, so that the document lists no 503 for it. */
export const WITHOUT_DATABASE_EXTENSION = 'x-without-database';

/** Marks a route whose handler reads the raw bytes of the body. Validation does not reject unknown fields there. */
export const RAW_BODY_EXTENSION = 'x-raw-body';

/** An entry of any problem table, whatever its rejection looks like. */
type AnyProblemEntry = Omit<ProblemEntry<never>, 'example' | 'schemas' | 'optional'> & {
  readonly example?: object;
  readonly schemas?: Readonly<Record<string, JsonSchema>>;
  readonly optional?: readonly string[];
};

const PROBLEMS_EXTENSION = 'x-problems';

/**
 * Documents the problems that are specific to a handler: `@ApiProblems(orderProblems, 'order-not-found')`. The status, the texts and the
 * example come from the table. The problems that every route has (400, 401, 403, 413, 415, 500, 503) are documented automatically.
 */
export function ApiProblems<C extends string>(
  table: { readonly [K in C]: AnyProblemEntry },
  ...codes: [NoInfer<C>, ...NoInfer<C>[]]
): MethodDecorator & ClassDecorator {
  const problems: DocumentedProblem[] = codes.map((code) => {
    const { status, title, detail, example = {}, schemas = {}, optional = [] } = table[code];
    const rejection = { code, ...example } as never;
    const members = example as Record<string, unknown>;
    return { code, status, title, detail: detail?.(rejection) ?? title, members, schemas, optional };
  });
  return ApiExtension(PROBLEMS_EXTENSION, problems);
}

/** Lets a parameter decorator document its route too. Use it as an enhancer for `createParamDecorator`. */
export function documentedBy(decorate: MethodDecorator): ParameterDecorator {
  return (target, name) => {
    const method = name === undefined ? undefined : Object.getOwnPropertyDescriptor(target, name);
    if (method && name !== undefined) decorate(target, name, method);
  };
}

/** Generates the OpenAPI document, including everything that all routes have in common. */
export function openApiDocument(app: NestFastifyApplication, info: OpenApiInfo): OpenAPIObject {
  documentValidation(app);
  const config = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle(info.title)
    .setDescription(info.description)
    .setVersion(info.version)
    .addApiKey(
      {
        type: 'apiKey',
        in: 'header',
        name: 'X-User-Id',
        description: 'The user id of the caller, 1 to 255 characters.',
      },
      'user',
    )
    .addApiKey(
      {
        type: 'apiKey',
        in: 'header',
        name: 'X-Roles',
        description:
          'The roles of the caller, a comma-separated list of customer, operator and admin. Default: customer.',
      },
      'roles',
    )
    .build();
  const document = SwaggerModule.createDocument(app, config, { extraModels: [ProblemDto] });
  const schemas = (document.components?.schemas ?? {}) as Record<string, Record<string, unknown>>;
  applyConstraints(schemas);
  for (const { method, operation } of operationsOf(document)) complete(operation, method, schemas);
  return document;
}

/** Serves Swagger UI at /docs and the document at /openapi.json, both public. */
export function setupOpenApi(app: NestFastifyApplication, info: OpenApiInfo): void {
  let document: OpenAPIObject | undefined;
  SwaggerModule.setup('docs', app, () => (document ??= openApiDocument(app, info)), {
    jsonDocumentUrl: 'openapi.json',
    raw: ['json'],
    customSiteTitle: info.title,
    swaggerOptions: { persistAuthorization: true, displayRequestDuration: true },
  });
}

/**
 * Lists what is missing from a document: operations without a summary, successes without a schema or an example, errors without an example.
 * For tests: `expect(openApiGaps(document)).toEqual([])`.
 */
export function openApiGaps(document: OpenAPIObject): string[] {
  const gaps: string[] = [];
  for (const { operation } of operationsOf(document)) {
    const name = operation.operationId ?? 'an operation';
    if (!operation.summary) gaps.push(`${name} has no summary`);
    if (!Object.keys(operation.responses).some((status) => status.startsWith('2'))) gaps.push(`${name} has no success`);
    for (const [status, response] of Object.entries(operation.responses)) {
      if (status === '204' || status === '304') continue;
      const [content] = Object.values(response.content ?? {});
      if (!content?.schema) gaps.push(`${name} ${status} has no schema`);
      else if (!hasExample(content, document)) gaps.push(`${name} ${status} has no example`);
    }
  }
  return gaps;
}

interface Schema {
  readonly $ref?: string;
  readonly type?: string | string[];
  readonly items?: Schema;
  readonly example?: unknown;
  readonly enum?: unknown;
  readonly allOf?: Schema[];
  readonly oneOf?: Schema[];
  readonly anyOf?: Schema[];
  readonly properties?: Record<string, Schema>;
}

interface Content {
  schema?: Schema;
  example?: unknown;
  examples?: Record<string, { summary?: string; value?: unknown }>;
}

interface ResponseObject {
  description: string;
  headers?: Record<string, unknown>;
  content?: Record<string, Content>;
}

interface Operation {
  operationId?: string;
  summary?: string;
  parameters?: { in?: string; name?: string; schema?: Record<string, unknown> }[];
  requestBody?: { required?: boolean; content?: Record<string, { schema?: Record<string, unknown> }> };
  security?: Record<string, string[]>[];
  responses: Record<string, ResponseObject>;
  [PUBLIC_EXTENSION]?: boolean;
  [OPTIONAL_CALLER_EXTENSION]?: boolean;
  [WITHOUT_DATABASE_EXTENSION]?: boolean;
  [QUERY_IGNORED_EXTENSION]?: boolean;
  [ROLES_EXTENSION]?: string[];
  [RAW_BODY_EXTENSION]?: boolean;
  [PROBLEMS_EXTENSION]?: DocumentedProblem[];
}

const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'] as const;

function operationsOf({ paths }: OpenAPIObject): { method: string; operation: Operation }[] {
  return Object.values(paths).flatMap((path) =>
    methods.flatMap((method) => (path[method] ? [{ method, operation: path[method] as unknown as Operation }] : [])),
  );
}

// Uses only the operation, so that a route that takes a body or requires a role gets its errors documented without further decorators.
function complete(operation: Operation, method: string, schemas: Record<string, Record<string, unknown>>): void {
  const isPublic = operation[PUBLIC_EXTENSION] === true;
  const roles = operation[ROLES_EXTENSION];
  // A body is read before anything else, even if the route takes none. GET has no body (RFC 9110, section 9.3.1).
  const readsBody = ['post', 'put', 'patch', 'delete'].includes(method);
  // A route without parameters rejects any query.
  const hasInput = readsBody || (operation.parameters ?? []).length > 0 || !operation[QUERY_IGNORED_EXTENSION];
  const problems: DocumentedProblem[] = [];

  if (!operation[RAW_BODY_EXTENSION]) closeRequest(operation, schemas);
  if (hasInput) problems.push(examples.validation(operation.requestBody !== undefined));
  if (operation.parameters?.some((parameter) => parameter.in === 'path')) problems.push(examples.badPath);
  if (readsBody) problems.push(examples.malformedBody, examples.tooLarge, examples.mediaType);
  if (!isPublic) problems.push(examples.callerUnknown);
  if (roles) problems.push(examples.roleRequired(roles));
  if (takesHeader(operation, 'If-Match')) problems.push(examples.versionConflict);
  if (takesHeader(operation, 'Idempotency-Key')) {
    problems.push(examples.keyInvalid);
    // Without a body all requests are equal, so a key cannot be reused for another one.
    if (operation.requestBody) problems.push(examples.keyReused);
  }
  problems.push(...(operation[PROBLEMS_EXTENSION] ?? []), examples.internalError);
  // The response of a health check while the database is down is its regular result, not an error.
  if (!operation[WITHOUT_DATABASE_EXTENSION] && !operation.responses['503'])
    problems.push(examples.databaseUnavailable, examples.tryAgain);

  // The empty requirement makes the others optional (OpenAPI 3.0.3, "Security Requirement Object").
  const anonymous = operation[OPTIONAL_CALLER_EXTENSION] === true && !roles ? [{}] : [];
  operation.security = isPublic
    ? []
    : roles
      ? [{ user: [], roles: [] }]
      : [...anonymous, { user: [] }, { user: [], roles: [] }];
  delete operation[PUBLIC_EXTENSION];
  delete operation[OPTIONAL_CALLER_EXTENSION];
  delete operation[WITHOUT_DATABASE_EXTENSION];
  delete operation[QUERY_IGNORED_EXTENSION];
  delete operation[RAW_BODY_EXTENSION];
  delete operation[ROLES_EXTENSION];
  delete operation[PROBLEMS_EXTENSION];

  if (takesHeader(operation, 'If-None-Match')) documentValidators(operation, method);
  for (const [status, response] of Object.entries(operation.responses)) {
    if (!response.description) response.description = status.startsWith('2') ? 'Done.' : 'An error.';
    response.headers = { ...headersOf[Number(status)], ...response.headers, 'X-Request-Id': requestIdHeader };
    if (status.startsWith('2') && takesHeader(operation, 'Idempotency-Key'))
      response.headers['Idempotent-Replayed'] = replayedHeader;
  }
  const byStatus = Map.groupBy(problems, ({ status }) => status);
  for (const [status, grouped] of byStatus) addProblems(operation.responses, status, grouped, schemas);
}

function closeRequest({ parameters = [], requestBody }: Operation, schemas: Record<string, Record<string, unknown>>) {
  for (const { in: where, schema } of parameters) if (schema && where !== 'header') closeParameter(schema);
  for (const { schema } of Object.values(requestBody?.content ?? {})) {
    if (!requestBody || !schema) continue;
    closeBody(schema, schemas);
    requestBody.required = !mayBeEmpty(schema, schemas);
  }
}

/** Documents the ETag that every response of a versioned resource has, and for a GET the caching headers and the 304. */
function documentValidators({ responses }: Operation, method: string): void {
  const headers =
    method === 'get'
      ? { ETag: etagHeader, 'Last-Modified': lastModifiedHeader, ...cacheHeaders }
      : { ETag: etagHeader };
  if (method === 'get')
    responses['304'] = {
      description:
        'Not modified: `If-None-Match` lists the current ETag, or nothing has changed since `If-Modified-Since`.',
      headers,
    };
  for (const [status, response] of Object.entries(responses)) {
    if (status.startsWith('2')) response.headers = { ...headers, ...response.headers };
  }
}

function takesHeader({ parameters = [] }: Operation, header: string): boolean {
  return parameters.some(({ in: where, name }) => where === 'header' && name === header);
}

function addProblems(
  responses: Operation['responses'],
  status: number,
  problems: readonly DocumentedProblem[],
  schemas: Record<string, object>,
): void {
  // A response that is already documented, such as the 503 of a health check, keeps its schema alongside that of the problems.
  const response = (responses[status] ??= {
    description: '',
    headers: {
      'X-Request-Id': requestIdHeader,
      ...headersOf[status],
    },
  });
  const known = [...new Map(problems.map((problem) => [problem.code, problem])).values()];
  response.description ||= known.map(({ title }) => title).join(' ');
  response.content = {
    ...response.content,
    [PROBLEM_JSON]: {
      schema: schemaOfProblems(known, schemas),
      examples: Object.fromEntries(
        known.map((problem) => [
          problem.code,
          { summary: problem.title, value: problemDocument(problem, EXAMPLE_REQUEST_ID) },
        ]),
      ),
    },
  };
}

const EXAMPLE_REQUEST_ID = '4f2c0c7e-8f0a-4a51-9a39-0d8c1f5b7e21';
/** Documents the `ETag` of a response. Routes with `Preconditions` get it automatically. */
export const etagHeader = {
  description: 'Begins with the version. Send it in `If-Match` or `If-None-Match`.',
  schema: { type: 'string' },
};
const lastModifiedHeader = {
  description:
    'When the resource last changed. Absent if that is not known, or if a later change could still get the same date.',
  schema: { type: 'string' },
};
const cacheHeaders = {
  'Cache-Control': { schema: { type: 'string', enum: ['private, no-cache'] } },
  Vary: { description: `Includes ${CALLER_HEADERS.join(' and ')}.`, schema: { type: 'string' } },
};
const requestIdHeader = {
  description: 'The id of this request in the log.',
  required: true,
  schema: { type: 'string' },
};
const replayedHeader = {
  description: '`true` if this is the stored response to an earlier request with the same key.',
  schema: { type: 'string', enum: ['true'] },
};
const retryAfterHeader = { description: 'How many seconds to wait before trying again.', schema: { type: 'integer' } };

/** The headers of problems by status. */
const headersOf: Readonly<Record<number, Record<string, unknown>>> = {
  401: { 'WWW-Authenticate': { schema: { type: 'string' } } },
  415: {
    Accept: { description: 'The media type that a body must have.', schema: { type: 'string' } },
    'Accept-Encoding': { description: 'The content coding that a body must have.', schema: { type: 'string' } },
  },
  503: { 'Retry-After': retryAfterHeader },
};

const examples = {
  validation: (hasBody: boolean): DocumentedProblem => ({
    code: 'validation',
    ...commonProblems.validation,
    detail: hasBody ? '#/quantity: must be a positive number.' : 'id: must be a UUID.',
    members: {
      errors: [
        hasBody
          ? { pointer: '#/quantity', detail: 'must be a positive number' }
          : { parameter: 'id', detail: 'must be a UUID' },
      ],
    },
    schemas: violationSchemas,
  }),
  badPath: {
    code: 'bad-request',
    status: 400,
    title: 'The path is not valid.',
    detail: "'/orders/%zz' is not a valid url component",
  },
  malformedBody: {
    code: 'malformed-body',
    ...commonProblems['malformed-body'],
    detail: 'The body is not valid UTF-8.',
  },
  callerUnknown: {
    code: 'caller-unknown',
    ...commonProblems['caller-unknown'],
    detail: 'The X-User-Id header is missing or empty.',
  },
  roleRequired: (roles: string[]): DocumentedProblem => ({
    code: 'role-required',
    ...commonProblems['role-required'],
    detail: `This requires the role ${roles.join(' or ')}.`,
    members: { roles },
  }),
  versionConflict: {
    code: 'version-conflict',
    ...commonProblems['version-conflict'],
    detail: 'The resource was at version 2 when you read it and is now at version 3.',
    members: { expected: 2, actual: 3 },
    schemas: versionConflictSchemas,
    optional: ['expected'],
  },
  keyInvalid: {
    code: 'idempotency-key-invalid',
    ...commonProblems['idempotency-key-invalid'],
    detail: 'Idempotency-Key must be 1 to 255 visible ASCII characters, or a string in quotes.',
  },
  keyReused: {
    code: 'idempotency-key-reused',
    ...commonProblems['idempotency-key-reused'],
  },
  tooLarge: {
    code: 'payload-too-large',
    ...commonProblems['payload-too-large'],
    detail: 'Request body is too large',
  },
  mediaType: {
    code: 'unsupported-media-type',
    ...commonProblems['unsupported-media-type'],
    detail: 'The body must be in UTF-8.',
  },
  internalError: {
    code: 'internal-error',
    ...commonProblems['internal-error'],
    detail: 'Quote the instance when you report this problem.',
  },
  databaseUnavailable: {
    code: 'database-unavailable',
    ...commonProblems['database-unavailable'],
    detail: OUTCOME_UNKNOWN,
  },
  tryAgain: {
    code: 'try-again',
    ...commonProblems['try-again'],
    detail: OUTCOME_UNKNOWN,
  },
};

function hasExample(content: Content, document: OpenAPIObject): boolean {
  return (
    content.example !== undefined ||
    Object.keys(content.examples ?? {}).length > 0 ||
    schemaHasExample(content.schema, document, 0)
  );
}

// A schema has an example if it states one or if all of its properties have one.
function schemaHasExample(schema: Schema | undefined, document: OpenAPIObject, depth: number): boolean {
  if (!schema || depth > 10) return false;
  if (schema.example !== undefined || schema.enum !== undefined || schema.type === 'boolean') return true;
  if (schema.type === 'null') return true;
  if (schema.$ref) {
    const name = schema.$ref.split('/').at(-1) ?? '';
    return schemaHasExample(document.components?.schemas?.[name], document, depth + 1);
  }
  const variants = schema.allOf ?? schema.oneOf ?? schema.anyOf;
  if (variants) return variants.every((variant) => schemaHasExample(variant, document, depth + 1));
  if (schema.items) return schemaHasExample(schema.items, document, depth + 1);
  const properties = Object.values(schema.properties ?? {});
  return properties.length > 0 && properties.every((property) => schemaHasExample(property, document, depth + 1));
}
