import { OPTIONAL_CALLER_EXTENSION, PUBLIC_EXTENSION, ROLES_EXTENSION } from '../caller-guard.js';
import { isOperational } from '../operational-path.js';
import { PROBLEM_JSON, problemDocument } from '../problem.js';
import { QUERY_IGNORED_EXTENSION } from '../query-guard.js';
import { examples } from './common-problem-examples.js';
import { type Operation, type operationsOf, takesHeader } from './operation.js';
import { type DocumentedProblem, schemaOfProblems } from './problem-schemas.js';
import { closeBody, closeParameter, mayBeEmpty } from './request-schemas.js';
import {
  cacheHeaders,
  etagHeader,
  pageEtagHeader,
  headersOf,
  lastModifiedHeader,
  replayedHeader,
  requestIdHeader,
} from './response-headers.js';
import { PROBLEMS_EXTENSION, RAW_BODY_EXTENSION, WITHOUT_DATABASE_EXTENSION } from './route-extensions.js';
import { type AuthMode, documentChallenge, securityOf, securityProblemsOf } from './security.js';

const EXAMPLE_REQUEST_ID = '4f2c0c7e-8f0a-4a51-9a39-0d8c1f5b7e21';

type Found = ReturnType<typeof operationsOf>[number];

type Schemas = Record<string, Record<string, unknown>>;

/** What decorators leave in an operation for {@link completeOperation}. */
const EXTENSIONS = [
  PUBLIC_EXTENSION,
  OPTIONAL_CALLER_EXTENSION,
  WITHOUT_DATABASE_EXTENSION,
  QUERY_IGNORED_EXTENSION,
  RAW_BODY_EXTENSION,
  ROLES_EXTENSION,
  PROBLEMS_EXTENSION,
] as const;

/** Adds everything that all routes have in common. */
export function completeOperation(found: Found, schemas: Schemas, authMode: AuthMode): void {
  const { operation } = found;
  if (!operation[RAW_BODY_EXTENSION]) closeRequest(operation, schemas);
  const problems = problemsOf(found, authMode);
  operation.security = securityOf(operation, authMode);
  for (const extension of EXTENSIONS) delete operation[extension];

  if (takesHeader(operation, 'If-Match')) documentValidators(found, authMode);
  else if (takesHeader(operation, 'If-None-Match')) documentPageValidator(operation);
  for (const [status, response] of Object.entries(operation.responses)) {
    if (!response.description) response.description = status.startsWith('2') ? 'Done.' : 'An error.';
    response.headers = { ...headersOf[Number(status)], ...response.headers, 'X-Request-Id': requestIdHeader };
    if (status.startsWith('2') && takesHeader(operation, 'Idempotency-Key'))
      response.headers['Idempotent-Replayed'] = replayedHeader;
  }
  const byStatus = Map.groupBy(problems, ({ status }) => status);
  for (const [status, grouped] of byStatus) addProblems(operation.responses, status, grouped, schemas);
  documentChallenge(operation, authMode);
}

// Uses only the operation, so that a route that takes a body or requires a role gets its errors documented without further decorators.
function problemsOf({ path, method, operation }: Found, authMode: AuthMode): DocumentedProblem[] {
  // A body is read before anything else, even if the route takes none. GET has no body (RFC 9110, section 9.3.1).
  const readsBody = ['post', 'put', 'patch', 'delete'].includes(method);
  // A route without parameters rejects any query.
  const hasInput = readsBody || (operation.parameters ?? []).length > 0 || !operation[QUERY_IGNORED_EXTENSION];
  const problems: DocumentedProblem[] = [];

  if (hasInput) problems.push(examples.validation(operation.requestBody !== undefined));
  if (operation.parameters?.some((parameter) => parameter.in === 'path')) problems.push(examples.badPath);
  if (readsBody) problems.push(examples.malformedBody, examples.tooLarge, examples.mediaType);
  problems.push(...securityProblemsOf(operation, authMode));
  if (takesHeader(operation, 'If-Match')) problems.push(examples.versionConflict);
  if (takesHeader(operation, 'Idempotency-Key')) {
    problems.push(examples.keyInvalid);
    // Without a body all requests are equal, so a key cannot be reused for another one.
    if (operation.requestBody) problems.push(examples.keyReused);
  }
  problems.push(...(operation[PROBLEMS_EXTENSION] ?? []));
  if (!isOperational(path)) problems.push(examples.tooManyRequests);
  problems.push(examples.headTooLarge);
  problems.push(examples.internalError);
  // The response of a health check while the database is down is its regular result, not an error.
  if (!operation[WITHOUT_DATABASE_EXTENSION] && !operation.responses['503'])
    problems.push(examples.databaseUnavailable, examples.tryAgain);
  if (!isOperational(path)) problems.push(examples.overloaded);
  return problems;
}

function closeRequest({ parameters = [], requestBody }: Operation, schemas: Schemas) {
  for (const { in: where, schema } of parameters) if (schema && where !== 'header') closeParameter(schema);
  for (const { schema } of Object.values(requestBody?.content ?? {})) {
    if (!requestBody || !schema) continue;
    closeBody(schema, schemas);
    requestBody.required = !mayBeEmpty(schema, schemas);
  }
}

/** Documents the ETag that every response of a versioned resource has, and for a GET the caching headers and the 304. */
function documentValidators({ method, operation: { responses } }: Found, authMode: AuthMode): void {
  const headers =
    method === 'get'
      ? { ETag: etagHeader, 'Last-Modified': lastModifiedHeader, ...cacheHeaders(authMode) }
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

/** Documents the ETag of a page of a list, and the 304. */
function documentPageValidator({ responses }: Operation): void {
  const headers = { ETag: pageEtagHeader };
  for (const [status, response] of Object.entries(responses))
    if (status.startsWith('2')) response.headers = { ...headers, ...response.headers };
  responses['304'] = { description: 'Not modified: `If-None-Match` lists the ETag of the page.', headers };
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
