import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyRequest } from 'fastify';

const RAW_BODY = 'twinboxRawBody';

const bodies = new WeakMap<object, Buffer>();

/**
 * The bytes of a JSON body as they came, as an argument of a handler: what a signature was made over. They are kept only on
 * routes that ask for them; empty without a body.
 */
export const RawBody = createParamDecorator(
  (_: unknown, context: ExecutionContext): Buffer =>
    bodies.get(context.switchToHttp().getRequest<FastifyRequest>().raw) ?? Buffer.alloc(0),
  [
    (target, key) => {
      const method = key === undefined ? undefined : Object.getOwnPropertyDescriptor(target, key);
      if (method && key !== undefined) RouteConfig({ [RAW_BODY]: true })(target, key, method);
    },
  ],
);

/** Fastify's own JSON parser, fed from bytes, so that {@link RawBody} can have them. */
export function parseJsonFromBytes(fastify: FastifyInstance): void {
  const parse = fastify.getDefaultJsonParser('error', 'error');
  fastify.removeContentTypeParser('application/json');
  fastify.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const { config } = request.routeOptions;
    if (RAW_BODY in config) bodies.set(request.raw, body);
    void parse(request, body.toString(), done);
  });
}
