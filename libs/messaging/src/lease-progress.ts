import { coarse, Cursor, multirange, type Span, spansOf, type Waiting } from './cursor.js';

/** More gaps than this are recorded coarsely: a successor publishes some messages again, and the row stays small. */
const MOST_SPANS = 1000;

/** A cursor as the columns of `relay_lease` hold it. `gaps` and `ahead` are text, for casts to int8multirange and jsonb. */
export interface RecordedProgress {
  readonly position: number;
  readonly gaps: string;
  /** Null unless an aggregate type waits. */
  readonly ahead: string | null;
}

/** The JSON in `ahead`: valid only while `at` equals the recorded position. */
interface Ahead {
  readonly at: number;
  readonly position: number;
  readonly gaps: string;
  readonly waiting: Readonly<Record<string, Waiting>>;
}

/** The position that the row has for a cursor: before the first message that waits. */
export function recordedPosition({ position, waiting }: Cursor): number {
  return Math.min(position, ...[...waiting.values()].map(({ from }) => from - 1));
}

/**
 * Writes a cursor down so that a relay of the previous version loses nothing: it knows only `position` and `gaps`, so these
 * stay before the first message that waits. Such a relay publishes the messages after it again, and by moving `position` it
 * makes `ahead` invalid.
 */
export function recorded(cursor: Cursor, mostSpans = MOST_SPANS): RecordedProgress {
  const { position, gaps, waiting } = cursor;
  if (waiting.size === 0) return { position, gaps: multirange(coarse(gaps, mostSpans)), ahead: null };
  // Exact: a coarse gap would cover messages that wait, and catching up leaves gaps to the readings.
  const at = recordedPosition(cursor);
  const before = gapsUpTo(cursor, at);
  const ahead: Ahead = { at, position, gaps: multirange(gaps), waiting: Object.fromEntries(waiting) };
  return { position: at, gaps: multirange(before), ahead: JSON.stringify(ahead) };
}

/** The place in the log as a relay of the previous version has it: everything that waits, and all behind it, is to be read again. */
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

/** Reads what {@link recorded} wrote, or a relay of the previous version after it. */
export function cursorOf(position: number, gaps: string, ahead: Ahead | null): Cursor {
  if (ahead?.at !== position) return new Cursor(position, spansOf(gaps));
  return new Cursor(ahead.position, spansOf(ahead.gaps), new Map(Object.entries(ahead.waiting)));
}

/** SQL: `ahead` of a row of `relay_lease` where it is valid, else null. */
export function validAhead(row: string): string {
  return `case when (${row}.ahead ->> 'at')::bigint = ${row}.position then ${row}.ahead end`;
}

/** SQL: how far the log was read by a row of `relay_lease`, beyond the messages that wait. */
export function readUpTo(row: string): string {
  return `coalesce((${validAhead(row)} ->> 'position')::bigint, ${row}.position)`;
}
