import { context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { status as codes } from '@grpc/grpc-js';
import { runningTelemetry } from '../telemetry/telemetry-state.js';
import type { Call, RpcMethod } from './rpc-request.js';

/** The statuses that mean a fault of the server, by the semantic conventions for RPC. */
const ERRORS: ReadonlySet<codes> = new Set([
  codes.UNKNOWN,
  codes.DEADLINE_EXCEEDED,
  codes.UNIMPLEMENTED,
  codes.INTERNAL,
  codes.UNAVAILABLE,
  codes.DATA_LOSS,
]);

/**
 * Runs `next` in the span of a gRPC call, which continues the trace in its metadata. `next` gets a function that ends the span. Streams
 * have no span, because they stay open for as long as their callers like, and neither has anything while tracing is off.
 */
export function traceCall(
  { path, responseStream }: RpcMethod,
  call: Call,
  next: (finished: (code: codes) => void) => void,
): void {
  const telemetry = runningTelemetry();
  if (telemetry === undefined || responseStream) return next(ignore);
  const name = path.slice(1);
  const parent = propagation.extract(ROOT_CONTEXT, call.metadata, {
    get: (metadata, key) => metadata.get(key).map(String),
    keys: (metadata) => Object.keys(metadata.getMap()),
  });
  const attributes = { 'rpc.system.name': 'grpc', 'rpc.method': name };
  const span = telemetry.tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, parent);
  context.with(trace.setSpan(parent, span), () =>
    next((code) => {
      span.setAttribute('rpc.status_code', codes[code]);
      if (ERRORS.has(code)) {
        span.setAttribute('error.type', codes[code]);
        span.setStatus({ code: SpanStatusCode.ERROR });
      }
      span.end();
    }),
  );
}

function ignore(): void {}
