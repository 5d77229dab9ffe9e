import { type Cursor } from '../log/cursor.js';
import { type Lease } from '../poll/lease.js';
import { type RelayStore } from './relay-store.js';

/** Old messages are looked for at intervals of about the retention, within these bounds. */
const MIN_INTERVAL_MS = 1000;
const MAX_INTERVAL_MS = 60_000;
const CHUNK = 5000;
const WEEK_MS = 7 * 24 * 3600 * 1000;

/** Removes published messages whose retention has ended, in chunks, during one term of a leader. */
export class OldMessages {
  /** No message to remove is left up to this position. */
  private upTo = 0;
  private nextLookAt = 0;

  constructor(private readonly retentionMs = WEEK_MS) {}

  areDue(published: Cursor | undefined): boolean {
    return performance.now() >= this.nextLookAt && (published?.position ?? 0) > this.upTo;
  }

  /** Removes a chunk. Returns true while there may be more. */
  async remove(store: RelayStore, lease: Lease, mayRemove: () => boolean): Promise<boolean> {
    // A successor may have to send again what is not yet recorded as published in the lease row.
    await lease.renew();
    if (!mayRemove() || !lease.published) return false;
    const { upTo, more } = await store.removeOld(
      this.upTo,
      lease.published,
      this.retentionMs,
      CHUNK,
      lease.log?.location,
    );
    this.upTo = upTo;
    // A partial chunk is not followed by another at once: with a trickle of messages, each would cost a renewal and a deletion.
    if (more) return true;
    this.nextLookAt = performance.now() + Math.min(Math.max(this.retentionMs, MIN_INTERVAL_MS), MAX_INTERVAL_MS);
    return false;
  }
}
