/** Positions from `from` to before `to`. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/**
 * How far an append-only log was read: everything up to `position`, but for the `gaps` below it. A sequence hands out
 * positions before their transactions commit, so a position that is missing may still appear; a cursor that only remembered
 * the highest would lose it (P2). A value: every step gives a new one. Positions are exact up to 2^53.
 */
export class Cursor {
  static readonly START = new Cursor(0, []);

  /** `gaps` are in order, apart from each other, and below `position`. */
  constructor(
    readonly position: number,
    readonly gaps: readonly Span[],
  ) {}

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
    return new Cursor(last, [...this.without(late).gaps, ...opened]);
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
      if (from < gap.to) left.push({ from, to: gap.to });
    }
    return new Cursor(this.position, left);
  }

  /** What of the spans is a gap. */
  gapsWithin(spans: readonly Span[]): readonly Span[] {
    const others = this.without(spans);
    return this.without(others.gaps).gaps;
  }
}

/** As PostgreSQL writes an `int8multirange`. */
export function multirange(spans: readonly Span[]): string {
  return `{${spans.map(({ from, to }) => `[${from},${to})`).join(',')}}`;
}

/** Reads what PostgreSQL wrote: it always writes whole numbers with an inclusive start and an exclusive end. */
export function spansOf(text: string): Span[] {
  return [...text.matchAll(/\[(\d+),(\d+)\)/g)].map(([, from, to]) => ({ from: Number(from), to: Number(to) }));
}
