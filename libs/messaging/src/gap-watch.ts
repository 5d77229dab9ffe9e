import { type Cursor, type Span } from './cursor.js';

/** So many gaps are looked into with every reading: it costs less than knowing which need not be. */
const FEW = 100;

/** Gaps that the same transactions may still fill. */
interface Watched {
  spans: Span[];
  readonly writers: ReadonlySet<string>;
  /** When the first of them was seen. */
  since: number;
  /** One of their writers ended, or they are new: the outbox must be read before they can be left alone. */
  readonly due: boolean;
  /** It was read since. */
  looked: boolean;
}

/** Where a reading must look, and the transactions that must not have ended for it to be right. */
export interface Look {
  readonly gaps: readonly Span[];
  readonly unlessEnded: readonly string[];
}

/**
 * Finds out which gaps nobody can fill any more, and which nobody can have filled yet. A writer locks the outbox (ROW EXCLUSIVE)
 * before it draws a position and until its transaction has ended. So the transactions that hold that lock after a gap was seen
 * are the only ones that can fill it; once none of them is left, and a reading that began after that was seen did not find the
 * row, it never comes: its transaction was rolled back, or a crash skipped the value.
 *
 * Until one of them ends, there is nothing to look for: a hundred thousand gaps beside one open transaction cost a reading no
 * more than none.
 *
 * Asking for transaction ids or snapshots instead misses a writer that has drawn its position and has no id yet, and waits
 * for transactions that never touch the outbox (P6).
 */
export class GapWatch {
  private watched: Watched[] = [];
  /** Gaps beyond were not there when the writers were last seen. */
  private upTo = -Infinity;

  /** To be called with the writers as they are now; the outbox is read after it, then {@link settled} tells. */
  observe(cursor: Cursor, writers: readonly string[], now = performance.now()): void {
    const open = new Set(writers);
    // PREPARE TRANSACTION passes the lock on to an owner of another name: whichever writer that was, it may still commit.
    const prepared = writers.filter((writer) => writer.startsWith('-1/'));
    const byWriters = new Map<string, Watched>();
    const remember = (group: Watched) => {
      if (group.spans.length === 0) return;
      const name = `${group.due} ${[...group.writers].toSorted().join()}`;
      const known = byWriters.get(name);
      if (!known) {
        byWriters.set(name, group);
        return;
      }
      for (const span of group.spans) known.spans.push(span);
      known.since = Math.min(known.since, group.since);
    };
    for (const group of this.watched) {
      const possible = new Set([...prepared, ...[...group.writers].filter((writer) => open.has(writer))]);
      const same = possible.size === group.writers.size && [...possible].every((writer) => group.writers.has(writer));
      if (same) remember({ ...group, due: group.due && !group.looked, looked: false });
      else
        remember({
          ...group,
          spans: [...cursor.gapsWithin(inOrder(group.spans))],
          writers: possible,
          due: true,
          looked: false,
        });
    }
    remember({ spans: [...cursor.gapsBeyond(this.upTo)], writers: open, since: now, due: true, looked: false });
    this.watched = [...byWriters.values()];
    this.upTo = cursor.position;
  }

  /** The gaps that may have been filled, if the others' writers are still there; all of them while they are few. */
  look(cursor: Cursor): Look {
    const left = this.watched.filter(({ due }) => !due);
    if (cursor.gaps.length <= FEW || left.length === 0) return { gaps: cursor.gaps, unlessEnded: [] };
    const due = this.watched.filter((group) => group.due).flatMap(({ spans }) => spans);
    return {
      gaps: [...cursor.gapsWithin(inOrder(due)), ...cursor.gapsBeyond(this.upTo)],
      unlessEnded: [...new Set(left.flatMap(({ writers }) => [...writers]))],
    };
  }

  /** Whether readings look into so many gaps that the writers should be asked for soon. */
  isBusy(cursor: Cursor): boolean {
    return cursor.gaps.length > FEW && this.look(cursor).gaps.length > FEW;
  }

  /**
   * To be called after a reading that began after {@link observe} and looked into all gaps that {@link look} named. Gives the
   * cursor without those that no writer was left for, and that are gaps still.
   */
  settled(cursor: Cursor): Cursor {
    for (const group of this.watched) group.looked = true;
    const abandoned = this.watched.filter(({ writers }) => writers.size === 0);
    this.watched = this.watched.filter(({ writers }) => writers.size > 0);
    return abandoned.reduce((rest, { spans }) => rest.without(inOrder(spans)), cursor);
  }

  /** The transactions that may fill a gap which was seen before `time`. */
  writersSince(time: number): readonly string[] {
    const old = this.watched.filter(({ since }) => since <= time);
    return [...new Set(old.flatMap(({ writers }) => [...writers]))];
  }

  /** When the oldest gap was seen. */
  get since(): number | undefined {
    return this.watched.length === 0 ? undefined : Math.min(...this.watched.map(({ since }) => since));
  }
}

function inOrder(spans: Span[]): Span[] {
  return spans.sort((a, b) => a.from - b.from);
}
