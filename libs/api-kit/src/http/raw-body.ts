import { isUtf8 } from 'node:buffer';
import type { Readable } from 'node:stream';
import { MIMEType } from 'node:util';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiExtension } from '@nestjs/swagger';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { parse } from 'secure-json-parse';
import { documentedBy, RAW_BODY_EXTENSION } from './openapi/route-extensions.js';
import { commonProblems } from './common-problems.js';
import { ProblemException } from './problem.js';
import { rejectExcess } from './request-limits.js';
import { AddRouteConfig } from './route-config.js';

const RAW_BODY = 'twinboxRawBody';

const bodies = new WeakMap<object, Buffer>();

/**
 * Injects the bytes of a JSON body as they were received, for verifying a signature. Empty without a body. On such a route nothing else
 * parses the body: the handler verifies the signature and then calls {@link parseJson}.
 */
export const RawBody = createParamDecorator(
  (_: unknown, context: ExecutionContext): Buffer =>
    bodies.get(context.switchToHttp().getRequest<FastifyRequest>().raw) ?? Buffer.alloc(0),
  [
    (target, key) => {
      const method = key === undefined ? undefined : Object.getOwnPropertyDescriptor(target, key);
      if (method && key !== undefined) AddRouteConfig({ [RAW_BODY]: true })(target, key, method);
    },
    documentedBy(ApiExtension(RAW_BODY_EXTENSION, true)),
  ],
);

/** Whether the route of the request takes the raw bytes of its body, as webhooks do. */
export function takesRawBody({ routeOptions }: FastifyRequest): boolean {
  return RAW_BODY in routeOptions.config;
}

/**
 * Parses JSON (RFC 8259) in UTF-8. A leading byte order mark is ignored, as section 8.1 allows. The number of values is limited; see
 * {@link rejectExcess}.
 * @throws ProblemException 400 for anything else, and for names that would reach an object's prototype
 */
export function parseJson(bytes: Buffer): unknown {
  if (bytes.length === 0) throw malformed('The body is empty.');
  if (!isUtf8(bytes)) throw malformed('The body is not valid UTF-8.');
  const value = valueOf(bytes.toString());
  rejectExcess(value, 'body');
  return value;
}

/**
 * Reads JSON bodies with {@link parseJson} and rejects all others, such as a form that a foreign page makes a browser send. An empty JSON
 * body counts as no body.
 */
export function readJsonBodies(fastify: FastifyInstance): void {
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    // Nothing reads the body, because the path does not exist.
    if (request.is404) return done(null, undefined);
    const isRaw = takesRawBody(request);
    // Many clients send a media type with every POST.
    if (body.length === 0 && !isRaw) return done(null, undefined);
    rejectCodings(request.headers);
    if (!isRaw) return done(null, parseJson(body));
    bodies.set(request.raw, body);
    return done(null, undefined);
  });
  fastify.addContentTypeParser('*', (request, payload, done) => {
    if (request.is404) return done(null, undefined);
    if (request.headers['content-type'] !== undefined) return done(unsupported(), undefined);
    return expectNoBody(payload, done);
  });
}

/** An empty chunked body counts as no body; any other body needs a media type. */
function expectNoBody(payload: Readable, done: (error: Error | null, body?: unknown) => void): void {
  let isDone = false;
  const finish = (error: Error | null) => {
    if (!isDone) done(error, undefined);
    isDone = true;
  };
  payload.on('data', () => finish(unsupported()));
  payload.once('end', () => finish(null));
  payload.once('error', finish);
}

function valueOf(text: string): unknown {
  try {
    return parse(text) as unknown;
  } catch {
    throw malformed('The body is not valid JSON.');
  }
}

function rejectCodings({
  'content-encoding': encoding = '',
  'content-type': type = '',
}: FastifyRequest['headers']): void {
  if (!/^\s*(identity)?\s*$/i.test(encoding)) {
    throw unsupported('The body must not have a content encoding.', { 'accept-encoding': 'identity' });
  }
  const charset = charsetOf(type);
  if (charset !== undefined && !/^utf-?8$/i.test(charset)) throw unsupported('The body must be in UTF-8.');
}

function charsetOf(contentType: string): string | undefined {
  if (!contentType.includes(';')) return undefined;
  try {
    return new MIMEType(contentType).params.get('charset') ?? undefined;
  } catch {
    // Fastify rejects it, because it is not a media type at all.
    return undefined;
  }
}

function malformed(detail: string): ProblemException {
  return new ProblemException({ code: 'malformed-body', ...commonProblems['malformed-body'], detail });
}

function unsupported(detail?: string, headers?: Readonly<Record<string, string>>): ProblemException {
  return new ProblemException({
    code: 'unsupported-media-type',
    ...commonProblems['unsupported-media-type'],
    ...(detail !== undefined && { detail }),
    ...(headers && { headers }),
  });
}
