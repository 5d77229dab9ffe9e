import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ApiProperty, DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { ServiceConfig } from '../../app/service-config.js';
import { setupEventContracts } from '../event-contracts.js';
import { MANAGEMENT_EXTENSION, managementAccess } from '../management.js';
import { completeOperation } from './complete-operation.js';
import { operationsOf } from './operation.js';
import { addSecuritySchemes, resolveManagement } from './security.js';
import { applyConstraints, documentValidation } from './validated-schemas.js';

/** The general information about the service in the document. */
export interface OpenApiInfo {
  readonly title: string;
  readonly description: string;
  readonly version: string;
  readonly license?: { readonly name: string; readonly url: string };
  /** The description of each tag of its operations, by name. */
  readonly tags?: Readonly<Record<string, string>>;
  /** The folder with the contracts of the events that the service publishes and consumes. They are served at `/docs/events`. */
  readonly events?: string;
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

/** The tags of operations that every service has. */
const TAGS = {
  health: 'For orchestrators, which may ask without a token, and for operators.',
  messaging: 'See and repair the outbox, inbox and jobs. Operators may look, and only admins may change something.',
};

/** Generates the OpenAPI document, including everything that all routes have in common. */
export function openApiDocument(app: NestFastifyApplication, info: OpenApiInfo): OpenAPIObject {
  documentValidation(app);
  const service = app.get(ServiceConfig);
  const { AUTH_MODE: authMode } = service;
  const builder = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle(info.title)
    .setDescription(info.description)
    .setVersion(info.version)
    .addServer('/', 'The service that serves this document.');
  if (info.license) builder.setLicense(info.license.name, info.license.url);
  for (const [name, description] of Object.entries({ ...info.tags, ...TAGS })) builder.addTag(name, description);
  const config = addSecuritySchemes(builder, authMode).build();
  const document = SwaggerModule.createDocument(app, config, { extraModels: [ProblemDto] });
  const access = managementAccess(service);
  // The document describes the public port.
  if (access === 'management-port') leaveOutManagement(document);
  const schemas = (document.components?.schemas ?? {}) as Record<string, Record<string, unknown>>;
  applyConstraints(schemas);
  for (const found of operationsOf(document)) {
    resolveManagement(found.operation, access);
    completeOperation(found, schemas, authMode);
  }
  // The builder adds an empty contact.
  if (Object.keys(document.info.contact ?? {}).length === 0) delete document.info.contact;
  return withPlainNames(document);
}

/** Names the schemas after what they describe, such as `Order` instead of `OrderDto`. Generated clients name their types after them. */
function withPlainNames(document: OpenAPIObject): OpenAPIObject {
  const plain = (name: string) => name.replace(/Dto$/, '');
  const schemas = Object.entries(document.components?.schemas ?? {});
  if (new Set(schemas.map(([name]) => plain(name))).size < schemas.length)
    throw new Error(`Two schemas have the same name without Dto: ${schemas.map(([name]) => name).join(', ')}.`);
  const components = {
    ...document.components,
    schemas: Object.fromEntries(schemas.map(([name, schema]) => [plain(name), schema])),
  };
  const text = JSON.stringify({ ...document, components });
  return JSON.parse(
    text.replaceAll(/"(#\/components\/schemas\/\w+)"/g, (_, path: string) => `"${plain(path)}"`),
  ) as OpenAPIObject;
}

function leaveOutManagement({ paths }: OpenAPIObject): void {
  for (const [path, { get }] of Object.entries(paths))
    if (get && MANAGEMENT_EXTENSION in get) Reflect.deleteProperty(paths, path);
}

/** Serves Swagger UI at /docs, the document at /openapi.json and the contracts of events at /docs/events, all of them public. */
export function setupOpenApi(app: NestFastifyApplication, info: OpenApiInfo): void {
  if (info.events !== undefined) setupEventContracts(app, info.events);
  let document: OpenAPIObject | undefined;
  SwaggerModule.setup('docs', app, () => (document ??= openApiDocument(app, info)), {
    jsonDocumentUrl: 'openapi.json',
    raw: ['json'],
    customSiteTitle: info.title,
    swaggerOptions: { persistAuthorization: true, displayRequestDuration: true },
  });
}
