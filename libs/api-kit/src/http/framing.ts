import type { FastifyRequest } from 'fastify';
import { codeOfStatus } from './common-problems.js';
import { ProblemException } from './problem.js';

/** In bytes. The request line and all headers together, which no request of a client or a proxy reaches. */
export const MAX_HEAD_SIZE = 16 * 1024;
/** How many headers a request may have. Browsers and chains of proxies send up to about 50. */
export const MAX_HEADERS = 100;

/** A name or an address, optionally with a port (RFC 3986, sections 3.2.2 and 3.2.3). Empty if the target has no authority. */
const HOST = /^([\w.~!$&'()*+,;=%-]*|\[[\da-f:.v]+\])(:\d*)?$/i;

const TITLES: Readonly<Record<number, string>> = {
  400: 'The request is not valid HTTP.',
  431: 'The head of the request is too large.',
  417: 'The expectation cannot be met.',
  501: 'The transfer coding is not supported.',
};

/** Returns the problem of a request whose framing RFC 9112 forbids or this server does not support, if it has one. */
export function framingProblem({ raw }: FastifyRequest): ProblemException | undefined {
  const { headers, httpVersion } = raw;
  if (raw.rawHeaders.length > 2 * MAX_HEADERS)
    return httpProblem(431, `The request has more than ${MAX_HEADERS} headers.`);
  const hosts = raw.headersDistinct['host'] ?? [];
  if (hosts.length > 1) return httpProblem(400, 'Host was sent more than once.');
  if (hosts.length === 0 && httpVersion !== '1.0') return httpProblem(400, 'The request has no Host header.');
  if (!HOST.test(hosts[0] ?? '')) return httpProblem(400, 'Host must be a name or an address, optionally with a port.');

  const coding = headers['transfer-encoding']?.trim().toLowerCase();
  if (coding !== undefined && coding !== 'chunked') {
    return httpProblem(501, 'The only supported transfer coding is chunked.');
  }
  if (coding !== undefined && httpVersion === '1.0')
    return httpProblem(400, 'HTTP/1.0 does not support Transfer-Encoding.');

  if (headers.expect !== undefined && httpVersion !== '1.0' && !/^\s*100-continue\s*$/i.test(headers.expect)) {
    return httpProblem(417, 'The only supported expectation is 100-continue.');
  }
  return undefined;
}

/** Returns a problem that closes the connection, because it is not certain where the body of such a request ends. */
function httpProblem(status: number, detail: string): ProblemException {
  const code = codeOfStatus(status);
  return new ProblemException({
    code,
    status,
    title: TITLES[status] ?? detail,
    detail,
    headers: { connection: 'close' },
  });
}
