import { type Link, ROOT_CONTEXT, type Span, SpanKind, trace, TraceFlags, type Tracer } from '@opentelemetry/api';
import * as attribute from './attributes.js';
import { parseTrace } from './trace-context.js';
import { activeTracer } from './tracer.js';

/** A message to send. */
interface Sent {
  readonly id: string;
  readonly traceparent?: string | null;
  readonly tracestate?: string | null;
}

/** The default of OTEL_SPAN_LINK_COUNT_LIMIT. */
const MAX_LINKS = 128;

/**
 * Starts the spans of one attempt to send messages, one for each topic however many its messages are, with links to the spans that
 * created them. A message that is alone has the span in its own trace. Topics without a sampled message have no span.
 */
export function startSends(messagesByTopic: ReadonlyMap<string, readonly Sent[]>): Span[] {
  const tracer = activeTracer();
  if (tracer === undefined) return [];
  return [...messagesByTopic].flatMap(([topic, messages]) => startSend(tracer, topic, messages) ?? []);
}

function startSend(tracer: Tracer, topic: string, messages: readonly Sent[]): Span | undefined {
  const links = linksTo(messages);
  const [first] = links;
  if (first === undefined) return undefined;
  const [only] = messages.length === 1 ? messages : [];
  const parent = only ? trace.setSpanContext(ROOT_CONTEXT, first.context) : ROOT_CONTEXT;
  const attributes = {
    [attribute.SYSTEM]: attribute.KAFKA,
    [attribute.OPERATION_NAME]: 'send',
    [attribute.OPERATION_TYPE]: 'send',
    [attribute.DESTINATION]: topic,
    ...(only ? { [attribute.MESSAGE_ID]: only.id } : { [attribute.BATCH_COUNT]: messages.length }),
  };
  // A client, because the spans of the creations are the producers.
  return tracer.startSpan(`send ${topic}`, { kind: SpanKind.CLIENT, attributes, links }, parent);
}

/** Returns links to the messages' spans, as many as a span has room for. Nobody finds those that are not sampled. */
export function linksTo(messages: readonly Pick<Sent, 'traceparent' | 'tracestate'>[]): Link[] {
  const links: Link[] = [];
  for (const message of messages) {
    // Most messages are not sampled.
    if (!message.traceparent || message.traceparent.endsWith('-00')) continue;
    const context = parseTrace(message);
    if (context && (context.traceFlags & TraceFlags.SAMPLED) !== 0) links.push({ context });
    if (links.length === MAX_LINKS) break;
  }
  return links;
}
