import { type Span, SpanKind, trace, TraceFlags } from '@opentelemetry/api';
import * as attribute from './attributes.js';
import { endAfter } from './end-after.js';
import { formatTrace, type TraceContext } from './trace-context.js';
import { activeTracer } from './tracer.js';

/** Where messages or jobs are added. */
export interface Destination {
  readonly system: typeof attribute.KAFKA | typeof attribute.POSTGRESQL;
  /** The topic or the queue. */
  readonly name: string;
}

/**
 * Calls `insert` with the rows of new messages or jobs and the trace context of each. Each has a span of its own, a child of the
 * active one, because whoever handles it continues from there. In a trace that is not sampled there are no spans, and the rows continue
 * it. While tracing is off, `insert` gets the rows as they are.
 */
export async function traceCreations<Row extends { readonly id: string; readonly aggregateId?: string | undefined }>(
  destination: Destination,
  rows: readonly Row[],
  insert: (rows: readonly (Row & { readonly trace?: TraceContext | undefined })[]) => Promise<unknown>,
): Promise<void> {
  const tracer = activeTracer();
  if (tracer === undefined) {
    await insert(rows);
    return;
  }
  const active = trace.getActiveSpan()?.spanContext();
  if (active && (active.traceFlags & TraceFlags.SAMPLED) === 0) {
    const unsampled = formatTrace(active);
    await insert(rows.map((row) => ({ ...row, trace: unsampled })));
    return;
  }
  const { system, name } = destination;
  const spans = rows.map(({ id, aggregateId }): Span =>
    tracer.startSpan(`create ${name}`, {
      kind: SpanKind.PRODUCER,
      attributes: {
        [attribute.SYSTEM]: system,
        [attribute.OPERATION_NAME]: 'create',
        [attribute.OPERATION_TYPE]: 'create',
        [attribute.DESTINATION]: name,
        [attribute.MESSAGE_ID]: id,
        ...(system === attribute.KAFKA && aggregateId !== undefined && { [attribute.KEY]: aggregateId }),
      },
    }),
  );
  const traced = rows.map((row, n) => ({ ...row, trace: spans[n] && formatTrace(spans[n].spanContext()) }));
  await endAfter(spans, async () => insert(traced));
}
