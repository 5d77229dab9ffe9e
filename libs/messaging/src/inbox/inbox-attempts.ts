import { type EntityManager } from 'typeorm';
import { MAX_DEATHS } from './crash-marks.js';
import { describeError } from '../errors.js';
import { type Entry } from './entry.js';
import { failureOf, isSetback, mayBeItsOwn, type Setback } from '../postgres/failures.js';
import { failureWithin, inTransaction } from '../postgres/transaction.js';
import { type ReportOutcome, dead, HELD, type InboxParking, type Reason } from './inbox-parking.js';
import { type InboxWork, nameOf, placeOf } from './inbox-work.js';
import { type Message } from '../message/message.js';
import { type Deaths, MessageMarks } from './message-marks.js';
import { type Run } from './partition-marks.js';
import { type WatchedAttempt } from '../postgres/setbacks.js';

/**
 * One attempt at one message from Kafka. It is handled, dropped as a duplicate, parked or made a dead letter. An attempt throws
 * if its failure says nothing about the message.
 */
export class InboxAttempts {
  private readonly messageMarks: MessageMarks;

  constructor(
    private readonly work: InboxWork,
    private readonly parking: InboxParking,
  ) {
    this.messageMarks = new MessageMarks(work);
  }

  /** Attempts a message that shares its mark with the others of the run. */
  async one(entry: Entry, run: Run, lastTry: boolean): Promise<void> {
    const { reading } = entry;
    const { work } = this;
    if (!reading.readable) return this.parking.park(entry, run, dead(reading.reason));

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
      if (recorded === 'held') await this.parking.park(entry, run, HELD);
    } catch (error) {
      // The inbox's own statement failed, which is the fault of neither the handler nor the message.
      if (!handling && failureOf(error) !== 'contended') throw error;
      await this.parking.park(entry, run, this.reasonOf(error, entry, reading.message, watched, lastTry));
    }
  }

  /**
   * Attempts a message that may have crashed a process, with nothing else in flight. The outcome and the removal of the mark are one
   * transaction, so a mark that remains was left by a dead process.
   */
  async alone(entry: Entry, lastTry: boolean): Promise<void> {
    const report = await this.messageMarks.coveringAlone(entry.record, async (tx, deaths) =>
      this.settleAlone(tx, entry, deaths, lastTry),
    );
    report?.();
  }

  private async settleAlone(tx: EntityManager, entry: Entry, deaths: Deaths, lastTry: boolean): Promise<ReportOutcome> {
    const { reading, record } = entry;
    const { work } = this;
    if (!reading.readable) return this.parking.parkIn(tx, entry, dead(reading.reason));
    const { message } = reading;
    const answer = await work.store.record(tx, message);
    if (answer === 'held') return this.parking.parkIn(tx, entry, HELD);
    if (answer === 'duplicate') return () => void work.counts.duplicates++;

    // This transaction holds the inbox row, so no live process is handling the message any more. A live process that was
    // handling it when our mark was written has removed its own mark since.
    if ((await deaths.countAgain()) !== deaths.known) {
      throw new Error('another process was handling the message a moment ago');
    }
    if (deaths.known >= MAX_DEATHS) {
      const error = `the process died ${deaths.known} times while handling it`;
      return this.parking.parkIn(tx, entry, dead(error), { recorded: true });
    }
    const watched = work.setbacks.started(placeOf(record));
    const failed = await failureWithin(tx, async () => work.handle(tx, message));
    if (failed) {
      const reason = this.reasonOf(failed.error, entry, message, watched, lastTry);
      return this.parking.parkIn(tx, entry, reason, { recorded: true });
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
}
