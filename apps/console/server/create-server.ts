import fastify, { type FastifyInstance } from 'fastify';

/** Creates the console's server, without listening yet. */
export function createServer(): FastifyInstance {
  const server = fastify();
  server.get('/health/live', () => ({ status: 'ok' }));
  return server;
}
