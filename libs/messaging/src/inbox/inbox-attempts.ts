import { type EntityManager } from 'typeorm';
import { MAX_DEATHS } from './crash-marks.js';
import { describeError } from '../errors.js';
import { failureOf, isSetback, mayBeItsOwn, type Setback } from '../postgres/failures.js';
import { type Mark } from './inbox-store.js';
import { failureWithin, inTransaction } from '../postgres/transaction.js';
import { afterSetbacksMs, type InboxWork, nameOf, nextAttemptMs, placeOf } from './inbox-work.js';
import { type KafkaRecord, type Message, type Reading } from '../message/message.js';
import { type WatchedAttempt } from '../postgres/setbacks.js';

/** A record of a batch, with its parsed message. */
export interface Entry {
  readonly record: KafkaRecord;
  readonly reading: Reading;
}

/** Why a message is parked. */
interface Reason {
  readonly attempts: number;
  /** 1 if the environment was at fault. */
  readonly setbacks: number;
  /** Null if the message only waits behind an earlier one of its key. */
  readonly error: string | null;
  readonly dead: boolean;
}

/** Counts and logs the outcome. To be called once the transaction has committed. */
type AfterCommit = () => void;

const HELD: Reason = { attempts: 0, setbacks: 0, error: null, dead: false };

/**
 * One attempt at one message from Kafka. It is handled, dropped as a duplicate, parked or made a dead letter. An attempt throws
 * if its failure says nothing about the message.
 */
export class InboxAttempts {
  constructor(
    private readonly work: InboxWork,
    /** Called when a message was parked, with the delay until it is due. */
    private readonly onParked: (dueInMs: number) => void,
  ) {}

  /** Attempts a message that shares its mark with others. */
  async one(entry: Entry, mark: Mark, lastTry: boolean): Promise<void> {
    const { reading } = entry;
    const { work } = this;
    if (!reading.readable) return this.park(entry, mark, dead(reading.reason));

    const watched = work.setbacks.started(placeOf(entry.record));
    let handling = false;
    try {
      const recorded = await inTransaction(work.dataSource, async (tx) => {
        const answer = await work.store.record(tx, reading.message);
        handling = answer === 'new';
        if (handling) await work.handle(tx, reading.message);
        return answer;
      });
      if (recorded === 'new') work.counts.processed++;
      work.setbacks.forget(watched.name);
      if (recorded === 'duplicate') work.counts.duplicates++;
      if (recorded === 'held') await this.park(entry, mark, HELD);
    } catch (error) {
      // The inbox's own statement failed, which is the fault of neither the handler nor the message.
      if (!handling && failureOf(error) !== 'contended') throw error;
      await this.park(entry, mark, this.reasonOf(error, entry, reading.message, watched, lastTry));
    }
  }

  /**
   * Attempts a message that may have crashed a process, with nothing else in flight. Its outcome is one transaction, which also
   * removes its mark. So any mark that is found was left by a process that died.
   */
  async alone(entry: Entry, lastTry: boolean): Promise<void> {
    const { work } = this;
    const { id, deaths } = await work.marks.markAlone(work.dataSource, entry.record);
    try {
      const afterCommit = await inTransaction(work.dataSource, async (tx) => {
        const settled = await this.settleAlone(tx, entry, { id, deaths }, lastTry);
        await work.marks.settle(tx, entry.record);
        return settled;
      });
      work.marks.forgetOwn([id]);
      afterCommit();
    } catch (error) {
      await work.marks.remove(work.dataSource, [id]);
      throw error;
    }
  }

  private async settleAlone(
    tx: EntityManager,
    entry: Entry,
    mark: { readonly id: string; readonly deaths: number },
    lastTry: boolean,
  ): Promise<AfterCommit> {
    const { reading, record } = entry;
    const { work } = this;
    if (!reading.readable) return this.parkIn(tx, entry, dead(reading.reason));
    const { message } = reading;
    const answer = await work.store.record(tx, message);
    if (answer === 'held') return this.parkIn(tx, entry, HELD);
    if (answer === 'duplicate') return () => void work.counts.duplicates++;

    // This transaction holds the inbox row, so no live process is handling the message any more. A live process that was
    // handling it when our mark was written has removed its own mark since.
    if ((await work.marks.deathsOf(tx, record, mark.id)) !== mark.deaths) {
      throw new Error('another process was handling the message a moment ago');
    }
    if (mark.deaths >= MAX_DEATHS) {
      const error = `the process died ${mark.deaths} times while handling it`;
      return this.parkIn(tx, entry, dead(error), { recorded: true });
    }
    const watched = work.setbacks.started(placeOf(record));
    const failed = await failureWithin(tx, async () => work.handle(tx, message));
    if (failed) {
      const reason = this.reasonOf(failed.error, entry, message, watched, lastTry);
      return this.parkIn(tx, entry, reason, { recorded: true });
    }
    return () => {
      work.counts.processed++;
      work.setbacks.forget(watched.name);
    };
  }

  /** @throws the error if it says nothing about the message: the next attempt may be conclusive */
  private reasonOf(
    error: unknown,
    { record }: Entry,
    message: Message,
    watched: WatchedAttempt,
    lastTry: boolean,
  ): Reason {
    const { work } = this;
    const lost = failureOf(error);
    if (work.stopping.aborted || (lost === 'away' && !lastTry)) throw error;
    // A message may break its connection itself, by what it does in its transaction. If the database is unavailable, parking
    // fails as well.
    const failure = lost === 'away' ? 'unavailable' : lost;
    const text = describeError(error);
    if (isSetback(failure) && !this.isOwnFault(failure, watched, text)) {
      work.counts.setbacks++;
      // A message that timed out is not retried in place, because that would hold back other keys of the partition.
      if (failure !== 'timed-out' && !lastTry) throw error;
      return { error: text, dead: false, attempts: 0, setbacks: 1 };
    }
    if (failure !== 'never') {
      work.counts.failedAttempts++;
      work.logger.error(`${nameOf(record, message)} failed: ${text}`, (error as Error).stack);
    }
    return { error: text, dead: failure === 'never', attempts: 1, setbacks: 0 };
  }

  private isOwnFault(failure: Setback, watched: WatchedAttempt, text: string): boolean {
    const { setbacks } = this.work;
    if (mayBeItsOwn(failure)) return setbacks.countsAsAttempt(watched, text);
    setbacks.record(text);
    return false;
  }

  private async park(entry: Entry, mark: Mark, reason: Reason): Promise<void> {
    const { work } = this;
    const afterCommit = await inTransaction(work.dataSource, async (tx) => {
      const parked = await this.parkIn(tx, entry, reason);
      // A mark that covers only this message would make the parked message a suspect.
      if (mark.firstOffset === mark.lastOffset) await work.marks.settle(tx, entry.record);
      return parked;
    });
    afterCommit();
  }

  private async parkIn(
    tx: EntityManager,
    { reading, record }: Entry,
    { attempts, setbacks, error, dead: isDead }: Reason,
    { recorded = false } = {},
  ): Promise<AfterCommit> {
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

function dead(error: string): Reason {
  return { attempts: 0, setbacks: 0, error, dead: true };
}
