import { FastifyOtelInstrumentation } from '@fastify/otel';
import { type Span, SpanStatusCode } from '@opentelemetry/api';
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
    requestHook: (span, request) => {
      if (!span.isRecording()) return;
      nameSpan(span, request);
      decideStatus(span);
    },
  });
}

/** Names the span after its route, and leaves out the query, where clients send tokens by mistake. */
function nameSpan(span: Span, { method, url, routeOptions }: FastifyRequest): void {
  span.updateName(routeOptions.url === undefined ? method : `${method} ${routeOptions.url}`);
  const [path = ''] = url.split('?', 1);
  span.setAttribute('url.path', path);
}

/**
 * Makes a span an error if its response is one of the server (https://opentelemetry.io/docs/specs/semconv/http/http-spans/#status).
 * The plugin also does so for a rejected request, with the text of the exception, which may quote the body.
 */
function decideStatus(span: Span): void {
  const [setStatus, setAttributes] = [span.setStatus.bind(span), span.setAttributes.bind(span)];
  span.setStatus = () => span;
  span.setAttributes = (attributes) => {
    const status = Number(attributes['http.response.status_code']);
    if (status >= 500) setStatus({ code: SpanStatusCode.ERROR });
    return setAttributes(status >= 500 ? { ...attributes, 'error.type': String(status) } : attributes);
  };
}
