/** An event of a stream (HTML Standard, section "Server-sent events"). */
export interface ServerSentEvent {
  /** Where a client resumes after it has received this event. A single line. */
  readonly id?: string;
  /** The name of the event. Default `message`. */
  readonly event?: string;
  /** How long a client waits before it reconnects, in milliseconds. Stays in effect for its later attempts. */
  readonly retry?: number;
  /** Any JSON. Without data, clients fire no event and only move the point where they resume. */
  readonly data?: unknown;
}

/** The headers of a stream. */
export const EVENT_STREAM_HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  // Tells nginx not to buffer events.
  'x-accel-buffering': 'no',
};

/** Returns a random pause for `retry`, up to twice as long as the shortest, so that clients do not all come back at the same time. */
export function randomPause(shortestMs: number): number {
  return Math.round(shortestMs * (1 + Math.random()));
}

/** Encodes an event. */
export function frameOf({ retry, id, event, data }: ServerSentEvent): string {
  let frame = '';
  if (retry !== undefined) frame += `retry: ${retry}\n`;
  if (id !== undefined) frame += `id: ${oneLine(id)}\n`;
  if (event !== undefined) frame += `event: ${oneLine(event)}\n`;
  if (data !== undefined) frame += `data: ${JSON.stringify(data)}\n`;
  return `${frame}\n`;
}

/** Encodes a comment. */
export function commentOf(text: string): string {
  return `: ${oneLine(text)}\n\n`;
}

/** Replaces line breaks, because they would start another field. */
function oneLine(text: string): string {
  return text.replaceAll(/[\r\n\0]/g, ' ');
}
