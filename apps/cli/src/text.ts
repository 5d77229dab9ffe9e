import Table from 'cli-table3';
import { stripVTControlCharacters } from 'node:util';
import { plain } from './safe-text.js';
import { type Terminal } from './terminal.js';

/** What a table shows. */
export type Value = string | number | boolean | object | null | undefined;

/** A column of a table. */
export interface Column<T> {
  readonly title: string;
  readonly value: (row: T) => Value | Styled;
  readonly align?: 'right';
  /** Shortened if the terminal is too narrow for the table. */
  readonly isElastic?: boolean;
}

const LEAST_WIDTH = 12;
const GAP = 2;
const NO_BORDERS = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid']
    .flatMap((side) => [side, `${side}-mid`, `${side}-left`, `${side}-right`])
    .concat('middle', 'mid-mid')
    .map((name) => [name, '']),
);

/** Returns a value as a person reads it, in one line. */
export function cell(value: Value): string {
  if (value === null || value === undefined) return '-';
  if (typeof value === 'object') return plain(JSON.stringify(value));
  return plain(String(value).replaceAll(/\s+/g, ' '));
}

/** Returns a time without the milliseconds, which filters accept. */
export function time(iso: string | null | undefined): string {
  return iso === null || iso === undefined ? '-' : new Date(iso).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Returns how long it takes, roughly. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${seconds} s`;
  const units = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'min'],
    [1, 's'],
  ] as const;
  const first = units.findIndex(([size]) => seconds >= size);
  const [big, small] = units.slice(first, first + 2);
  if (!big) return '0 s';
  const rest = small ? Math.floor((seconds % big[0]) / small[0]) : 0;
  return `${Math.floor(seconds / big[0])} ${big[1]}${small && rest > 0 ? ` ${rest} ${small[1]}` : ''}`;
}

/** Returns `1 dead letter` or `3 dead letters`. */
export function counted(count: number, noun: string): string {
  return `${count} ${plural(count, noun)}`;
}

/** Returns the noun as it follows this count. */
export function plural(count: number, noun: string): string {
  return count === 1 ? noun : `${noun}s`;
}

/** Returns how many items there are, as far as they were counted. */
export function totalOf({ total, totalIsExact }: { readonly total: number; readonly totalIsExact: boolean }): string {
  return totalIsExact ? `${total}` : `at least ${total}`;
}

/** Returns rows as a table, as wide as its terminal at most; `none` if there are no rows. */
export function table<T>(
  terminal: Terminal,
  rows: readonly T[],
  columns: readonly Column<T>[],
  none = 'None.',
): string {
  if (rows.length === 0) return none;
  const texts = rows.map((row) => columns.map(({ value }) => styledCell(value(row))));
  const widths = widthsOf(columns, texts, terminal.columns);
  const drawn = new Table({
    chars: { ...NO_BORDERS, middle: ' '.repeat(GAP) },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0, compact: true },
    head: columns.map(({ title }) => terminal.styled('bold', title)),
    colWidths: widths,
    colAligns: columns.map(({ align }) => align ?? 'left'),
  });
  drawn.push(...texts);
  return drawn.toString().replaceAll(/[ \t]+$/gm, '');
}

/** Returns named values, one a line. */
export function fields(terminal: Terminal, values: Readonly<Record<string, Value>>): string {
  const present = Object.entries(values).filter(([, value]) => value !== undefined);
  const width = Math.max(...present.map(([name]) => name.length)) + GAP;
  return present
    .map(([name, value]) => `${terminal.styled('bold', name.padEnd(width))}${styledCell(value)}`)
    .join('\n');
}

/**
 * Returns JSON in lines, and anything else as it is. So is JSON that would change, for example because of a number that JavaScript rounds or
 * a name that occurs twice.
 */
export function inLines(content: string): string {
  try {
    const value: unknown = JSON.parse(content);
    const withoutSpace = content.replaceAll(/("(?:[^"\\]|\\.)*")|\s+/gs, '$1');
    return JSON.stringify(value) === withoutSpace ? JSON.stringify(value, undefined, 2) : content;
  } catch {
    return content;
  }
}

/** A text that is styled already. */
export class Styled {
  constructor(readonly text: string) {}
}

const styledCell = (value: Value) => (value instanceof Styled ? value.text : cell(value));

function widthsOf<T>(
  columns: readonly Column<T>[],
  texts: readonly string[][],
  available: number | undefined,
): number[] {
  const widths = columns.map(({ title }, n) =>
    Math.max(title.length, ...texts.map((row) => stripVTControlCharacters(row[n] ?? '').length)),
  );
  if (available === undefined) return widths;
  const excess = widths.reduce((sum, width) => sum + width + GAP, -GAP) - available;
  const elastic = columns.flatMap(({ isElastic }, n) => (isElastic ? [n] : []));
  return shrink(widths, elastic, excess);
}

/** Takes the excess from the widest elastic columns first. */
function shrink(widths: number[], elastic: readonly number[], excess: number): number[] {
  for (let left = excess; left > 0; left--) {
    const widest = elastic.toSorted((a, b) => (widths[b] ?? 0) - (widths[a] ?? 0))[0];
    if (widest === undefined || (widths[widest] ?? 0) <= LEAST_WIDTH) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths;
}
