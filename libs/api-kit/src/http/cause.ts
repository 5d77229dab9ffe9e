import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { type EdgeRequest, requestOf } from './edge-request.js';

/**
 * Injects the method and the path pattern of the route into a handler, such as `POST /orders/:orderId/cancel` or
 * `gRPC /twinbox.orders.v1.OrderService/CancelOrder`: `@Cause() cause: string`.
 * A timeline records it as the cause of a step. The path that the client sent is not in it, so it is the same for all requests of a route. A global prefix is part of it.
 */
export const Cause = createParamDecorator((_: unknown, context: ExecutionContext): string =>
  causeOf(requestOf(context)),
);

/** Returns the cause that {@link Cause} injects. */
export function causeOf({ method, routeOptions }: EdgeRequest): string {
  return `${method} ${routeOptions.url}`;
}
