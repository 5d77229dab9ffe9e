import { type Cursor, type Span } from './cursor.js';

/**
 * Finds out which gaps nobody can fill any more. A writer locks the outbox (ROW EXCLUSIVE) before it draws a position and
 * until its transaction has ended. So the transactions that hold that lock after a gap was seen are the only ones that can
 * fill it; once none of them is left, and a reading that began after that was seen did not find the row, it never comes: its
 * transaction was rolled back, or a crash skipped the value.
 *
 * Asking for transaction ids or snapshots instead misses a writer that has drawn its position and has no id yet, and waits
 * for transactions that never touch the outbox (P6).
 */
export class GapWatch {
  private suspects: { spans: readonly Span[]; readonly writers: ReadonlySet<string> }[] = [];

  /** To be called with the writers as they are now; the outbox is read after it, then {@link settled} tells. */
  observe(cursor: Cursor, writers: readonly string[]): void {
    const now = new Set(writers);
    // PREPARE TRANSACTION passes the lock on to an owner of another name: whichever writer that was, it may still commit.
    const prepared = writers.filter((writer) => writer.startsWith('-1/'));
    const byWriters = new Map<string, { spans: Span[]; writers: ReadonlySet<string> }>();
    const remember = (spans: readonly Span[], possible: ReadonlySet<string>) => {
      if (spans.length === 0) return;
      const name = [...possible].toSorted().join();
      const known = byWriters.get(name);
      if (known) known.spans.push(...spans);
      else byWriters.set(name, { spans: [...spans], writers: possible });
    };
    let unknown = cursor;
    for (const { spans, writers: possible } of this.suspects) {
      remember(cursor.gapsWithin(spans), new Set([...prepared, ...[...possible].filter((writer) => now.has(writer))]));
      unknown = unknown.without(spans);
    }
    remember(unknown.gaps, now);
    this.suspects = [...byWriters.values()].map(({ spans, writers: possible }) => ({
      spans: spans.toSorted((a, b) => a.from - b.from),
      writers: possible,
    }));
  }

  /** The cursor without the gaps that no writer was left for when {@link observe} was called, and that are gaps still. */
  settled(cursor: Cursor): Cursor {
    const abandoned = this.suspects.filter(({ writers }) => writers.size === 0);
    this.suspects = this.suspects.filter(({ writers }) => writers.size > 0);
    return abandoned.reduce((rest, { spans }) => rest.without(spans), cursor);
  }
}
