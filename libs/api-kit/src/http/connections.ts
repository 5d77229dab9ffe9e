import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Logger } from '@nestjs/common';
import type { FastifyInstance } from 'fastify';
import type { ServiceConfig } from '../app/service-config.js';
import { MAX_HEAD_SIZE, MAX_HEADERS } from './framing.js';
import { closeConnectionsWhenIdle } from './close-connections.js';
import { limitReading } from './limits/slow-readers.js';
import { answerAndClose, clientErrorHandler, onInactivity, trackResponse } from './client-errors.js';

/** How often Node checks for requests that take too long. */
const CHECK_MS = 1000;
/** The shortest time between two log lines about refused connections. */
const REFUSAL_LOG_MS = 10_000;

/** Returns Fastify's options for connections from the configuration. */
export function connectionOptions(config: ServiceConfig) {
  const { REQUEST_TIMEOUT, CONNECTION_TIMEOUT, KEEP_ALIVE_TIMEOUT } = config;
  return {
    requestTimeout: REQUEST_TIMEOUT,
    connectionTimeout: CONNECTION_TIMEOUT,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT,
    http: {
      requestTimeout: REQUEST_TIMEOUT,
      headersTimeout: REQUEST_TIMEOUT,
      connectionsCheckingInterval: CHECK_MS,
      maxHeaderSize: MAX_HEAD_SIZE,
      // Node's own response has no body. A hook rejects the request instead.
      requireHostHeader: false,
    },
    clientErrorHandler,
  };
}

/** Limits the number and the duration of a server's connections, and closes them when the server closes. */
export function guardConnections(
  fastify: FastifyInstance,
  { MAX_CONNECTIONS, RESPONSE_TIMEOUT }: ServiceConfig,
  server = fastify.server,
): void {
  server.maxConnections = MAX_CONNECTIONS;
  // Node drops further ones silently. This one is enough for a hook to reject the request.
  server.maxHeadersCount = MAX_HEADERS + 1;
  limitReading(server, RESPONSE_TIMEOUT);
  server.on('drop', refusalLog(MAX_CONNECTIONS));
  server.on('timeout', onInactivity);
  server.on('connect', (_request, socket) => {
    socket.on('error', () => undefined);
    socket.resume();
    answerAndClose(socket as Socket, 501, 'This is not a proxy.');
  });
  // Without a listener Node sends an empty 417. A hook rejects the request instead.
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    server.emit('request', request, response);
  });

  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => trackResponse(socket, response));
  closeConnectionsWhenIdle(fastify, server);
}

/** Returns a listener for connections that a server drops, which logs them at most every 10 s. */
export function refusalLog(limit: number): () => void {
  const logger = new Logger('Connections');
  let quietUntil = 0;
  return () => {
    if (performance.now() < quietUntil) return;
    quietUntil = performance.now() + REFUSAL_LOG_MS;
    logger.warn(`Refusing connections, because ${limit} are open and MAX_CONNECTIONS allows no more.`);
  };
}
