import { ProxyTracerProvider, trace, type Tracer } from '@opentelemetry/api';

/** What provides tracers while no SDK is registered. */
const OFF: unknown = new ProxyTracerProvider().getDelegate();

let known: { readonly provider: unknown; readonly tracer: Tracer } | undefined;

/**
 * Returns the library's tracer, or undefined while tracing is off. With it, callers make neither spans nor attributes for a process
 * that has registered no SDK.
 */
export function activeTracer(): Tracer | undefined {
  const registered = trace.getTracerProvider();
  // Not `instanceof`, because the SDK may use another copy of the API.
  const provider = 'getDelegate' in registered ? (registered as ProxyTracerProvider).getDelegate() : registered;
  if (provider === OFF) return undefined;
  if (known?.provider !== provider) known = { provider, tracer: provider.getTracer('@twinbox/messaging') };
  return known?.tracer;
}
