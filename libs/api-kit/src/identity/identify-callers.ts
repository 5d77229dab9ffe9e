import type { FastifyInstance } from 'fastify';
import { type Identity, setIdentity } from '../http/caller.js';
import { ticketOf } from '../http/stream-ticket.js';
import { WITHOUT_TOKEN } from './token-problems.js';

/** Finds out from the headers of a request who makes it. There is one implementation per AUTH_MODE. */
export type Identify = (headers: NodeJS.Dict<string[]>) => Identity | Promise<Identity>;

/**
 * Identifies the caller of each request once, before any other hook or guard needs to know. It rejects nothing, because only the guard knows
 * whether the route requires a caller. A request with a stream ticket is identified by the ticket only, which the handler checks.
 */
export function identifyCallers(fastify: FastifyInstance, identify: Identify): void {
  fastify.addHook('onRequest', async (request) => {
    const byTicket = ticketOf(request) !== undefined;
    setIdentity(request, byTicket ? WITHOUT_TOKEN : await identify(request.raw.headersDistinct));
  });
}
