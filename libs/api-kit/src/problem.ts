import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import type { AbstractHttpAdapter } from '@nestjs/core';
import type { Decision } from '@twinbox/kernel';
import { throwError } from 'rxjs';
import { databaseTrouble, reasonOf } from './database-trouble.js';
import type { JsonSchema } from './validated-schemas.js';

/** What an RFC 9457 problem document says, before it has an `instance`. Other fields become extension members. */
export interface Problem {
  /** kebab-case; its `type` is `urn:twinbox:problem:<code>`. */
  readonly code: string;
  readonly status: number;
  readonly title: string;
  /** What happened this time; the title if it has nothing to add. */
  readonly detail?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly members?: Readonly<Record<string, unknown>>;
}

/** Thrown anywhere in a request, becomes the problem document that the client gets. */
export class ProblemException extends HttpException {
  constructor(readonly problem: Problem) {
    super(problem.detail ?? problem.title, problem.status);
  }
}

type RejectionOf<R, C> = R extends { code: infer K } ? (C extends K ? R : never) : never;

/** How one rejection is told to a client. */
export interface ProblemEntry<Rejection> {
  readonly status: number;
  readonly title: string;
  /** Tells what happened this time, from the rejection's facts. */
  detail?(rejection: Rejection): string;
  /** The rejection's other fields as they may look, for the OpenAPI document. */
  readonly example?: Partial<Omit<Rejection, 'code'>>;
  /** Schemas for fields whose example does not show every value that they may have. */
  readonly schemas?: { readonly [K in keyof Omit<Rejection, 'code'>]?: JsonSchema };
  /** Fields that may be missing, in addition to those that the example lacks. */
  readonly optional?: readonly string[];
}

/** One entry per rejection code: the compiler misses none. */
export type ProblemTable<R extends { code: string }> = {
  readonly [C in R['code']]: ProblemEntry<RejectionOf<R, C>>;
};

/** The problem for a rejection: the table's words, and the rejection's other fields as extension members. */
export function problemOf<R extends { code: string }>(rejection: R, table: ProblemTable<R>): ProblemException {
  const { code, ...members } = rejection;
  const entry: ProblemEntry<R> = table[code as R['code']];
  const detail = entry.detail?.(rejection) ?? entry.title;
  return new ProblemException({ code, status: entry.status, title: entry.title, detail, members });
}

/** The state that an accepted decision leads to. @throws ProblemException for a rejected one. */
export function stateOrProblem<State, Event, R extends { code: string }>(
  decision: Decision<State, Event, R>,
  table: ProblemTable<R>,
): State {
  if (decision.accepted) return decision.state;
  throw problemOf(decision.rejection, table);
}

/** The media type of every error. */
export const PROBLEM_JSON = 'application/problem+json';

/** In UTF-16 code units. A path, a name or a value that a detail quotes may be as long as the request. */
const LONGEST_DETAIL = 2000;

/** The `type` of the problems of a code. */
export const problemType = (code: string): string => `urn:twinbox:problem:${code}`;

/** The document as it goes out. Extension members cannot hide the standard ones. */
export function problemDocument(problem: Problem, requestId: string): Record<string, unknown> {
  return {
    ...problem.members,
    type: problemType(problem.code),
    title: problem.title,
    status: problem.status,
    detail: clipped(problem.detail ?? problem.title, LONGEST_DETAIL),
    instance: `urn:request:${requestId}`,
  };
}

/** The text, or as much of it as fits into `most` UTF-16 code units. */
export function clipped(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1).toWellFormed()}…`;
}

/** Problems that come from no rejection: they can happen to every request. */
export const commonProblems = {
  'malformed-body': { status: 400, title: 'The body is not valid JSON.' },
  validation: { status: 400, title: 'The request is not valid.' },
  'idempotency-key-invalid': { status: 400, title: 'The idempotency key is not valid.' },
  'caller-unknown': { status: 401, title: 'The caller could not be identified.' },
  'role-required': { status: 403, title: 'The caller lacks the role for this.' },
  'version-conflict': { status: 412, title: 'It is not in a version that the request allows.' },
  'payload-too-large': { status: 413, title: 'The body is too large.' },
  'unsupported-media-type': { status: 415, title: 'The body must be application/json.' },
  'misdirected-request': { status: 421, title: 'The request is for a host that this service does not answer for.' },
  'idempotency-key-reused': { status: 422, title: 'The idempotency key was used for another request.' },
  'internal-error': { status: 500, title: 'Something went wrong on our side.' },
  'database-unavailable': { status: 503, title: 'The database cannot be reached at the moment.' },
  'try-again': { status: 503, title: 'The request collided with another one.' },
  'service-stopping': { status: 503, title: 'This replica is stopping.' },
} as const;

/** What a 503 says: a COMMIT whose answer was lost may have been carried out. */
export const OUTCOME_UNKNOWN =
  'Try again in a moment. Whether a change was made is not known: look before you repeat it.';

/** Has a client that gets a 503 try again after a second. */
export const RETRY_AFTER = { 'retry-after': '1' } as const;

/** The problem of a request that comes while the replica stops, for a service's table. */
export const serviceStopping = {
  ...commonProblems['service-stopping'],
  detail: () => 'Nothing was done. Send the request again: another replica answers it.',
};

/** Headers that an answer with the status has whichever problem it tells: RFC 9110, sections 10.2.3 and 15.5.16. */
const HEADERS_OF: Readonly<Record<number, Readonly<Record<string, string>>>> = {
  415: { accept: 'application/json' },
  503: RETRY_AFTER,
};

/**
 * Turns whatever a request throws into an RFC 9457 problem document. What is not a client's doing is logged, once; the
 * client gets the request id to quote and nothing else of it. Errors of message handlers pass through untouched.
 */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger('Problem');

  constructor(private readonly http: AbstractHttpAdapter) {}

  catch(exception: unknown, host: ArgumentsHost): unknown {
    // A filter of a message handler answers with an Observable: the inbox must see the error that the handler threw.
    if (host.getType() !== 'http') return throwError(() => exception);

    const request = host.switchToHttp().getRequest<{ id?: string; raw?: { id?: string; errored?: unknown } }>();
    const response = host.switchToHttp().getResponse<object>();
    // The error of the stream that the body is read from: it is the client's connection that broke, and not the database's.
    const hungUp = isObject(exception) && exception === request.raw?.errored;
    const problem = hungUp ? this.hungUp() : this.problemFor(exception);
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

  /** Builds the answer for a client that has disconnected; it only ends the request. */
  private hungUp(): Problem {
    const title = 'The client hung up before its request was complete.';
    this.logger.debug(title);
    return { code: 'bad-request', status: 400, title };
  }

  private problemFor(exception: unknown): Problem {
    if (exception instanceof ProblemException) return exception.problem;

    const trouble = databaseTrouble(exception);
    if (trouble) {
      // No stack: during an outage every request would log the same one.
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

    this.logger.error({ err: asError(exception) }, 'A request failed for a reason nobody foresaw.');
    return {
      code: 'internal-error',
      ...commonProblems['internal-error'],
      detail: 'Quote the instance when you report it.',
    };
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

// Whatever can be thrown, so that the log has a stack or at least the words.
function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(`Thrown, but no error: ${String(thrown)}`);
}

// Fastify's own errors arrive as HttpExceptions with the original as their cause.
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

/** `404` → `not-found`: what HTTP itself says needs no words of ours. */
export function codeOfStatus(status: number): string {
  return (STATUS_CODES[status] ?? 'error').toLowerCase().replace(/[^a-z]+/g, '-');
}
