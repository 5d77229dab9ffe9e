import { describeError } from '../errors.js';
import { type InboxWork, nameOf, tracked } from './inbox-work.js';
import { type Batch } from '../kafka/batch.js';
import { type KafkaRecord } from '../message/message.js';
import { backOffMs, pause } from '../waiting.js';

/** A step blocks its partition while it is retried. Most failures are brief, and in a long outage every partition retries. */
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5000;

/** A batch in flight. Its offsets are resolved in order, each once every record up to it is settled. */
export class InFlightBatch {
  private readonly settledOffsets = new Set<string>();
  private next = 0;

  constructor(
    private readonly batch: Batch,
    private readonly work: InboxWork,
  ) {}

  /** Whether the remaining records must not be processed: the partition was lost, or the inbox is stopping or paused. */
  get abandoned(): boolean {
    return this.work.stopping.aborted || this.work.isPaused() || !this.batch.isCurrent();
  }

  /** Marks the record as settled, and resolves the offset of the last record up to which all are settled. */
  settled({ offset }: KafkaRecord): void {
    const { records } = this.batch;
    this.settledOffsets.add(offset);
    let last: KafkaRecord | undefined;
    for (
      let record = records[this.next];
      record && this.settledOffsets.delete(record.offset);
      record = records[this.next]
    ) {
      last = record;
      this.next++;
    }
    if (last && this.batch.isCurrent()) this.batch.resolve(last);
  }

  /** Repeats the step until it succeeds, and returns its result; undefined if the batch is abandoned first. */
  async retry<T>(
    record: KafkaRecord,
    step: () => Promise<T>,
    /** A step that waits for a `Gather` takes no slot, because the `Gather` takes one for all its callers. */
    takes: 'no slot' | 'a slot' | 'all slots' = 'a slot',
  ): Promise<T | undefined> {
    const { slots, logger, stopping } = this.work;
    // The batch may have been abandoned while the step waited for its slot.
    const inTurn = async () => (this.abandoned ? undefined : step());
    return tracked(this.work, async (progress) => {
      for (let failures = 0; !this.abandoned; failures++) {
        try {
          if (takes === 'all slots') return await slots.useAll(inTurn);
          if (takes === 'a slot') return await slots.use(inTurn);
          return await inTurn();
        } catch (error) {
          const waitMs = Math.round(backOffMs(failures, FIRST_PAUSE_MS, MAX_PAUSE_MS));
          progress.failed(describeError(error));
          logger.warn(`${nameOf(record)}: ${describeError(error)}. Retrying in ${waitMs} ms`);
          await pause(waitMs, stopping);
        }
      }
      return undefined;
    });
  }
}
