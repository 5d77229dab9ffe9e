import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ServiceConfig } from '../app/service-config.js';
import { identityOf } from './caller.js';
import { CALLER_HEADERS } from './caller-headers.js';
import { isOperational } from './operational-path.js';

/** Returns the headers of a request that say who makes it. A response depends on them. */
export function varyOf(authMode: ServiceConfig['AUTH_MODE']): readonly string[] {
  return authMode === 'jwt' ? ['Authorization'] : CALLER_HEADERS;
}

/** Forbids caches to store responses, except those of health, metrics and documentation, because they belong to a caller. */
export function keepPrivate(fastify: FastifyInstance, authMode: ServiceConfig['AUTH_MODE']): void {
  const names = varyOf(authMode);
  fastify.addHook('onRequest', (request, reply, done) => {
    if (!isOperational(request.url)) {
      // The CORS hook has set Vary too.
      const vary = [reply.getHeader('vary') ?? [], ...names].flat().join(', ');
      void reply.header('cache-control', 'no-store').header('vary', vary);
    }
    done();
  });
}

/** Lets a cache store a response to an anonymous caller, if it asks each time whether it is still current. */
export function allowCachingForAnonymous(reply: FastifyReply): void {
  const identity = identityOf(reply.request);
  if (identity && !('caller' in identity) && identity.isAnonymous) void reply.header('cache-control', 'no-cache');
}
