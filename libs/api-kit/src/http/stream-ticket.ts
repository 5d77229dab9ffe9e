import type { FastifyRequest } from 'fastify';
import type { EdgeRequest } from './edge-request.js';
import { AddRouteConfig } from './route-config.js';

/**
 * Lets a route that streams events be called with a ticket in the query parameter `ticket`, because a browser's `EventSource` cannot send
 * headers. Such a request is not identified by anything else, so the handler must check the ticket of {@link ticketOf} before all else, and
 * report the result to `TicketGate`. Problems that may pass, and those with an `event`, are sent as a stream.
 */
export const AcceptsTicket = (): MethodDecorator => AddRouteConfig({ acceptsTicket: true });

/**
 * Returns the ticket of a request, which has not been checked. Undefined if there is none, and unless it is a GET of an
 * {@link AcceptsTicket} route.
 */
export function ticketOf(given: Partial<FastifyRequest> | EdgeRequest): string | undefined {
  const request = given as Partial<FastifyRequest>;
  const config = request.routeOptions?.config as { readonly acceptsTicket?: boolean } | undefined;
  if (request.method !== 'GET' || config?.acceptsTicket !== true) return undefined;
  const { ticket } = (request.query ?? {}) as { readonly ticket?: unknown };
  return typeof ticket === 'string' ? ticket : undefined;
}
