import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { codeOfStatus, serviceStopping } from './common-problems.js';
import { framingProblem } from './framing.js';
import { ProblemException, problemOf } from './problem.js';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

/** Requests whose target the router cannot read as a path, with the original target and the reason. */
const unreadable = new WeakMap<IncomingMessage, { readonly url: string; readonly reason: string }>();

/**
 * Routes a request whose path the router rejects like any other request, so that its response gets what hooks add to all responses: an id,
 * the CORS headers and a log line. {@link followHttp} rejects it.
 */
export function routeUnreadable(fastify: FastifyInstance, request: IncomingMessage, response: ServerResponse): void {
  // Without the target, whose query may contain a token by mistake.
  const reason = 'The path must begin with /, and what is percent-encoded must be valid UTF-8.';
  unreadable.set(request, { url: request.url ?? '', reason });
  request.url = '/';
  fastify.routing(request, response);
}

/** Hides the target `*` from hooks that expect a path. {@link followHttp} answers it. */
export function hideAsterisk(request: IncomingMessage): void {
  if (request.url !== '*') return;
  unreadable.set(request, { url: '*', reason: 'Only OPTIONS may have the target *.' });
  request.url = '/';
}

/**
 * Answers requests that HTTP decides before any route does: those with a framing that RFC 9112 forbids, those that arrive while the
 * application closes, those that `rule` returns a problem for, and those with a method that the path does not support.
 */
export function followHttp(
  fastify: FastifyInstance,
  rule: (request: FastifyRequest) => ProblemException | undefined,
): void {
  let stopping = false;
  fastify.addHook('preClose', (done) => {
    stopping = true;
    done();
  });
  fastify.addHook('onRequest', (request, reply, done) => {
    const target = unreadable.get(request.raw);
    if (target) request.raw.url = target.url;
    const problem = stopping ? stoppingProblem() : (framingProblem(request) ?? rule(request));
    if (problem) return done(problem);
    // OPTIONS * asks about the server as a whole (RFC 9110, section 9.3.7).
    if (target?.url === '*' && request.method === 'OPTIONS') {
      return void reply.code(204).header('allow', allow(METHODS)).send();
    }
    if (target) return done(pathProblem(target.reason));
    if (request.is404 || request.method === 'OPTIONS') return answerByMethod(fastify, request, reply, done);
    return done();
  });
}

function answerByMethod(
  fastify: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
  done: (error?: Error) => void,
): void {
  const methods = methodsOf(fastify, request.raw.url ?? '');
  if (request.method === 'OPTIONS') {
    // A page must be able to see that there is no such path. A failed preflight would hide it.
    if (methods.length === 0 && !isPreflight(request, reply)) return reply.callNotFound();
    if (methods.length > 0) reply.header('allow', allow(methods));
    return void reply.code(204).send();
  }
  return done(methods.length === 0 ? undefined : methodProblem(request.method, methods));
}

/** Returns the methods that this path supports. None if a parameter is empty, because Nest answers 404 then. */
function methodsOf(fastify: FastifyInstance, target: string): readonly string[] {
  const [url = ''] = target.split('?', 1);
  return METHODS.filter((method) => {
    const route = fastify.findRoute({ method, url }) as { params: Record<string, string | undefined> } | null;
    return route && Object.entries(route.params).every(([name, value]) => name === '*' || value !== '');
  });
}

/** Whether this is a preflight, even from a foreign origin. The headers that the CORS plugin has or has not set are the response. */
function isPreflight({ headers }: FastifyRequest, reply: FastifyReply): boolean {
  const hasCorsHeaders = headers.origin !== undefined && headers['access-control-request-method'] !== undefined;
  return hasCorsHeaders && reply.hasHeader('access-control-allow-methods');
}

function allow(methods: readonly string[]): string {
  return [...methods, 'OPTIONS'].join(', ');
}

function pathProblem(detail: string): ProblemException {
  return new ProblemException({ code: codeOfStatus(400), status: 400, title: 'The path is not valid.', detail });
}

function methodProblem(method: string, methods: readonly string[]): ProblemException {
  const allowed = allow(methods);
  return new ProblemException({
    code: codeOfStatus(405),
    status: 405,
    title: 'The path does not support this method.',
    detail: `${method} is not one of ${allowed}.`,
    headers: { allow: allowed },
  });
}

function stoppingProblem(): ProblemException {
  return problemOf({ code: 'service-stopping' }, { 'service-stopping': serviceStopping });
}
