import { type Span, SpanStatusCode } from '@opentelemetry/api';
import { describeError } from '../errors.js';
import { ERROR_TYPE } from './attributes.js';

/** Ends the spans after `run`, and records its failure in them. Rethrows it. */
export async function endAfter<T>(spans: readonly Span[], run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    for (const span of spans) recordFailure(span, error);
    throw error;
  } finally {
    for (const span of spans) span.end();
  }
}

export function recordFailure(span: Span, error: unknown): void {
  if (!span.isRecording()) return;
  span.setAttribute(ERROR_TYPE, typeOf(error));
  span.setStatus({ code: SpanStatusCode.ERROR, message: describeError(error) });
}

/** One of few texts, such as an SQLSTATE or the name of a class. */
function typeOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code;
  if (typeof code === 'string') return code;
  return error instanceof Error ? error.name : typeof error;
}
