import type { OpenAPIObject } from '@nestjs/swagger';
import { OPTIONAL_CALLER_EXTENSION, PUBLIC_EXTENSION, ROLES_EXTENSION } from '../caller-guard.js';
import { MANAGEMENT_EXTENSION } from '../management.js';
import { QUERY_IGNORED_EXTENSION } from '../query-guard.js';
import type { DocumentedProblem } from './problem-schemas.js';
import { PROBLEMS_EXTENSION, RAW_BODY_EXTENSION, WITHOUT_DATABASE_EXTENSION } from './route-extensions.js';

export interface Schema {
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

export interface Content {
  schema?: Schema;
  example?: unknown;
  examples?: Record<string, { summary?: string; value?: unknown }>;
}

interface ResponseObject {
  description: string;
  headers?: Record<string, unknown>;
  content?: Record<string, Content>;
}

/** An operation of the document, with the extensions that decorators leave and that are not in the final document. */
export interface Operation {
  operationId?: string;
  summary?: string;
  parameters?: { in?: string; name?: string; schema?: Record<string, unknown> }[];
  requestBody?: { required?: boolean; content?: Record<string, { schema?: Record<string, unknown> }> };
  security?: Record<string, string[]>[];
  responses: Record<string, ResponseObject>;
  [PUBLIC_EXTENSION]?: boolean;
  [MANAGEMENT_EXTENSION]?: boolean;
  [OPTIONAL_CALLER_EXTENSION]?: boolean;
  [WITHOUT_DATABASE_EXTENSION]?: boolean;
  [QUERY_IGNORED_EXTENSION]?: boolean;
  [ROLES_EXTENSION]?: string[];
  [RAW_BODY_EXTENSION]?: boolean;
  [PROBLEMS_EXTENSION]?: DocumentedProblem[];
}

const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'] as const;

/** Returns all operations of the document, with their paths and methods. */
export function operationsOf({ paths }: OpenAPIObject): { path: string; method: string; operation: Operation }[] {
  return Object.entries(paths).flatMap(([path, item]) =>
    methods.flatMap((method) => {
      const operation = item[method] as unknown as Operation | undefined;
      return operation ? [{ path, method, operation }] : [];
    }),
  );
}

/** Whether the operation has this request header. */
export function takesHeader({ parameters = [] }: Operation, header: string): boolean {
  return parameters.some(({ in: where, name }) => where === 'header' && name === header);
}
