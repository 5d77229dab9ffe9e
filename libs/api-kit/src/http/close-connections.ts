import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

/**
 * Closes the connections of a server without a request when the server closes, and the others when theirs has been answered. Otherwise, a
 * client with keep-alive would delay every shutdown.
 */
export function closeConnectionsWhenIdle(fastify: FastifyInstance, server = fastify.server): void {
  // Connections without a request so far. Browsers open some in advance, and Node does not consider them idle.
  const unused = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    unused.add(socket);
    socket.once('close', () => unused.delete(socket));
  });
  server.on('request', ({ socket }: IncomingMessage) => unused.delete(socket));
  // When a server closes, Node closes the idle connections but not those that become idle afterwards.
  fastify.addHook('preClose', (done) => {
    for (const socket of unused) socket.destroy();
    const sweep = setInterval(() => server.closeIdleConnections(), 50);
    server.once('close', () => clearInterval(sweep));
    done();
  });
}
