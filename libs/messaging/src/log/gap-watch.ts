import { type Cursor, type Span } from './cursor.js';

/** Up to this many gaps, every read covers all of them, which costs less than tracking which ones can be left out. */
const FEW_GAPS = 100;

/** A group of gaps that the same transactions may still fill. */
interface Watched {
  spans: Span[];
  readonly writers: ReadonlySet<string>;
  /** When the first of the gaps was seen. */
  since: number;
  /** The gaps are new or one of their writers has ended, so they must be read once more before reads can leave them out. */
  readonly due: boolean;
  /** Whether they have been read since. */
  wasRead: boolean;
}

/** The gaps that a read must cover, and the transactions that must still be open for its result to be valid. */
export interface Look {
  readonly gaps: readonly Span[];
  readonly unlessEnded: readonly string[];
}

/**
 * Finds out which gaps can no longer be filled, and which cannot have been filled yet. A writer takes a ROW EXCLUSIVE lock on the
 * outbox before it draws a position, and holds it until its transaction ends. So only the transactions that hold that lock after a
 * gap was seen can fill it. Once all of them have ended, and a read that started after that was observed has not found the row,
 * the row will never appear: its transaction was rolled back, or a crash skipped the value.
 *
 * Until one of these transactions ends, there is nothing to read in the gap. A hundred thousand gaps beside one open transaction
 * cost a read no more than none.
 *
 * Checking transaction ids or snapshots instead would miss a writer that has drawn its position and has no id yet, and would wait
 * for transactions that never touch the outbox (P6).
 */
export class GapWatch {
  private watched: Watched[] = [];
  /** Gaps beyond this position did not exist when the writers were last observed. */
  private upTo = -Infinity;

  /** Takes the current writers. Read the outbox after it, and then call {@link settled}. */
  observe(cursor: Cursor, writers: readonly string[], now = performance.now()): void {
    const open = new Set(writers);
    // PREPARE TRANSACTION passes the lock to an owner with another name, so any writer may still commit as a prepared one.
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
      if (same) remember({ ...group, due: group.due && !group.wasRead, wasRead: false });
      else
        remember({
          ...group,
          spans: [...cursor.gapsWithin(inOrder(group.spans))],
          writers: possible,
          due: true,
          wasRead: false,
        });
    }
    remember({ spans: [...cursor.gapsBeyond(this.upTo)], writers: open, since: now, due: true, wasRead: false });
    this.watched = [...byWriters.values()];
    this.upTo = cursor.position;
  }

  /** Returns the gaps that may have been filled, provided that the writers of the others are still open; all gaps while they are few. */
  look(cursor: Cursor): Look {
    const left = this.watched.filter(({ due }) => !due);
    if (cursor.gaps.length <= FEW_GAPS || left.length === 0) return { gaps: cursor.gaps, unlessEnded: [] };
    const due = this.watched.filter((group) => group.due).flatMap(({ spans }) => spans);
    return {
      gaps: [...cursor.gapsWithin(inOrder(due)), ...cursor.gapsBeyond(this.upTo)],
      unlessEnded: [...new Set(left.flatMap(({ writers }) => [...writers]))],
    };
  }

  /** Whether reads cover so many gaps that the writers should be queried again soon. */
  isBusy(cursor: Cursor): boolean {
    return cursor.gaps.length > FEW_GAPS && this.look(cursor).gaps.length > FEW_GAPS;
  }

  /**
   * Returns the cursor without the gaps that were not filled and have no writer left. Call it after a read that started after
   * {@link observe} and covered all gaps that {@link look} returned.
   */
  settled(cursor: Cursor): Cursor {
    for (const group of this.watched) group.wasRead = true;
    const abandoned = this.watched.filter(({ writers }) => writers.size === 0);
    this.watched = this.watched.filter(({ writers }) => writers.size > 0);
    return abandoned.reduce((rest, { spans }) => rest.without(inOrder(spans)), cursor);
  }

  /** Returns the transactions that may fill a gap which was first seen before `time`. */
  writersSince(time: number): readonly string[] {
    const old = this.watched.filter(({ since }) => since <= time);
    return [...new Set(old.flatMap(({ writers }) => [...writers]))];
  }

  /** When the oldest gap was first seen. */
  get since(): number | undefined {
    return this.watched.length === 0 ? undefined : Math.min(...this.watched.map(({ since }) => since));
  }
}

function inOrder(spans: Span[]): Span[] {
  return spans.sort((a, b) => a.from - b.from);
}
