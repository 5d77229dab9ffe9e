import { type EntityManager } from 'typeorm';
import { type Entry } from './entry.js';
import { afterSetbacksMs, type InboxWork, nameOf, nextAttemptMs, placeOf } from './inbox-work.js';
import { type Run } from './partition-marks.js';
import { inTransaction } from '../postgres/transaction.js';

/** Why a message is parked. */
export interface Reason {
  readonly attempts: number;
  /** 1 if the environment was at fault. */
  readonly setbacks: number;
  /** Null if the message only waits behind an earlier one of its key. */
  readonly error: string | null;
  readonly dead: boolean;
}

/** Counts and logs the outcome of an attempt. To be called once the transaction has committed. */
export type ReportOutcome = () => void;

/** The message waits behind an earlier one of its key. */
export const HELD: Reason = { attempts: 0, setbacks: 0, error: null, dead: false };

/** The message becomes a dead letter at once. */
export function dead(error: string): Reason {
  return { attempts: 0, setbacks: 0, error, dead: true };
}

/** Parks messages from Kafka: for another attempt, behind an earlier message of their key, or as dead letters. */
export class InboxParking {
  constructor(
    private readonly work: InboxWork,
    /** Called when a message was parked, with the delay until it is due. */
    private readonly onParked: (dueInMs: number) => void,
  ) {}

  /** Parks a message that shares its mark with the others of the run. */
  async park(entry: Entry, run: Run, reason: Reason): Promise<void> {
    const { work } = this;
    const report = await inTransaction(work.dataSource, async (tx) => {
      const reportParked = await this.parkIn(tx, entry, reason);
      // A mark that covers only this message would make the parked message a suspect.
      if (run.records.length === 1) await work.crashMarks.settle(tx, entry.record);
      return reportParked;
    });
    report();
  }

  /** Parks a message in the transaction. With `recorded`, the transaction has already recorded it in the inbox. */
  async parkIn(
    tx: EntityManager,
    { reading, record }: Entry,
    { attempts, setbacks, error, dead: isDead }: Reason,
    { recorded = false } = {},
  ): Promise<ReportOutcome> {
    const { work } = this;
    const known = reading.readable ? reading.message : reading;
    const delayMs = this.delayOf({ attempts, setbacks, error, dead: isDead });
    const holdsKey = reading.readable || reading.sound;
    const isParked = await work.store.park(tx, record, {
      recorded,
      holdsKey,
      attempts,
      setbacks,
      error,
      delayMs,
      known,
    });
    return () => {
      if (!isParked) {
        work.counts.duplicates++;
      } else if (delayMs === undefined) {
        work.counts.deadLetters++;
        work.setbacks.forget(placeOf(record));
        work.logger.error(`${nameOf(record, known)} is a dead letter: ${error}`);
      } else {
        work.counts.parked++;
        // A message that waits behind another has no due time of its own.
        if (error !== null) this.onParked(delayMs);
      }
    };
  }

  /** Returns the delay until the next attempt, or undefined if there is none. */
  private delayOf({ attempts, setbacks, error, dead: isDead }: Reason): number | undefined {
    const { settings } = this.work;
    if (isDead) return undefined;
    // The message only waits for the one before it.
    if (error === null) return 0;
    return setbacks > 0 ? afterSetbacksMs(settings, setbacks) : nextAttemptMs(settings, attempts);
  }
}
