import { codeOfStatus, type Problem, PROBLEM_JSON, problemDocument, ProblemException } from '@twinbox/api-kit/edge';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** The problems of the console's own server. Those of the services are passed on as they are. */
const PROBLEMS = {
  'session-ended': [401, 'There is no session, or it has ended. Sign in again.'],
  'other-origin': [403, 'The request does not come from a page of the console.'],
  'not-found': [404, 'The console has nothing at this address.'],
  'demo-running': [409, 'Demo orders are being placed already.'],
  'too-many-streams': [429, 'The session has too many event streams open.'],
  'service-unreachable': [502, 'The service cannot be reached at the moment.'],
  'console-stopping': [503, 'This replica of the console is shutting down.'],
  'provider-unavailable': [503, 'The sign-in cannot be checked at the moment.'],
  'service-timeout': [504, 'The service did not answer in time.'],
} as const;

/** Creates a problem, to throw or to send. `detail` says what happened in this case. */
export function problem(code: keyof typeof PROBLEMS, detail?: string): ProblemException {
  const [status, title] = PROBLEMS[code];
  const headers = status >= 502 && status <= 503 ? { 'retry-after': '1' } : {};
  return new ProblemException({ code, status, title, headers, ...(detail !== undefined && { detail }) });
}

/** Answers with a problem document. */
export function sendProblem(request: FastifyRequest, reply: FastifyReply, { problem }: ProblemException): FastifyReply {
  return reply
    .code(problem.status)
    .headers(problem.headers ?? {})
    .type(PROBLEM_JSON)
    .send(JSON.stringify(problemDocument(problem, request.id)));
}

/** Turns every error into a problem document. Only unexpected ones are logged. */
export function answerProblems(server: FastifyInstance): void {
  server.setErrorHandler<Error & { readonly statusCode?: number }>((error, request, reply) => {
    if (error instanceof ProblemException) return sendProblem(request, reply, error);
    const { statusCode = 500 } = error;
    if (statusCode >= 500) request.log.error({ err: error }, 'A request failed unexpectedly.');
    return sendProblem(request, reply, new ProblemException(unexpected(statusCode, error)));
  });
}

/** The messages of Fastify's own client errors are for clients. Those of other errors are not. */
function unexpected(status: number, { message }: Error): Problem {
  if (status < 500) return { code: codeOfStatus(status), status, title: message };
  return { code: 'internal-error', status: 500, title: 'Something went wrong in the console.' };
}
