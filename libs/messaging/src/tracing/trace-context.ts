import { createTraceState, isSpanContextValid, type SpanContext, TraceFlags } from '@opentelemetry/api';

/**
 * The place of a message or job in a trace, in the format of W3C Trace Context (https://www.w3.org/TR/trace-context). The tables and
 * the headers of records have it in this format whichever propagators the process uses for its calls.
 */
export interface TraceContext {
  readonly traceparent: string;
  readonly tracestate?: string | undefined;
}

/** The limit of the column. The specification asks for at least as many characters. */
const MAX_TRACESTATE = 512;
/** Ids of zeros only are invalid. */
const TRACEPARENT = /^(?!ff)([\da-f]{2})-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(-.*)?$/;

/** Formats the context of a span; undefined if it belongs to no trace. */
export function formatTrace(of: SpanContext): TraceContext | undefined {
  if (!isSpanContextValid(of)) return undefined;
  const sampled = (of.traceFlags & TraceFlags.SAMPLED) === 0 ? '00' : '01';
  const state = of.traceState?.serialize();
  return {
    traceparent: `00-${of.traceId}-${of.spanId}-${sampled}`,
    tracestate: state !== undefined && state !== '' && state.length <= MAX_TRACESTATE ? state : undefined,
  };
}

/** Reads the context of a span in another process; undefined if it is missing or invalid. */
export function parseTrace(
  trace: { readonly [Field in keyof TraceContext]?: string | null | undefined } = {},
): SpanContext | undefined {
  const [, version, traceId, spanId, flags, more] = TRACEPARENT.exec(trace.traceparent ?? '') ?? [];
  // Only a later version may have more fields.
  if (traceId === undefined || spanId === undefined || (version === '00' && more !== undefined)) return undefined;
  const of = { traceId, spanId, traceFlags: Number.parseInt(flags ?? '', 16) & TraceFlags.SAMPLED, isRemote: true };
  return trace.tracestate ? { ...of, traceState: createTraceState(trace.tracestate) } : of;
}

/** Returns the trace context in the headers of a record. */
export function traceIn({ traceparent, tracestate }: Readonly<Record<string, string>>): TraceContext | undefined {
  return traceparent === undefined ? undefined : { traceparent, tracestate };
}
