import { type EntityManager } from 'typeorm';
import { MAX_DEATHS } from './crash-marks.js';
import { describeError } from '../errors.js';
import { failureOf } from '../postgres/failures.js';
import { handleParked } from './handle-parked.js';
import { afterSetbacksMs, type InboxWork, nameOf, nextAttemptMs, placeOf, tracked } from './inbox-work.js';
import { MessageMarks } from './message-marks.js';
import { type Head, type ParkedStore, type Taken } from './parked-store.js';
import { ConnectionEndedError, DeadlyError, verdictOn } from './parked-verdict.js';
import { type WatchedAttempt } from '../postgres/setbacks.js';
import { failureWithin, inTransaction } from '../postgres/transaction.js';

/** The outcome of an attempt. */
interface Outcome {
  /** The next message of the key, if it is due now. */
  readonly next?: Head | undefined;
  /** Counts and logs the outcome. To be called once the transaction has committed. */
  afterCommit(): void;
}

/** One attempt at one parked message. It is handled, scheduled for another attempt or made a dead letter. */
export class ParkedAttempts {
  /** The attempts in progress, by the id of the message's row. */
  private readonly watched = new Map<string, WatchedAttempt>();
  private readonly messageMarks: MessageMarks;

  constructor(
    private readonly work: InboxWork,
    private readonly store: ParkedStore,
    /** Called when a message gets another attempt, with the delay until then. */
    private readonly onRetry: (inMs: number) => void,
  ) {
    this.messageMarks = new MessageMarks(work);
  }

  /**
   * Claims the message, handles it and returns the next message of its key, if that is due now.
   * @throws if the attempt was not conclusive; the message is due again then
   */
  async attempt(head: Head): Promise<Head | undefined> {
    const { work } = this;
    // The consumer may have been paused while the message waited for its slot.
    if (work.stopping.aborted || work.isPaused()) return undefined;
    return tracked(work, async () => {
      const claim = await this.store.claim(work.dataSource, head, work.crashMarks, head.suspect);
      if (!claim) return undefined;
      try {
        const outcome = await this.messageMarks.settling(claim.mark, head, async (tx) => {
          const taken = await this.store.take(tx, head.id);
          return taken && this.settle(tx, head, taken, claim.deaths);
        });
        outcome?.afterCommit();
        return outcome?.next;
      } catch (error) {
        // The message was not handled, and did not crash the process. If the database is unavailable, the claim expires soon.
        const outcome = await this.afterLostConnection(head, error).catch(() => undefined);
        if (outcome) {
          outcome.afterCommit();
          return outcome.next;
        }
        await this.store.release(work.dataSource, head.id).catch(() => undefined);
        throw error;
      } finally {
        this.watched.delete(head.id);
      }
    });
  }

  /** A message may break its connection itself, by what its handler does in the transaction. That is an ordinary setback. */
  private async afterLostConnection(head: Head, error: unknown): Promise<Outcome | undefined> {
    const { work, store } = this;
    const watched = this.watched.get(head.id);
    if (work.stopping.aborted || !watched || failureOf(error) !== 'away') return undefined;
    return inTransaction(work.dataSource, async (tx) => {
      const taken = await store.take(tx, head.id);
      return taken && this.putBack(tx, head, taken, new ConnectionEndedError(describeError(error)), watched);
    });
  }

  private async settle(tx: EntityManager, head: Head, taken: Taken, deaths: number): Promise<Outcome> {
    const { work, store } = this;
    const { record, holdsKey } = taken;
    const watched = work.setbacks.started(placeOf(head));
    this.watched.set(head.id, watched);
    const failed =
      deaths >= MAX_DEATHS
        ? { error: new DeadlyError(deaths) }
        : await failureWithin(tx, async () => handleParked(work, tx, taken));
    // A failure while the process is stopping is not conclusive: the next process will try again.
    if (failed && work.stopping.aborted) throw failed.error;
    if (failed) return this.putBack(tx, head, taken, failed.error, watched);

    if (holdsKey) await work.store.lockKey(tx, record.key);
    await store.remove(tx, head.id);
    return {
      next: holdsKey ? await store.releaseNext(tx, record.key, head.id) : undefined,
      afterCommit: () => {
        work.counts.processed++;
        work.setbacks.forget(watched.name);
      },
    };
  }

  /** Schedules the next attempt or makes the message a dead letter. The transaction holds the row, so nobody else changed it. */
  private async putBack(
    tx: EntityManager,
    head: Head,
    taken: Taken,
    error: unknown,
    watched: WatchedAttempt,
  ): Promise<Outcome> {
    const { work, store } = this;
    const { settings } = work;
    const text = describeError(error);
    const verdict = verdictOn(error, watched, work.setbacks);
    const attempts = taken.attempts + (verdict === 'attempt' ? 1 : 0);
    const setbacks = verdict === 'setback' ? taken.setbacks + 1 : 0;
    const delayMs = {
      never: () => undefined,
      setback: () => afterSetbacksMs(settings, setbacks),
      attempt: () => nextAttemptMs(settings, attempts),
    }[verdict]();
    const releasesKey = delayMs === undefined && taken.holdsKey && !settings.deadLettersHoldKeys;
    const { key } = taken.record;
    if (releasesKey) await work.store.lockKey(tx, key);
    await store.putBack(tx, head.id, { attempts, setbacks, delayMs, error: text });
    return {
      next: releasesKey ? await store.releaseNext(tx, key, head.id) : undefined,
      afterCommit: () => {
        if (verdict === 'attempt') work.counts.failedAttempts++;
        if (verdict === 'setback') work.counts.setbacks++;
        if (delayMs === undefined) {
          work.counts.deadLetters++;
          work.setbacks.forget(watched.name);
          const { stack } = error as Error;
          const { headers } = taken.record;
          const name = nameOf(taken.record, { id: headers['ce_id'], type: headers['ce_type'] });
          work.logger.error(`${name} is a dead letter after ${attempts} attempts: ${text}`, stack);
        } else {
          const wait = `Retrying in ${Math.round(delayMs)} ms`;
          // During a brownout every message has setbacks, and `setbacks` logs one line for all of them.
          if (verdict === 'setback') work.logger.debug(`${nameOf(head)} had a setback: ${text}. ${wait}`);
          else work.logger.warn(`${nameOf(head)} failed ${attempts} times: ${text}. ${wait}`);
          this.onRetry(delayMs);
        }
      },
    };
  }
}
