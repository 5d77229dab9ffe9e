import { FastifyOtelInstrumentation } from '@fastify/otel';
import type { Span } from '@opentelemetry/api';
import type { FastifyRequest } from 'fastify';
import { isOperational } from '../http/operational-path.js';

/** Gives each request one span, and none to its hooks. Probes, scrapes and the documentation have none. */
export function httpSpans(): FastifyOtelInstrumentation {
  return new FastifyOtelInstrumentation({
    registerOnInitialization: true,
    instrumentHooks: false,
    instrumentHandler: false,
    // Its text may have values of the request. The log has it, with the id of the trace.
    recordExceptions: false,
    ignorePaths: ({ url }) => isOperational(url),
    requestHook: nameSpan,
  });
}

/** Names the span after its route, and leaves out the query, where clients send tokens by mistake. */
function nameSpan(span: Span, { method, url, routeOptions }: FastifyRequest): void {
  if (!span.isRecording()) return;
  span.updateName(routeOptions.url === undefined ? method : `${method} ${routeOptions.url}`);
  const [path = ''] = url.split('?', 1);
  span.setAttribute('url.path', path);
}
