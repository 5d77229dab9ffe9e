import { type EntityManager } from 'typeorm';
import { MAX_DEATHS } from './crash-marks.js';
import { describeError } from './errors.js';
import { failureOf, isSetback, mayBeItsOwn, type Setback } from './failures.js';
import { type Mark } from './inbox-store.js';
import { failureWithin, inTransaction } from './inbox-transaction.js';
import { afterSetbacksMs, type InboxWork, nameOf, nextAttemptMs, placeOf } from './inbox-work.js';
import { type KafkaRecord, type Message, type Reading } from './message.js';
import { type WatchedAttempt } from './setbacks.js';

/** A record of a batch, as it was read. */
export interface Entry {
  readonly record: KafkaRecord;
  readonly reading: Reading;
}

/** Why a message is parked. */
interface Reason {
  readonly attempts: number;
  /** 1: the environment was at fault. */
  readonly setbacks: number;
  /** Null: it only stands behind another one of its key. */
  readonly error: string | null;
  readonly dead: boolean;
}

/** To be called once it is committed. */
type AfterCommit = () => void;

const HELD: Reason = { attempts: 0, setbacks: 0, error: null, dead: false };

/** One attempt with one message of Kafka: it ends handled, known, parked or dead, or nothing can be said of it: a throw. */
export class InboxAttempts {
  constructor(
    private readonly work: InboxWork,
    /** A message was parked and is due in so many milliseconds. */
    private readonly onParked: (dueInMs: number) => void,
  ) {}

  /** One among others, all of them under one mark. */
  async one(entry: Entry, mark: Mark, lastTry: boolean): Promise<void> {
    const { reading } = entry;
    const { work } = this;
    if (!reading.readable) return this.park(entry, mark, dead(reading.reason));

    const watched = work.setbacks.begun(placeOf(entry.record));
    let handling = false;
    try {
      const recorded = await inTransaction(work.dataSource, async (tx) => {
        const answer = await work.store.record(tx, reading.message);
        handling = answer === 'new';
        if (handling) await work.handle(tx, reading.message);
        return answer;
      });
      if (recorded === 'new') work.counts.processed++;
      work.setbacks.ended(watched.name);
      if (recorded === 'duplicate') work.counts.duplicates++;
      if (recorded === 'held') await this.park(entry, mark, HELD);
    } catch (error) {
      // Not the handler's, and not the message's: our own statement failed.
      if (!handling && failureOf(error) !== 'contended') throw error;
      await this.park(entry, mark, this.reasonOf(error, entry, reading.message, watched, lastTry));
    }
  }

  /**
   * One that a process may have died of, with nothing else in hand. Everything that becomes of it is one transaction, in which
   * its mark goes: one that is found was left by a process that is dead.
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

    // Recorded by us, it is in nobody else's hands any more. Who had it when our mark was left has taken its own back, if alive.
    if ((await work.marks.deathsOf(tx, record, mark.id)) !== mark.deaths) {
      throw new Error('another process has just had it in hand');
    }
    if (mark.deaths >= MAX_DEATHS) {
      const error = `the process died ${mark.deaths} times while handling it`;
      return this.parkIn(tx, entry, dead(error), { recorded: true });
    }
    const watched = work.setbacks.begun(placeOf(record));
    const failed = await failureWithin(tx, async () => work.handle(tx, message));
    if (failed) {
      const reason = this.reasonOf(failed.error, entry, message, watched, lastTry);
      return this.parkIn(tx, entry, reason, { recorded: true });
    }
    return () => {
      work.counts.processed++;
      work.setbacks.ended(watched.name);
    };
  }

  /** @throws the error, when it says nothing of the message: the next try may tell more */
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
    // A message may end its connection itself, by what it does in its transaction. Where the database is away, parking fails too.
    const failure = lost === 'away' ? 'unavailable' : lost;
    const text = describeError(error);
    if (isSetback(failure) && !this.isOwnFault(failure, watched, text)) {
      work.counts.setbacks++;
      // What took too long once is not tried again in place, where it holds back other keys of the partition.
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
    if (mayBeItsOwn(failure)) return setbacks.counts(watched, text);
    setbacks.met(text);
    return false;
  }

  private async park(entry: Entry, mark: Mark, reason: Reason): Promise<void> {
    const { work } = this;
    const afterCommit = await inTransaction(work.dataSource, async (tx) => {
      const parked = await this.parkIn(tx, entry, reason);
      // Where the mark covers nothing else, the parked message would be found suspect.
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
        work.setbacks.ended(placeOf(record));
        work.logger.error(`${nameOf(record, known)} is a dead letter: ${error}`);
      } else {
        work.counts.parked++;
        // One that stands behind another has no time of its own.
        if (error !== null) this.onParked(delayMs);
      }
    };
  }

  /** Until the next attempt; undefined: there is none. */
  private delayOf({ attempts, setbacks, error, dead: isDead }: Reason): number | undefined {
    const { settings } = this.work;
    if (isDead) return undefined;
    // It only waits for the one before it.
    if (error === null) return 0;
    return setbacks > 0 ? afterSetbacksMs(settings, setbacks) : nextAttemptMs(settings, attempts);
  }
}

function dead(error: string): Reason {
  return { attempts: 0, setbacks: 0, error, dead: true };
}
