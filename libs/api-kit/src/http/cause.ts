import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

/**
 * Injects the method and the path pattern of the route into a handler, such as `POST /orders/:orderId/cancel`: `@Cause() cause: string`.
 * A timeline records it as the cause of a step. The path that the client sent is not in it, so it is the same for all requests of a route. A global prefix is part of it.
 */
export const Cause = createParamDecorator((_: unknown, context: ExecutionContext): string => {
  const { method, routeOptions } = context.switchToHttp().getRequest<FastifyRequest>();
  return `${method} ${routeOptions.url}`;
});
