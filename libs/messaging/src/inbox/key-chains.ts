import { type Entry, groupingKeyOf } from './entry.js';
import { type InFlightBatch } from './in-flight-batch.js';
import { type InboxAttempts } from './inbox-attempts.js';
import { type InboxWork } from './inbox-work.js';
import { type Run } from './partition-marks.js';

/** Attempts at a message blocked by lock contention before it is parked, so that its partition can move on. */
const CONTENDED_TRIES = 5;

/** Handles messages individually, each in a transaction of its own. */
export class KeyChains {
  constructor(
    private readonly work: InboxWork,
    private readonly attempts: InboxAttempts,
  ) {}

  /** Handles each key's messages in order, and different keys concurrently. */
  async handleIndividually(entries: readonly Entry[], run: Run, inFlight: InFlightBatch): Promise<void> {
    const chains = Map.groupBy(entries, ({ record }) => groupingKeyOf(record)).values();
    const workers = Array.from({ length: this.work.settings.concurrency }, async () => {
      for (const chain of chains)
        for (const entry of chain) {
          if (inFlight.abandoned) return;
          await this.settle(entry, run, inFlight);
        }
    });
    await Promise.all(workers);
  }

  /**
   * Handles one message, drops it as a duplicate, parks it or makes it a dead letter. Blocks and retries in place only while
   * the failures say nothing about the message itself.
   */
  private async settle(entry: Entry, run: Run, inFlight: InFlightBatch): Promise<void> {
    const { attempts } = this;
    const { record } = entry;
    let tries = 0;
    const attempt = async () => {
      const lastTry = ++tries >= CONTENDED_TRIES;
      await (run.suspect ? attempts.alone(entry, lastTry) : attempts.one(entry, run, lastTry));
      inFlight.settled(record);
    };
    await inFlight.retry(record, attempt, run.suspect ? 'all slots' : 'a slot');
  }
}
