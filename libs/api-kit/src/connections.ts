import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { Logger } from '@nestjs/common';
import type { ConnectionError, FastifyInstance } from 'fastify';
import type { ServiceConfig } from './config.js';
import { codeOfStatus, PROBLEM_JSON, problemDocument } from './problem.js';

/** In milliseconds: how often Node looks for requests that take too long. */
const CHECK_MS = 1000;
/** In milliseconds: how long a client whose connection is given up has to read why. */
const LINGER_MS = 1000;
/** In milliseconds: a log line about refused connections comes at most this often. */
const REFUSAL_LOG_MS = 10_000;
/** In bytes: the longest request line there can be, as Node bounds the head of a request. */
const LONGEST_LINE = 16 * 1024;
const TOO_LATE = 'The request did not arrive in time.';

/** Fastify's options for connections, as the configuration has them. */
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
      // Node's own answer has no body; a hook refuses the request instead.
      requireHostHeader: false,
    },
    clientErrorHandler,
  };
}

/** The response to the latest request of each connection: the one that a broken connection is about. */
const latestResponses = new WeakMap<Socket, ServerResponse>();
/** Connections that have got their last answer. */
const givenUp = new WeakSet<Socket>();

/** Bounds the connections of a server in number and time, and ends them when it closes. */
export function guardConnections(fastify: FastifyInstance, { MAX_CONNECTIONS }: ServiceConfig): void {
  const { server } = fastify;
  server.maxConnections = MAX_CONNECTIONS;
  server.on('drop', refusalLog(MAX_CONNECTIONS));
  server.on('timeout', onSilence);
  server.on('connect', (_request, socket) => {
    socket.on('error', () => undefined);
    socket.resume();
    answerAndClose(socket as Socket, 501, 'This is not a proxy.');
  });
  // Without a listener Node answers with an empty 417; a hook refuses the request instead.
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    latestResponses.set(request.socket, response);
    fastify.routing(request, response);
  });

  // Connections without a request so far: browsers open some in advance. To Node they are not idle.
  const unused = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    unused.add(socket);
    socket.once('close', () => unused.delete(socket));
  });
  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    unused.delete(socket);
    latestResponses.set(socket, response);
  });
  // Node closes the idle connections when a server closes, but not those that become idle afterwards: a client that keeps
  // its connection alive would hold up every shutdown that met a request in flight.
  fastify.addHook('preClose', (done) => {
    for (const socket of unused) socket.destroy();
    const sweep = setInterval(() => server.closeIdleConnections(), 50);
    server.once('close', () => clearInterval(sweep));
    done();
  });
}

function refusalLog(most: number): () => void {
  const logger = new Logger('Connections');
  let quietUntil = 0;
  return () => {
    if (performance.now() < quietUntil) return;
    quietUntil = performance.now() + REFUSAL_LOG_MS;
    logger.warn(`Connections are refused: ${most} are open, as many as MAX_CONNECTIONS allows.`);
  };
}

/** Nothing has moved for CONNECTION_TIMEOUT. While the service prepares an answer, the client is right to be silent. */
function onSilence(socket: Socket): void {
  const response = latestResponses.get(socket);
  if (givenUp.has(socket) || !response || response.writableEnded) return void socket.destroy();
  if (!response.req.complete) return giveUp(socket, 408, TOO_LATE);
  if (response.headersSent) socket.destroy();
}

/** Handles bytes that are not HTTP, and requests that do not arrive in time. */
function clientErrorHandler(error: ConnectionError, socket: Socket): void {
  if (givenUp.has(socket)) return undefined;
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return giveUp(socket, 408, TOO_LATE);
  if (error.code === 'HPE_HEADER_OVERFLOW') return giveUp(socket, 431, 'The head of the request is too large.');
  if (error.code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return giveUp(socket, 413, 'The chunk extensions are too large.');
  if (hasUnknownMethod(error)) return giveUp(socket, 501, 'The method is not known.');
  return giveUp(socket, 400, 'This is not valid HTTP.');
}

/** Whether all that is wrong is a method that Node does not know (RFC 9110, section 15.6.2). */
function hasUnknownMethod(error: ConnectionError): boolean {
  if (error.code !== 'HPE_INVALID_METHOD') return false;
  const { rawPacket, bytesParsed } = error as ConnectionError & { readonly rawPacket: Buffer };
  // Other requests may stand before it.
  const line = rawPacket.subarray(rawPacket.subarray(0, bytesParsed).lastIndexOf('\n') + 1, bytesParsed + LONGEST_LINE);
  return /^[\w!#$%&'*+.^`|~-]+ [!-~]+ HTTP\/1\.[01]\r?\n/.test(line.toString('latin1'));
}

/** Answers what cannot be read as a request, after the answers to the requests before it, and closes the connection. */
function giveUp(socket: Socket, status: number, detail: string): void {
  givenUp.add(socket);
  const response = latestResponses.get(socket);
  if (!response || (response.writableFinished && response.req.complete)) return answerAndClose(socket, status, detail);
  if (response.req.complete) return void response.once('finish', () => answerAndClose(socket, status, detail));
  // It is the body of this very request that is broken.
  if (response.headersSent) return void socket.destroy();
  const id = String(response.getHeader('x-request-id') ?? randomUUID());
  response.statusCode = status;
  for (const [name, value] of Object.entries(headersFor(id))) response.setHeader(name, value);
  response.end(bodyFor(status, detail, id));
  return closeSoon(socket);
}

/** Answers without a request, a log context and a reply: there is only a socket. */
function answerAndClose(socket: Socket, status: number, detail: string): void {
  const id = randomUUID();
  const body = bodyFor(status, detail, id);
  const headers = { ...headersFor(id), 'content-length': String(body.length) };
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head.join('')}\r\n`);
  socket.end(body);
  closeSoon(socket);
}

/** Not at once: what the client has sent meanwhile would make the kernel discard the answer. Not never: it may stay silent. */
function closeSoon(socket: Socket): void {
  const close = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(close));
}

function headersFor(requestId: string) {
  return { 'content-type': PROBLEM_JSON, 'x-request-id': requestId, connection: 'close' };
}

function bodyFor(status: number, detail: string, requestId: string): Buffer {
  const problem = { code: codeOfStatus(status), status, title: `${STATUS_CODES[status]}.`, detail };
  return Buffer.from(JSON.stringify(problemDocument(problem, requestId)));
}
