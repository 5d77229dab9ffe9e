import type { ArgumentsHost } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** A request at either edge. A request of Fastify is one as it is, and a gRPC call has one that {@link setRequestOf} has recorded. */
export interface EdgeRequest {
  readonly id: string;
  /** The HTTP method, or `gRPC`. */
  readonly method: string;
  /** The path and query of an HTTP request, or the path of a gRPC method, such as `/twinbox.orders.v1.OrderService/GetOrder`. */
  readonly url: string;
  readonly routeOptions: { readonly url?: string | undefined };
  readonly params: unknown;
  readonly body: unknown;
  /** The address of the connection, or one from `X-Forwarded-For` if TRUST_PROXY names the proxies. */
  readonly ip: string;
  readonly socket: { readonly remoteAddress?: string | undefined };
  /** The HTTP headers, or the metadata of a gRPC call, with names in lower case. */
  readonly raw: { readonly headersDistinct: NodeJS.Dict<string[]> };
}

/** The headers of an answer, or the metadata of the answer to a gRPC call. A reply of Fastify has them as it is. */
export interface AnswerHeaders {
  header(name: string, value: string): unknown;
}

/** A request together with the headers of its answer. */
type RecordedCall = EdgeRequest & { readonly answer: AnswerHeaders };

const recordedCalls = new WeakMap<object, RecordedCall>();

/** Records the request of a gRPC call, with the headers of its answer. */
export function setRequestOf(call: object, recorded: RecordedCall): void {
  recordedCalls.set(call, recorded);
}

/** Returns the request that a handler, guard or decorator is called for. @throws Error for a message, which has no request */
export function requestOf(context: ArgumentsHost): EdgeRequest {
  if (context.getType() === 'http') return context.switchToHttp().getRequest<FastifyRequest>();
  return recordedCallOf(context);
}

/** Returns the headers of the answer to a request. @throws Error for a message, which has no answer */
export function answerHeadersOf(context: ArgumentsHost): AnswerHeaders {
  return context.getType() === 'http'
    ? context.switchToHttp().getResponse<FastifyReply>()
    : recordedCallOf(context).answer;
}

function recordedCallOf(context: ArgumentsHost): RecordedCall {
  const recorded = recordedCalls.get(context.getArgByIndex<object>(2));
  if (!recorded) throw new Error('Only HTTP requests and gRPC calls have a request.');
  return recorded;
}
