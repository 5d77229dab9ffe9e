/** The positions from `from`, inclusive, to `to`, exclusive. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** The blocked messages of one aggregate type: those from position `from` on. The relay has skipped `messages` of them so far. */
export interface Waiting {
  readonly from: number;
  readonly messages: number;
}

const NOTHING_WAITS: ReadonlyMap<string, Waiting> = new Map();

/**
 * How far an append-only log has been read: everything up to `position` except for the `gaps` below it. A sequence hands out
 * positions before their transactions commit, so a missing position may still appear, and a cursor that remembered only the
 * highest position would lose it (P2). A cursor is immutable; every method returns a new one. Positions are exact up to 2^53.
 */
export class Cursor {
  static readonly START = new Cursor(0, []);

  /**
   * `gaps` are sorted, do not touch each other, and lie below `position`. `waiting` has the aggregate types whose messages were
   * skipped and not published.
   */
  constructor(
    readonly position: number,
    readonly gaps: readonly Span[],
    readonly waiting: ReadonlyMap<string, Waiting> = NOTHING_WAITS,
  ) {}

  /** Returns the same place in the log with other blocked aggregate types. */
  withWaiting(waiting: ReadonlyMap<string, Waiting>): Cursor {
    return waiting.size === 0 && this.waiting.size === 0 ? this : new Cursor(this.position, this.gaps, waiting);
  }

  /** Advances past the sorted positions just read. Late positions fill their gaps, and new ones may leave gaps behind. */
  after(positions: readonly number[]): Cursor {
    const late: Span[] = [];
    const opened: Span[] = [];
    let last = this.position;
    for (const position of positions) {
      if (position <= this.position) late.push({ from: position, to: position + 1 });
      else {
        if (position > last + 1) opened.push({ from: last + 1, to: position });
        last = position;
      }
    }
    const { gaps } = this.without(late);
    return new Cursor(last, opened.length === 0 ? gaps : gaps.concat(opened), this.waiting);
  }

  /** Gives up waiting for the positions in the sorted spans. */
  without(spans: readonly Span[]): Cursor {
    if (spans.length === 0 || this.gaps.length === 0) return this;
    const left: Span[] = [];
    let next = 0;
    for (const gap of this.gaps) {
      let { from } = gap;
      while ((spans[next]?.to ?? Infinity) <= from) next++;
      for (let at = next, span = spans[at]; span && span.from < gap.to; span = spans[++at]) {
        if (span.from > from) left.push({ from, to: span.from });
        from = Math.max(from, span.to);
      }
      if (from < gap.to) left.push(from === gap.from ? gap : { from, to: gap.to });
    }
    return new Cursor(this.position, left, this.waiting);
  }

  /** Returns the parts of the sorted spans that are gaps. */
  gapsWithin(spans: readonly Span[]): readonly Span[] {
    const within: Span[] = [];
    for (const span of spans) {
      for (let at = this.firstGapTo(span.from); ; at++) {
        const gap = this.gaps[at];
        if (!gap || gap.from >= span.to) break;
        within.push({ from: Math.max(gap.from, span.from), to: Math.min(gap.to, span.to) });
      }
    }
    return within;
  }

  /** Returns the gaps that start after a position. */
  gapsBeyond(position: number): readonly Span[] {
    const at = this.firstGapTo(position + 1);
    return this.gaps.slice((this.gaps[at]?.from ?? Infinity) > position ? at : at + 1);
  }

  /** Finds the index of the first gap that ends after a position. */
  private firstGapTo(position: number): number {
    let [low, high] = [0, this.gaps.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.gaps[middle]?.to ?? Infinity) > position) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/**
 * Merges the sorted spans that are closest to each other until at most `max` are left. The merged spans cover additional
 * positions, and a relay that takes those for gaps publishes their messages again.
 */
export function coarse(spans: readonly Span[], max: number): readonly Span[] {
  if (spans.length <= max) return spans;
  const distances = spans.slice(1).map(({ from }, at) => from - (spans[at]?.to ?? from));
  // The widest `max - 1` distances stay. Where several are as wide as the narrowest of those, the first ones stay.
  const narrowest = Float64Array.from(distances).toSorted()[spans.length - max] ?? Infinity;
  let equal = max - 1 - distances.reduce((wider, distance) => wider + Number(distance > narrowest), 0);
  const merged: Span[] = [];
  let [{ from, to }] = spans as [Span];
  for (const [at, distance] of distances.entries()) {
    const next = spans[at + 1] as Span;
    if (distance > narrowest || (distance === narrowest && equal-- > 0)) {
      merged.push({ from, to });
      ({ from } = next);
    }
    ({ to } = next);
  }
  return [...merged, { from, to }];
}

/** Formats the spans as PostgreSQL formats an `int8multirange`. */
export function multirange(spans: readonly Span[]): string {
  return `{${spans.map(({ from, to }) => `[${from},${to})`).join(',')}}`;
}

/** Parses PostgreSQL's output, which always has whole numbers, an inclusive start and an exclusive end. */
export function spansOf(text: string): Span[] {
  return [...text.matchAll(/\[(\d+),(\d+)\)/g)].map(([, from, to]) => ({ from: Number(from), to: Number(to) }));
}
