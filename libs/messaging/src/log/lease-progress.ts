import { coarse, Cursor, multirange, type Span, spansOf, type Waiting } from './cursor.js';

/** Beyond this number gaps are merged before they are recorded. The row stays small, but a successor republishes some messages. */
const MAX_SPANS = 1000;

/** A cursor as the columns of `relay_lease` store it. `gaps` and `ahead` are texts to be cast to int8multirange and jsonb. */
export interface RecordedProgress {
  readonly position: number;
  readonly gaps: string;
  /** Null unless an aggregate type is blocked. */
  readonly ahead: string | null;
}

/** The JSON in `ahead`. It is valid only while `at` equals the recorded position. */
interface Ahead {
  readonly at: number;
  readonly position: number;
  readonly gaps: string;
  readonly waiting: Readonly<Record<string, Waiting>>;
}

/** Returns the position that the row records for a cursor. It lies before the first waiting message. */
export function recordedPosition({ position, waiting }: Cursor): number {
  return Math.min(position, ...[...waiting.values()].map(({ from }) => from - 1));
}

/**
 * Encodes a cursor for the lease row so that a relay of the previous version loses nothing. It knows only `position` and `gaps`,
 * so these stay before the first waiting message. Such a relay publishes the messages after it again, and invalidates `ahead` by
 * moving `position`.
 */
export function recorded(cursor: Cursor, maxSpans = MAX_SPANS): RecordedProgress {
  const { position, gaps, waiting } = cursor;
  if (waiting.size === 0) return { position, gaps: multirange(coarse(gaps, maxSpans)), ahead: null };
  // Exact, because a merged gap would cover waiting messages, and catching up leaves messages in gaps to later reads.
  const at = recordedPosition(cursor);
  const before = gapsUpTo(cursor, at);
  const ahead: Ahead = { at, position, gaps: multirange(gaps), waiting: Object.fromEntries(waiting) };
  return { position: at, gaps: multirange(before), ahead: JSON.stringify(ahead) };
}

/** Returns the cursor as a relay of the previous version sees it. Every waiting message, and everything after it, is read again. */
export function beforeWaiting(cursor: Cursor): Cursor {
  if (cursor.waiting.size === 0) return cursor;
  const position = recordedPosition(cursor);
  return new Cursor(position, gapsUpTo(cursor, position));
}

function gapsUpTo({ gaps }: Cursor, position: number): readonly Span[] {
  return gaps
    .filter(({ from }) => from <= position)
    .map(({ from, to }): Span => ({ from, to: Math.min(to, position + 1) }));
}

/** Decodes what {@link recorded} wrote, or what a relay of the previous version wrote after it. */
export function cursorOf(position: number, gaps: string, ahead: Ahead | null): Cursor {
  if (ahead?.at !== position) return new Cursor(position, spansOf(gaps));
  return new Cursor(ahead.position, spansOf(ahead.gaps), new Map(Object.entries(ahead.waiting)));
}

/** Returns SQL for `ahead` of a row of `relay_lease` if it is valid, else null. */
export function validAhead(row: string): string {
  return `case when (${row}.ahead ->> 'at')::bigint = ${row}.position then ${row}.ahead end`;
}

/** Returns SQL for how far the log has been read according to a row of `relay_lease`, including beyond waiting messages. */
export function readUpTo(row: string): string {
  return `coalesce((${validAhead(row)} ->> 'position')::bigint, ${row}.position)`;
}
