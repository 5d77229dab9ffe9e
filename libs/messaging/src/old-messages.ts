import { type Cursor } from './cursor.js';
import { type Lease } from './lease.js';
import { type OutboxStore } from './outbox-store.js';

/** How often they are looked for: about as often as the retention lasts, within these bounds. */
const LOOK_LEAST_MS = 1000;
const LOOK_MOST_MS = 60_000;
const CHUNK = 5000;
const WEEK_MS = 7 * 24 * 3600 * 1000;

/** Removes published messages whose retention is over, a chunk at a time, during one term of a leader. */
export class OldMessages {
  /** None is left up to here. */
  private upTo = 0;
  private lookAt = 0;

  constructor(private readonly retentionMs = WEEK_MS) {}

  areDue(progress: Cursor | undefined): boolean {
    return performance.now() >= this.lookAt && (progress?.position ?? 0) > this.upTo;
  }

  /** True while there may be more. */
  async remove(store: OutboxStore, lease: Lease, mayRemove: () => boolean): Promise<boolean> {
    // What the lease row does not call published yet may have to be sent again by a successor.
    await lease.renew();
    if (!mayRemove() || !lease.progress) return false;
    const { upTo, more } = await store.removeOld(this.upTo, lease.progress, this.retentionMs, CHUNK, lease.log?.place);
    this.upTo = upTo;
    // Not when there were only some: while messages come one by one, each renewal and deletion would be for one of them.
    if (more) return true;
    this.lookAt = performance.now() + Math.min(Math.max(this.retentionMs, LOOK_LEAST_MS), LOOK_MOST_MS);
    return false;
  }
}
