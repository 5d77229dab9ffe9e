/** Positions from `from` to before `to`. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** The messages of one aggregate type that cannot be published now: those from position `from` on, `messages` of which were passed. */
export interface Waiting {
  readonly from: number;
  readonly messages: number;
}

const NOTHING_WAITS: ReadonlyMap<string, Waiting> = new Map();

/**
 * How far an append-only log was read: everything up to `position`, but for the `gaps` below it. A sequence hands out
 * positions before their transactions commit, so a position that is missing may still appear; a cursor that only remembered
 * the highest would lose it (P2). A value: every step gives a new one. Positions are exact up to 2^53.
 */
export class Cursor {
  static readonly START = new Cursor(0, []);

  /**
   * `gaps` are in order, apart from each other, and below `position`. `waiting` names the aggregate types whose messages were
   * passed and not published.
   */
  constructor(
    readonly position: number,
    readonly gaps: readonly Span[],
    readonly waiting: ReadonlyMap<string, Waiting> = NOTHING_WAITS,
  ) {}

  /** The same place in the log, with other aggregate types waiting. */
  withWaiting(waiting: ReadonlyMap<string, Waiting>): Cursor {
    return waiting.size === 0 && this.waiting.size === 0 ? this : new Cursor(this.position, this.gaps, waiting);
  }

  /** Beyond the positions just read, which are in order: late ones fill their gaps, new ones may leave some behind. */
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

  /** Gives up waiting for the positions of the spans, which are in order. */
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

  /** What of the spans, which are in order, is a gap. */
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

  /** The gaps that begin beyond a position. */
  gapsBeyond(position: number): readonly Span[] {
    const at = this.firstGapTo(position + 1);
    return this.gaps.slice((this.gaps[at]?.from ?? Infinity) > position ? at : at + 1);
  }

  /** The index of the first gap that ends beyond a position. */
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
 * At most so many spans that cover the given ones, which are in order: those that are closest to each other become one. What it
 * covers beside them is published again by whoever takes it for a gap.
 */
export function coarse(spans: readonly Span[], most: number): readonly Span[] {
  if (spans.length <= most) return spans;
  const distances = spans.slice(1).map(({ from }, at) => from - (spans[at]?.to ?? from));
  // So many of the widest distances stay: of those that are as wide as the narrowest one of them, the first.
  const narrowest = Float64Array.from(distances).toSorted()[spans.length - most] ?? Infinity;
  let equal = most - 1 - distances.reduce((wider, distance) => wider + Number(distance > narrowest), 0);
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

/** As PostgreSQL writes an `int8multirange`. */
export function multirange(spans: readonly Span[]): string {
  return `{${spans.map(({ from, to }) => `[${from},${to})`).join(',')}}`;
}

/** Reads what PostgreSQL wrote: it always writes whole numbers with an inclusive start and an exclusive end. */
export function spansOf(text: string): Span[] {
  return [...text.matchAll(/\[(\d+),(\d+)\)/g)].map(([, from, to]) => ({ from: Number(from), to: Number(to) }));
}
