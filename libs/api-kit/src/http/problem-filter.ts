import { randomUUID } from 'node:crypto';
import { type ArgumentsHost, Catch, type ExceptionFilter, Logger } from '@nestjs/common';
import type { AbstractHttpAdapter } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { throwError } from 'rxjs';
import { RETRY_AFTER } from './common-problems.js';
import { type Problem, PROBLEM_JSON, problemDocument } from './problem.js';
import { problemFor } from './problem-for.js';
import { problemStream } from './problem-stream.js';
import { recordStatus } from './reported-status.js';
import { EVENT_STREAM_HEADERS } from './server-sent-event.js';

/** Headers of every response with a given status, regardless of the problem (RFC 9110, sections 10.2.3 and 15.5.16, and RFC 6585, section 4). */
const HEADERS_OF: Readonly<Record<number, Readonly<Record<string, string>>>> = {
  415: { accept: 'application/json' },
  429: RETRY_AFTER,
  503: RETRY_AFTER,
};

/** A request of Fastify, or of Node if it failed before Fastify had one. */
type FailedRequest = Partial<FastifyRequest> & { readonly raw?: { readonly id?: string; readonly errored?: unknown } };

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

    const request = host.switchToHttp().getRequest<FailedRequest>();
    const response = host.switchToHttp().getResponse<object>();
    // An error of the request's own stream means that the connection to the client broke, not the one to the database.
    const isDisconnected = isObject(exception) && exception === request.raw?.errored;
    const problem = isDisconnected ? this.disconnected() : problemFor(exception, this.logger);
    if (this.http.isHeadersSent(response)) {
      this.http.end(response);
      return undefined;
    }
    const requestId = request.id ?? request.raw?.id ?? randomUUID();
    const stream = problemStream(problem, requestId, request);
    if (stream !== undefined) {
      recordStatus(request.raw ?? request, problem.status);
      return this.send(response, 200, EVENT_STREAM_HEADERS, stream);
    }
    const headers = { ...HEADERS_OF[problem.status], ...problem.headers, 'content-type': PROBLEM_JSON };
    return this.send(response, problem.status, headers, JSON.stringify(problemDocument(problem, requestId)));
  }

  private send(response: object, status: number, headers: Readonly<Record<string, string>>, body: string): unknown {
    for (const [name, value] of Object.entries(headers)) this.http.setHeader(response, name, value);
    // As bytes: Fastify would add a charset to the media type of a string, and problem+json has none.
    return this.http.reply(response, Buffer.from(body), status);
  }

  /** Returns the problem for a client that has disconnected. Nobody reads it; it only ends the request. */
  private disconnected(): Problem {
    const title = 'The client disconnected before its request was complete.';
    this.logger.debug(title);
    return { code: 'bad-request', status: 400, title };
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
