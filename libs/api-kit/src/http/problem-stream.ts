import type { FastifyRequest } from 'fastify';
import { type Problem, problemDocument } from './problem.js';
import { frameOf, randomPause } from './server-sent-event.js';
import { ticketOf } from './stream-ticket.js';

/** The shortest pause before an `EventSource` tries again. */
const RETRY_MS = 2000;
const MAX_ID_LENGTH = 255;

/**
 * Returns the stream of events that tells an `EventSource` about a problem, because it gives up for good on any status but 200. Returns
 * undefined for other clients, and for a problem that trying again does not solve.
 */
export function problemStream(
  problem: Problem,
  requestId: string,
  request: Partial<FastifyRequest>,
): string | undefined {
  const mayPass = problem.status === 429 || problem.status >= 500;
  if (ticketOf(request) === undefined || (!mayPass && !problem.event)) return undefined;
  const pauseMs = Math.max(RETRY_MS, Number(problem.headers?.['retry-after'] ?? 0) * 1000);
  const id = problem.event?.id ?? lastEventIdOf(request);
  return frameOf({
    retry: randomPause(pauseMs),
    // Repeated, because a client would forget it after an event without an id.
    ...(id !== undefined && { id }),
    event: problem.event?.name ?? 'unavailable',
    data: problemDocument(problem, requestId),
  });
}

function lastEventIdOf({ headers, query }: Partial<FastifyRequest>): string | undefined {
  const { lastEventId } = (query ?? {}) as { readonly lastEventId?: unknown };
  const id = headers?.['last-event-id'] ?? lastEventId;
  return typeof id === 'string' && id.length <= MAX_ID_LENGTH ? id : undefined;
}
