import { type EntityManager } from 'typeorm';
import { MAX_DEATHS } from './crash-marks.js';
import { seekStrays } from './due-range.js';
import { describeError } from './errors.js';
import { failureOf, isSetback, mayBeItsOwn } from './failures.js';
import { Progress } from './health.js';
import { failureWithin, inTransaction } from './inbox-transaction.js';
import { afterSetbacksMs, type InboxWork, nameOf, nextAttemptMs, placeOf } from './inbox-work.js';
import { type Claim, type Head, type ParkedStore, type Taken } from './parked-store.js';
import { type WatchedAttempt } from './setbacks.js';
import { WakeUpCall } from './waiting.js';

const HEADS_AT_ONCE = 100;
const MAX_TIMERS = 1000;
/** How soon messages go on that no look for due ones finds: after a letter that somebody deleted by hand, for example. */
const STRAYS_EVERY_MS = 25_000;
/** Beyond the longest back-off, a time can only come from a clock that was set back. Generous, because processes may differ. */
const FAR_MS = 60_000;

/** What became of an attempt. */
interface Outcome {
  /** The message of the key whose turn it is. */
  readonly next?: Head | undefined;
  /** Once it is committed. */
  afterCommit(): void;
}

/**
 * Tries the parked messages of one consumer again: of each key the first when it is due, and once it is handled the next, in
 * the order in which they arrived. Every process does so; which one a message falls to is decided when it is claimed.
 */
export class ParkedMessages {
  private readonly call = new WakeUpCall();
  private readonly inFlight = new Set<string>();
  /** The attempts that a handler has begun, by the message's row. */
  private readonly watched = new Map<string, WatchedAttempt>();
  private readonly timers = new Set<NodeJS.Timeout>();
  private running: Promise<void> | undefined;
  private straysSought = -Infinity;
  private seekingStrays: Promise<void> | undefined;
  /** More may be due than are being processed. */
  private more = false;

  constructor(
    private readonly work: InboxWork,
    private readonly store: ParkedStore,
  ) {}

  start(): void {
    this.running ??= this.run();
  }

  /** Resolves when what is in hand is done. The work's `stopping` has to be aborted before. */
  async stop(): Promise<void> {
    for (const timer of this.timers) clearTimeout(timer);
    this.call.call();
    await this.running;
    await this.seekingStrays;
  }

  /** Something may be due. */
  wake(): void {
    this.call.call();
  }

  /** Something is due in so many milliseconds. */
  due(inMs: number): void {
    // Beyond that many the poll finds them.
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
        // Before others are found suspect by what an outage has kept.
        await work.marks.tidy(work.dataSource);
        const room = HEADS_AT_ONCE - this.inFlight.size;
        const heads = await this.store.dueHeads(work.dataSource, [...this.inFlight], room);
        this.more = heads.length === room;
        for (const head of heads) {
          this.inFlight.add(head.id);
          // Not awaited: a slow handler of one key holds up no other.
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

  /** The head of a key, and what is behind it, until one fails. Never throws. */
  private async drainKey(head: Head): Promise<void> {
    const { slots, logger, stopping } = this.work;
    for (let next: Head | undefined = head; next && !stopping.aborted;) {
      const current: Head = next;
      const attempt = async () => this.attempt(current);
      next = await (current.suspect ? slots.useAll(attempt) : slots.use(attempt, 'background')).catch(
        (error: unknown) => {
          logger.warn(`${nameOf(current)} waits: ${describeError(error)}`);
          return undefined;
        },
      );
    }
  }

  private async attempt(head: Head): Promise<Head | undefined> {
    const { work } = this;
    if (work.stopping.aborted) return undefined;
    const progress = new Progress();
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
      // It was not handled, and nothing killed us. Where the database is away, the claim is void soon.
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

  /** A message may end its connection itself, by what it does in its transaction: that is a setback like others. */
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
    const watched = work.setbacks.begun(placeOf(head));
    this.watched.set(head.id, watched);
    const failed =
      deaths >= MAX_DEATHS
        ? { error: new DeadlyError(deaths) }
        : await failureWithin(tx, async () => this.handle(tx, taken));
    // Whatever it failed of while the process stops, the next one will see.
    if (failed && work.stopping.aborted) throw failed.error;
    if (failed) return this.putBack(tx, head, taken, failed.error, watched);

    if (holdsKey) await work.store.lockKey(tx, record.key);
    await store.remove(tx, head.id);
    return {
      next: holdsKey ? await store.releaseNext(tx, record.key, head.id) : undefined,
      afterCommit: () => {
        work.counts.processed++;
        work.setbacks.ended(watched.name);
      },
    };
  }

  private async handle(tx: EntityManager, { record, holdsKey }: Taken): Promise<void> {
    const { work } = this;
    const reading = work.read(record);
    if (!reading.readable) {
      // Parked by a process of a version whose contract names the type: it is in the inbox, so no replay would deliver it.
      const isNewer = reading.unknownType && holdsKey && work.settings.ignoresUnknownTypes;
      throw isNewer ? new UnknownTypeError(reading.reason) : new UnreadableError(reading.reason);
    }
    // What could not be read when it was parked is not in the inbox yet.
    const recorded = holdsKey ? 'new' : await work.store.record(tx, reading.message);
    if (recorded === 'held') throw new KeyHeldError('an earlier message of its key is parked');
    if (recorded === 'new' && work.handles(reading.message.type)) await work.handle(tx, reading.message);
  }

  /** The row is ours until the transaction ends: nobody else has moved it on meanwhile. */
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
          work.setbacks.ended(watched.name);
          const { stack } = error as Error;
          const { headers } = taken.record;
          const name = nameOf(taken.record, { id: headers['ce_id'], type: headers['ce_type'] });
          work.logger.error(`${name} is a dead letter after ${attempts} attempts: ${text}`, stack);
        } else {
          const wait = `Trying again in ${Math.round(delayMs)} ms`;
          // During a brownout every message meets setbacks: one line for all of them is logged by `setbacks`.
          if (verdict === 'setback') work.logger.debug(`${nameOf(head)} met a setback: ${text}. ${wait}`);
          else work.logger.warn(`${nameOf(head)} failed ${attempts} times: ${text}. ${wait}`);
          this.due(delayMs);
        }
      },
    };
  }

  /** @throws the error, when the connection was lost: it says nothing */
  private verdictOn(error: unknown, watched: WatchedAttempt, text: string): 'never' | 'setback' | 'attempt' {
    const { setbacks } = this.work;
    if (error instanceof DeadlyError || error instanceof UnreadableError) return 'never';
    // An earlier message of its key is in its way, or a version that knows its type is still to come: that is nobody's fault.
    if (error instanceof KeyHeldError) return 'setback';
    if (error instanceof UnknownTypeError) {
      setbacks.met(text);
      return 'setback';
    }
    const failure = error instanceof ConnectionEndedError ? 'unavailable' : failureOf(error);
    if (failure === 'away') throw error;
    if (!isSetback(failure)) return failure;
    if (mayBeItsOwn(failure)) return setbacks.counts(watched, text) ? 'attempt' : 'setback';
    setbacks.met(text);
    return 'setback';
  }
}

/** The connection ended while it was handled. */
class ConnectionEndedError extends Error {}

class DeadlyError extends Error {
  constructor(deaths: number) {
    super(`the process died ${deaths} times while handling it`);
  }
}

/** It was sent on its way again, and still cannot be read. */
class UnreadableError extends Error {}

/** It waits for a process whose contract names its type. */
class UnknownTypeError extends Error {}

/** It had no place in its key when it was parked, and can be read now. */
class KeyHeldError extends Error {}
