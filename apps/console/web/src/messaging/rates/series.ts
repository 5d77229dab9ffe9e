import { type Reading } from '../flow/readings.js';

/** A line of a chart: one value for each time, null where it is not known. */
export interface Line {
  readonly label: string;
  readonly values: readonly (number | null)[];
}

export interface Series {
  /** In seconds since 1970, ascending. */
  readonly times: readonly number[];
  readonly lines: readonly Line[];
}

/** Readings further apart have a gap between them, because nothing is known of the time in between. */
const GAP_MS = 15_000;

/** The rates of a service: what it publishes, and what each of its consumers processes. */
export function ratesOf(readings: readonly Reading[]): Series {
  return seriesOf(readings, [
    ['published', (reading) => reading.publishedPerSecond],
    ...consumersOf(readings).map((name): Column => [name, ({ consumers }) => consumers[name]?.processedPerSecond]),
  ]);
}

/** What waits in a service: unpublished messages, and the lag of each of its consumers. */
export function backlogOf(readings: readonly Reading[]): Series {
  return seriesOf(readings, [
    ['unpublished', (reading) => reading.unpublished],
    ...consumersOf(readings).map((name): Column => [`lag of ${name}`, ({ consumers }) => consumers[name]?.lag]),
  ]);
}

type Column = readonly [label: string, value: (reading: Reading) => number | null | undefined];

function seriesOf(readings: readonly Reading[], columns: readonly Column[]): Series {
  const withGaps = readings.flatMap((reading, n) => {
    const before = readings[n - 1];
    return before && reading.at - before.at > GAP_MS ? [{ at: before.at + 1 }, reading] : [reading];
  });
  return {
    times: withGaps.map(({ at }) => at / 1000),
    lines: columns.map(([label, value]) => ({
      label,
      values: withGaps.map((reading) => ('consumers' in reading ? (value(reading) ?? null) : null)),
    })),
  };
}

const consumersOf = (readings: readonly Reading[]) => Object.keys(readings.at(-1)?.consumers ?? {});

/** Returns about `most` evenly spread indexes, always with the last one, so that the table stays short enough to read. */
export function sampled(length: number, most: number): number[] {
  const step = Math.max(1, Math.ceil(length / most));
  return Array.from({ length: Math.ceil(length / step) }, (_, n) => length - 1 - n * step).toReversed();
}

/** Returns the index that a key moves the cursor to; undefined for a key that does not move it. */
export function movedCursor(key: string, current: number, length: number): number | undefined {
  const steps: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 };
  const step = steps[key];
  if (length === 0) return undefined;
  if (key === 'Home') return 0;
  if (key === 'End') return length - 1;
  return step === undefined ? undefined : Math.min(length - 1, Math.max(0, current + step));
}

export const clock = (seconds: number): string => new Date(seconds * 1000).toLocaleTimeString('en-GB');
