import { type Cursor } from '../log/cursor.js';
import { type GapWatch } from '../log/gap-watch.js';
import { type GapWriter, type RelayStore } from './relay-store.js';

/** Older gaps are reported, together with the transaction that keeps them open. */
const REPORTED_AFTER_MS = 2000;
const UPDATE_EVERY_MS = 1000;

/** Positions that were drawn and may still be filled. Messages beyond them are published but cannot be removed. */
export interface GapReport {
  /** The number of separate gaps. */
  readonly spans: number;
  readonly positions: number;
  readonly forMs: number;
  /** The transaction to look at first. */
  readonly writer?: GapWriter;
}

interface Found extends Pick<GapReport, 'spans' | 'positions'> {
  readonly at: number;
  readonly since: number;
  readonly writer: GapWriter | undefined;
}

/** Reports the gaps that transactions have kept open for seconds. */
export class OldGaps {
  private found: Found | undefined;

  /** The latest report; undefined while there are no old gaps. */
  get report(): GapReport | undefined {
    if (!this.found) return undefined;
    const { since, spans, positions, writer } = this.found;
    return { spans, positions, forMs: Math.round(performance.now() - since), ...(writer && { writer }) };
  }

  /** Looks at the gaps whose writers were just observed. */
  async update({ gaps }: Cursor, watch: GapWatch, store: RelayStore): Promise<void> {
    const now = performance.now();
    const since = watch.since ?? now;
    if (now - since < REPORTED_AFTER_MS) this.found = undefined;
    else if (now - (this.found?.at ?? -Infinity) >= UPDATE_EVERY_MS) {
      const writers = watch.writersSince(now - REPORTED_AFTER_MS);
      const writer = writers.length > 0 ? await store.oldestOf(writers) : undefined;
      const positions = gaps.reduce((sum, { from, to }) => sum + to - from, 0);
      this.found = { at: now, since, spans: gaps.length, positions, writer };
    }
  }
}
