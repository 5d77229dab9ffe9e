import { randomUUID } from 'node:crypto';
import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { ConnectionError } from 'fastify';
import { codeOfStatus } from './common-problems.js';
import { MAX_HEAD_SIZE } from './framing.js';
import { PROBLEM_JSON, problemDocument } from './problem.js';

/** How long a client may take to read the last response on a connection that is being closed. */
const LINGER_MS = 1000;
/** In bytes. No request line can be longer, because Node limits the head of a request. */
const MAX_LINE_LENGTH = MAX_HEAD_SIZE;
const TOO_LATE = 'The request did not arrive in time.';

/** The response to the latest request of each connection. An error of the connection concerns that request. */
const latestResponses = new WeakMap<Socket, ServerResponse>();
/** Connections that have been sent their last response. */
const givenUp = new WeakSet<Socket>();

/** Remembers the response as the latest one of its connection. */
export function trackResponse(socket: Socket, response: ServerResponse): void {
  latestResponses.set(socket, response);
}

/** Handles bytes that are not HTTP, and requests that do not arrive in time. */
export function clientErrorHandler(error: ConnectionError, socket: Socket): void {
  if (givenUp.has(socket)) return undefined;
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return giveUp(socket, 408, TOO_LATE);
  if (error.code === 'HPE_HEADER_OVERFLOW') return giveUp(socket, 431, 'The head of the request is too large.');
  if (error.code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return giveUp(socket, 413, 'The chunk extensions are too large.');
  if (hasUnknownMethod(error)) return giveUp(socket, 501, 'The method is unknown.');
  return giveUp(socket, 400, 'This is not valid HTTP.');
}

/** Handles a connection that has been silent for CONNECTION_TIMEOUT. It stays open while the service prepares a response. */
export function onInactivity(socket: Socket): void {
  const response = latestResponses.get(socket);
  if (givenUp.has(socket) || !response || response.writableEnded) return void socket.destroy();
  if (!response.req.complete) return giveUp(socket, 408, TOO_LATE);
  if (response.headersSent) socket.destroy();
}

/** Whether the only error is a method that Node does not know (RFC 9110, section 15.6.2). */
function hasUnknownMethod(error: ConnectionError): boolean {
  if (error.code !== 'HPE_INVALID_METHOD') return false;
  const { rawPacket, bytesParsed } = error as ConnectionError & { readonly rawPacket: Buffer };
  // The packet may contain earlier requests.
  const line = rawPacket.subarray(
    rawPacket.subarray(0, bytesParsed).lastIndexOf('\n') + 1,
    bytesParsed + MAX_LINE_LENGTH,
  );
  return /^[\w!#$%&'*+.^`|~-]+ [!-~]+ HTTP\/1\.[01]\r?\n/.test(line.toString('latin1'));
}

/** Answers a request that cannot be read, after the responses to the requests before it, and closes the connection. */
function giveUp(socket: Socket, status: number, detail: string): void {
  givenUp.add(socket);
  const response = latestResponses.get(socket);
  if (!response || (response.writableFinished && response.req.complete)) return answerAndClose(socket, status, detail);
  if (response.req.complete) return void response.once('finish', () => answerAndClose(socket, status, detail));
  // The error is in the body of this request.
  if (response.headersSent) return void socket.destroy();
  const id = String(response.getHeader('x-request-id') ?? randomUUID());
  response.statusCode = status;
  for (const [name, value] of Object.entries(headersFor(id))) response.setHeader(name, value);
  response.end(bodyFor(status, detail, id));
  return closeSoon(socket);
}

/** Sends a response when there is no request, log context or reply, but only a socket. */
export function answerAndClose(socket: Socket, status: number, detail: string): void {
  const id = randomUUID();
  const body = bodyFor(status, detail, id);
  const headers = { ...headersFor(id), 'content-length': String(body.length) };
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head.join('')}\r\n`);
  socket.end(body);
  closeSoon(socket);
}

/**
 * Closes the connection after a delay. Data that the client has sent in the meantime would make the kernel discard the response if the
 * connection were closed at once, and a client that stays silent would otherwise keep it open for ever.
 */
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
