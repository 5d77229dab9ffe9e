import {
  type Context,
  context,
  createContextKey,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  trace,
  TraceFlags,
} from '@opentelemetry/api';
import * as attribute from './attributes.js';
import { type Destination } from './creations.js';
import { endAfter, recordFailure } from './end-after.js';
import { linksTo } from './sends.js';
import { parseTrace, type TraceContext } from './trace-context.js';
import { activeTracer } from './tracer.js';

/** A message or job in the hands of its handler. */
interface Processed extends Destination {
  readonly id: string;
  readonly trace: { readonly [Field in keyof TraceContext]?: string | null | undefined } | undefined;
  /** The attributes that only messages from Kafka have. */
  readonly record?: {
    readonly group: string;
    readonly partition: number;
    readonly offset: string;
    readonly key: string;
  };
}

/** The span of the transaction in which several messages are handled. */
const BATCH = createContextKey('twinbox batch');

/**
 * Runs the handling of one message or job in a span, in the trace of the code that added it. `run` reports a failure that it handles
 * itself to its argument. A trace that is not sampled gets no span, but goes on: what `run` adds belongs to it.
 */
export async function traceProcessing<T>(
  processed: () => Processed,
  run: (failed: (error: unknown) => void) => Promise<T>,
): Promise<T> {
  const tracer = activeTracer();
  if (tracer === undefined) return run(ignore);
  const { system, name, id, trace: added, record } = processed();
  const parent = parseTrace(added);
  const of = parent ? trace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT;
  if (parent && (parent.traceFlags & TraceFlags.SAMPLED) === 0) return context.with(of, async () => run(ignore));
  const batch = context.active().getValue(BATCH) as Span | undefined;
  const attributes = {
    [attribute.SYSTEM]: system,
    [attribute.OPERATION_NAME]: 'process',
    [attribute.OPERATION_TYPE]: 'process',
    [attribute.DESTINATION]: name,
    [attribute.MESSAGE_ID]: id,
    ...(record && {
      [attribute.GROUP]: record.group,
      [attribute.PARTITION]: String(record.partition),
      [attribute.OFFSET]: Number(record.offset),
      [attribute.KEY]: record.key,
    }),
  };
  const links = batch?.isRecording() ? [{ context: batch.spanContext() }] : [];
  const span = tracer.startSpan(`process ${name}`, { kind: SpanKind.CONSUMER, attributes, links }, of);
  return inSpan(span, of, async () => run((error) => recordFailure(span, error)));
}

/**
 * Runs the handling of several messages in one transaction. If any of them is sampled, it has a span of its own, with links to the
 * spans that created the messages; each message also has a span, in its own trace.
 */
export async function traceBatch<T>(
  group: string,
  messages: readonly { readonly topic: string; readonly trace?: TraceContext | undefined }[],
  run: () => Promise<T>,
): Promise<T> {
  const tracer = messages.length > 1 ? activeTracer() : undefined;
  const links = tracer ? linksTo(messages.map((message) => message.trace ?? {})) : [];
  if (tracer === undefined || links.length === 0) return run();
  // An inbox reads one topic.
  const topic = messages[0]?.topic ?? '';
  const attributes = {
    [attribute.SYSTEM]: attribute.KAFKA,
    [attribute.OPERATION_NAME]: 'process',
    [attribute.OPERATION_TYPE]: 'process',
    [attribute.DESTINATION]: topic,
    [attribute.GROUP]: group,
    [attribute.BATCH_COUNT]: messages.length,
  };
  const span = tracer.startSpan(`process ${topic}`, { kind: SpanKind.CONSUMER, attributes, links }, ROOT_CONTEXT);
  return inSpan(span, ROOT_CONTEXT.setValue(BATCH, span), run);
}

async function inSpan<T>(span: Span, parent: Context, run: () => Promise<T>): Promise<T> {
  return context.with(trace.setSpan(parent, span), async () => endAfter([span], run));
}

function ignore(): void {}
