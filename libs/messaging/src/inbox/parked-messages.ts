import { type EntityManager } from 'typeorm';
import { MAX_DEATHS } from './crash-marks.js';
import { seekStrays } from '../postgres/due-range.js';
import { describeError } from '../errors.js';
import { failureOf, isSetback, mayBeItsOwn } from '../postgres/failures.js';
import { WorkClock } from '../operations/health.js';
import { failureWithin, inTransaction } from '../postgres/transaction.js';
import { afterSetbacksMs, type InboxWork, nameOf, nextAttemptMs, placeOf } from './inbox-work.js';
import { type Claim, type Head, type ParkedStore, type Taken } from './parked-store.js';
import { type WatchedAttempt } from '../postgres/setbacks.js';
import { WakeUpCall } from '../waiting.js';

const HEADS_AT_ONCE = 100;
const MAX_TIMERS = 1000;
/** How often to look for messages that are due but not found as such, for example behind a dead letter deleted with plain SQL. */
const STRAYS_EVERY_MS = 25_000;
/**
 * A due time this far beyond the longest back-off can only come from a clock that was set back. Generous, because processes may
 * be configured differently.
 */
const FAR_MS = 60_000;

/** The outcome of an attempt. */
interface Outcome {
  /** The next message of the key, if it is due now. */
  readonly next?: Head | undefined;
  /** Counts and logs the outcome. To be called once the transaction has committed. */
  afterCommit(): void;
}

/**
 * Retries the parked messages of one consumer: the first message of each key once it is due, and after it the next ones in
 * order of arrival. Every process does this; a claim decides which process gets a message.
 */
export class ParkedMessages {
  private readonly call = new WakeUpCall();
  private readonly inFlight = new Set<string>();
  /** The attempts in progress, by the id of the message's row. */
  private readonly watched = new Map<string, WatchedAttempt>();
  private readonly timers = new Set<NodeJS.Timeout>();
  private running: Promise<void> | undefined;
  private straysSought = -Infinity;
  private seekingStrays: Promise<void> | undefined;
  /** More messages may be due than are being handled. */
  private more = false;

  constructor(
    private readonly work: InboxWork,
    private readonly store: ParkedStore,
  ) {}

  start(): void {
    this.running ??= this.run();
  }

  /** Resolves when nothing is in flight any more. The caller must abort the work's `stopping` first. */
  async stop(): Promise<void> {
    for (const timer of this.timers) clearTimeout(timer);
    this.call.call();
    await this.running;
    await this.seekingStrays;
  }

  /** Looks for due messages now, because something may be due. */
  wake(): void {
    this.call.call();
  }

  /** Looks for due messages in `inMs` milliseconds. */
  due(inMs: number): void {
    // Beyond this many timers, the poll finds the messages.
    if (this.work.stopping.aborted || this.timers.size >= MAX_TIMERS) return;
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      this.wake();
    }, inMs + 5);
    this.timers.add(timer);
  }

  private async run(): Promise<void> {
    const { work } = this;
    const keys = new Set<Promise<void>>();
    while (!work.stopping.aborted) {
      try {
        if (!this.seekingStrays && performance.now() - this.straysSought > STRAYS_EVERY_MS) {
          this.straysSought = performance.now();
          this.seekingStrays = this.seekStrays().finally(() => (this.seekingStrays = undefined));
        }
        // First, because marks of ours that an outage kept would make messages suspect.
        await work.marks.tidy(work.dataSource);
        const room = HEADS_AT_ONCE - this.inFlight.size;
        const heads = await this.store.dueHeads(work.dataSource, [...this.inFlight], room);
        this.more = heads.length === room;
        for (const head of heads) {
          this.inFlight.add(head.id);
          // Not awaited: a slow handler must not hold up other keys.
          const key = this.drainKey(head).finally(() => {
            this.inFlight.delete(head.id);
            keys.delete(key);
            if (this.more && this.inFlight.size <= HEADS_AT_ONCE / 2) this.wake();
          });
          keys.add(key);
        }
      } catch (error) {
        work.logger.warn(`Cannot look for parked messages: ${describeError(error)}`);
      }
      await this.call.wait();
    }
    await Promise.all(keys);
  }

  /** Never throws. */
  private async seekStrays(): Promise<void> {
    const { dataSource, settings, stopping, logger } = this.work;
    const farMs = settings.backOff.maxMs + FAR_MS;
    try {
      await seekStrays(
        (block) => this.store.wakeStrays(dataSource, block, farMs),
        () => this.wake(),
        stopping,
      );
    } catch (error) {
      logger.warn(`Cannot look for stray messages: ${describeError(error)}`);
    }
  }

  /** Handles the head of a key and the messages behind it, until one fails. Never throws. */
  private async drainKey(head: Head): Promise<void> {
    const { slots, logger, stopping } = this.work;
    for (let next: Head | undefined = head; next && !stopping.aborted;) {
      const current: Head = next;
      const attempt = async () => this.attempt(current);
      next = await (current.suspect ? slots.useAll(attempt) : slots.use(attempt, 'background')).catch(
        (error: unknown) => {
          logger.warn(`${nameOf(current)} stays parked: ${describeError(error)}`);
          return undefined;
        },
      );
    }
  }

  private async attempt(head: Head): Promise<Head | undefined> {
    const { work } = this;
    if (work.stopping.aborted) return undefined;
    const progress = new WorkClock();
    progress.begun();
    work.inFlight.add(progress);
    let claim: Claim | undefined;
    try {
      claim = await this.store.claim(work.dataSource, head, work.marks, head.suspect);
      if (!claim) return undefined;
      const { deaths } = claim;
      const outcome = await inTransaction(work.dataSource, async (tx) => {
        const taken = await this.store.take(tx, head.id);
        if (!taken) return undefined;
        const settled = await this.settle(tx, head, taken, deaths);
        await work.marks.settle(tx, head);
        return settled;
      });
      if (outcome) work.marks.forgetOwn([claim.mark]);
      else await work.marks.remove(work.dataSource, [claim.mark]);
      outcome?.afterCommit();
      return outcome?.next;
    } catch (error) {
      // The message was not handled, and did not crash the process. If the database is unavailable, the claim expires soon.
      if (claim) {
        await work.marks.remove(work.dataSource, [claim.mark]);
        const outcome = await this.afterLostConnection(head, error).catch(() => undefined);
        if (outcome) {
          outcome.afterCommit();
          return outcome.next;
        }
        await this.store.release(work.dataSource, head.id).catch(() => undefined);
      }
      throw error;
    } finally {
      work.inFlight.delete(progress);
      this.watched.delete(head.id);
    }
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
        : await failureWithin(tx, async () => this.handle(tx, taken));
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

  private async handle(tx: EntityManager, { record, holdsKey }: Taken): Promise<void> {
    const { work } = this;
    const reading = work.read(record);
    if (!reading.readable) {
      // A process of a newer version, whose contract names the type, parked the message. It must not be ignored: it is recorded in
      // the inbox, so no replay would deliver it.
      const isNewer = reading.unknownType && holdsKey && work.settings.ignoresUnknownTypes;
      throw isNewer ? new UnknownTypeError(reading.reason) : new UnreadableError(reading.reason);
    }
    // A message that was unreadable when it was parked is not in the inbox yet.
    const recorded = holdsKey ? 'new' : await work.store.record(tx, reading.message);
    if (recorded === 'held') throw new KeyHeldError('an earlier message of its key is parked');
    if (recorded === 'new' && work.handles(reading.message.type)) await work.handle(tx, reading.message);
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
    const verdict = this.verdictOn(error, watched, text);
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
          this.due(delayMs);
        }
      },
    };
  }

  /** @throws the error if the connection was lost, because that says nothing about the message */
  private verdictOn(error: unknown, watched: WatchedAttempt, text: string): 'never' | 'setback' | 'attempt' {
    const { setbacks } = this.work;
    if (error instanceof DeadlyError || error instanceof UnreadableError) return 'never';
    // An earlier message of its key is parked, or a version that knows its type is still to come. Neither is the message's fault.
    if (error instanceof KeyHeldError) return 'setback';
    if (error instanceof UnknownTypeError) {
      setbacks.record(text);
      return 'setback';
    }
    const failure = error instanceof ConnectionEndedError ? 'unavailable' : failureOf(error);
    if (failure === 'away') throw error;
    if (!isSetback(failure)) return failure;
    if (mayBeItsOwn(failure)) return setbacks.countsAsAttempt(watched, text) ? 'attempt' : 'setback';
    setbacks.record(text);
    return 'setback';
  }
}

/** The connection was lost while the message was handled. */
class ConnectionEndedError extends Error {}

class DeadlyError extends Error {
  constructor(deaths: number) {
    super(`the process died ${deaths} times while handling it`);
  }
}

/** An operator retried the message, and it still cannot be read. */
class UnreadableError extends Error {}

/** The message waits for a process whose contract names its type. */
class UnknownTypeError extends Error {}

/** The message was unreadable when it was parked, so it had no place in its key. It is readable now, but its key is held. */
class KeyHeldError extends Error {}
