import { STATUS_CODES } from 'node:http';
import { HttpException, type Logger } from '@nestjs/common';
import { RequestAborted } from '../app/request-signal.js';
import { classifyDatabaseError, reasonOf } from '../database/database-errors.js';
import { codeOfStatus, commonProblems, OUTCOME_UNKNOWN } from './common-problems.js';
import { type Problem, ProblemException } from './problem.js';

/**
 * Returns the problem for anything that was thrown while a request was handled. Logs an error that the client did not cause, of which the
 * client gets only the request id, to quote in a report.
 */
export function problemFor(exception: unknown, logger: Logger): Problem {
  if (exception instanceof ProblemException) return exception.problem;

  // Nobody reads it, because the caller has gone.
  if (exception instanceof RequestAborted)
    return { code: 'request-aborted', status: 400, grpcStatus: 'ABORTED', title: exception.message };

  const code = classifyDatabaseError(exception);
  if (code) {
    // Without the stack, because every request would log the same one during an outage.
    logger.warn(`${commonProblems[code].title} ${reasonOf(exception)}`);
    return {
      code,
      ...commonProblems[code],
      detail: OUTCOME_UNKNOWN,
    };
  }

  if (exception instanceof HttpException && exception.getStatus() !== 500) {
    if (exception.getStatus() > 500) logger.error({ err: exception }, 'A request failed.');
    return problemOfHttpException(exception);
  }

  logger.error({ err: asError(exception) }, 'A request failed with an unexpected error.');
  return {
    code: 'internal-error',
    ...commonProblems['internal-error'],
    detail: 'Quote the instance when you report this problem.',
  };
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
  // Nest quotes the URL of an unknown route.
  const detail = status === 404 ? exception.message.replace(/\?.*/s, '') : exception.message;
  return { code, status, title, detail };
}

const malformedBody = new Set([
  'FST_ERR_CTP_INVALID_JSON_BODY',
  'FST_ERR_CTP_EMPTY_JSON_BODY',
  'FST_ERR_CTP_INVALID_CONTENT_LENGTH',
]);
