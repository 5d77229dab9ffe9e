/** An event of a stream (HTML Standard, section "Server-sent events"). */
export interface ServerSentEvent {
  /** Where a client resumes after it has received this event. A single line. */
  readonly id?: string;
  /** The name of the event. Default `message`. */
  readonly event?: string;
  /** Any JSON. Without data, clients fire no event and only move the point where they resume. */
  readonly data?: unknown;
}

/** Encodes an event. */
export function frameOf({ id, event, data }: ServerSentEvent): string {
  let frame = '';
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
