import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import type { AbstractHttpAdapter } from '@nestjs/core';
import type { Decision } from '@twinbox/kernel';
import { throwError } from 'rxjs';
import { databaseTrouble, reasonOf } from '../database/database-trouble.js';
import type { JsonSchema } from './openapi/validated-schemas.js';

/** The content of an RFC 9457 problem document without its `instance`. */
export interface Problem {
  /** In kebab-case. The `type` of the document is `urn:twinbox:problem:<code>`. */
  readonly code: string;
  readonly status: number;
  readonly title: string;
  /** What happened in this case. Defaults to the title. */
  readonly detail?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Extension members of the document. */
  readonly members?: Readonly<Record<string, unknown>>;
}

/** An error that becomes the problem document that the client gets, wherever in a request it is thrown. */
export class ProblemException extends HttpException {
  constructor(readonly problem: Problem) {
    super(problem.detail ?? problem.title, problem.status);
  }
}

type RejectionOf<R, C> = R extends { code: infer K } ? (C extends K ? R : never) : never;

/** How a rejection is presented to a client. */
export interface ProblemEntry<Rejection> {
  readonly status: number;
  readonly title: string;
  /** Describes what happened in this case, from the fields of the rejection. */
  detail?(rejection: Rejection): string;
  /** Example values of the rejection's other fields, for the OpenAPI document. */
  readonly example?: Partial<Omit<Rejection, 'code'>>;
  /** Schemas of fields whose example does not show all possible values. */
  readonly schemas?: { readonly [K in keyof Omit<Rejection, 'code'>]?: JsonSchema };
  /** Optional fields, in addition to those that are missing from the example. */
  readonly optional?: readonly string[];
}

/** One entry per rejection code. The compiler checks that none is missing. */
export type ProblemTable<R extends { code: string }> = {
  readonly [C in R['code']]: ProblemEntry<RejectionOf<R, C>>;
};

/** Returns the problem for a rejection, with the texts from the table and the rejection's other fields as extension members. */
export function problemOf<R extends { code: string }>(rejection: R, table: ProblemTable<R>): ProblemException {
  const { code, ...members } = rejection;
  const entry: ProblemEntry<R> = table[code as R['code']];
  const detail = entry.detail?.(rejection) ?? entry.title;
  return new ProblemException({ code, status: entry.status, title: entry.title, detail, members });
}

/** Returns the state of an accepted decision. @throws ProblemException if the decision is a rejection */
export function stateOrProblem<State, Event, R extends { code: string }>(
  decision: Decision<State, Event, R>,
  table: ProblemTable<R>,
): State {
  if (decision.accepted) return decision.state;
  throw problemOf(decision.rejection, table);
}

/** The media type of every error. */
export const PROBLEM_JSON = 'application/problem+json';

/** In UTF-16 code units. A detail may quote a path, a name or a value that is as long as the request. */
const MAX_DETAIL_LENGTH = 2000;

/** Returns the `type` of a problem code. */
export const problemType = (code: string): string => `urn:twinbox:problem:${code}`;

/** Returns the document that is sent. Extension members cannot override the standard ones. */
export function problemDocument(problem: Problem, requestId: string): Record<string, unknown> {
  return {
    ...problem.members,
    type: problemType(problem.code),
    title: problem.title,
    status: problem.status,
    detail: clipped(problem.detail ?? problem.title, MAX_DETAIL_LENGTH),
    instance: `urn:request:${requestId}`,
  };
}

/** Truncates the text to `maxLength` UTF-16 code units. */
export function clipped(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : `${text.slice(0, maxLength - 1).toWellFormed()}…`;
}

/** Problems that do not come from a rejection and can occur on any route. */
export const commonProblems = {
  'malformed-body': { status: 400, title: 'The body is not valid JSON.' },
  validation: { status: 400, title: 'The request is not valid.' },
  'idempotency-key-invalid': { status: 400, title: 'The idempotency key is not valid.' },
  'caller-unknown': { status: 401, title: 'The caller could not be identified.' },
  'role-required': { status: 403, title: 'The caller does not have the required role.' },
  'version-conflict': { status: 412, title: 'The current version does not meet the precondition of the request.' },
  'payload-too-large': { status: 413, title: 'The body is too large.' },
  'unsupported-media-type': { status: 415, title: 'The body must be application/json.' },
  'misdirected-request': { status: 421, title: 'This service does not answer requests for this host.' },
  'idempotency-key-reused': { status: 422, title: 'The idempotency key was used for another request.' },
  'internal-error': { status: 500, title: 'Something went wrong in the service.' },
  'database-unavailable': { status: 503, title: 'The database cannot be reached at the moment.' },
  'try-again': { status: 503, title: 'The request could not be completed at the moment.' },
  'service-stopping': { status: 503, title: 'This replica is shutting down.' },
} as const;

/** The detail of a 503. A COMMIT may have been carried out although its response was lost. */
export const OUTCOME_UNKNOWN =
  'Try again in a moment. A change may or may not have been made, so check before you repeat it.';

/** Tells a client that gets a 503 to try again after a second. */
export const RETRY_AFTER = { 'retry-after': '1' } as const;

/** The entry in a service's problem table for requests that arrive while the replica shuts down. */
export const serviceStopping = {
  ...commonProblems['service-stopping'],
  detail: () => 'Nothing was changed. Send the request again, and another replica will answer it.',
};

/** Headers of every response with a given status, regardless of the problem (RFC 9110, sections 10.2.3 and 15.5.16). */
const HEADERS_OF: Readonly<Record<number, Readonly<Record<string, string>>>> = {
  415: { accept: 'application/json' },
  503: RETRY_AFTER,
};

/**
 * Turns every error of a request into an RFC 9457 problem document. Errors that the client did not cause are logged once, and the client
 * gets only the request id, to quote in a report. Errors of message handlers are passed on unchanged.
 */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger('Problem');

  constructor(private readonly http: AbstractHttpAdapter) {}

  catch(exception: unknown, host: ArgumentsHost): unknown {
    // For a message handler a filter returns an Observable, so that the inbox sees the error that the handler threw.
    if (host.getType() !== 'http') return throwError(() => exception);

    const request = host.switchToHttp().getRequest<{ id?: string; raw?: { id?: string; errored?: unknown } }>();
    const response = host.switchToHttp().getResponse<object>();
    // An error of the request's own stream means that the connection to the client broke, not the one to the database.
    const isDisconnected = isObject(exception) && exception === request.raw?.errored;
    const problem = isDisconnected ? this.disconnected() : this.problemFor(exception);
    if (this.http.isHeadersSent(response)) {
      this.http.end(response);
      return undefined;
    }
    const headers = { ...HEADERS_OF[problem.status], ...problem.headers };
    for (const [name, value] of Object.entries(headers)) this.http.setHeader(response, name, value);
    this.http.setHeader(response, 'content-type', PROBLEM_JSON);
    const document = problemDocument(problem, request.id ?? request.raw?.id ?? randomUUID());
    // As bytes: Fastify would add a charset to the media type of a string, and problem+json has none.
    return this.http.reply(response, Buffer.from(JSON.stringify(document)), problem.status);
  }

  /** Returns the problem for a client that has disconnected. Nobody reads it; it only ends the request. */
  private disconnected(): Problem {
    const title = 'The client disconnected before its request was complete.';
    this.logger.debug(title);
    return { code: 'bad-request', status: 400, title };
  }

  private problemFor(exception: unknown): Problem {
    if (exception instanceof ProblemException) return exception.problem;

    const trouble = databaseTrouble(exception);
    if (trouble) {
      // Without the stack, because every request would log the same one during an outage.
      this.logger.warn(`${commonProblems[trouble].title} ${reasonOf(exception)}`);
      return {
        code: trouble,
        ...commonProblems[trouble],
        detail: OUTCOME_UNKNOWN,
      };
    }

    if (exception instanceof HttpException && exception.getStatus() !== 500) {
      if (exception.getStatus() > 500) this.logger.error({ err: exception }, 'A request failed.');
      return problemOfHttpException(exception);
    }

    this.logger.error({ err: asError(exception) }, 'A request failed with an unexpected error.');
    return {
      code: 'internal-error',
      ...commonProblems['internal-error'],
      detail: 'Quote the instance when you report this problem.',
    };
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

// Anything can be thrown. The log gets a stack or at least the value as text.
function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(`Something other than an Error was thrown: ${String(thrown)}`);
}

// Fastify's own errors arrive as HttpExceptions whose cause is the original error.
function problemOfHttpException(exception: HttpException): Problem {
  const status = exception.getStatus();
  const fastifyCode = (exception.cause as { code?: unknown } | undefined)?.code;
  const code = malformedBody.has(String(fastifyCode)) ? 'malformed-body' : codeOfStatus(status);
  const known = commonProblems[code as keyof typeof commonProblems] as { title: string } | undefined;
  const title = known?.title ?? `${STATUS_CODES[status] ?? 'The request failed'}.`;
  return { code, status, title, detail: exception.message };
}

const malformedBody = new Set([
  'FST_ERR_CTP_INVALID_JSON_BODY',
  'FST_ERR_CTP_EMPTY_JSON_BODY',
  'FST_ERR_CTP_INVALID_CONTENT_LENGTH',
]);

/** Returns the code for a status that HTTP itself explains, such as `not-found` for 404. */
export function codeOfStatus(status: number): string {
  return (STATUS_CODES[status] ?? 'error').toLowerCase().replace(/[^a-z]+/g, '-');
}
