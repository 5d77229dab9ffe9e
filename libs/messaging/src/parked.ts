import { DEADLY_AFTER } from './crash-marks.js';
import { describeError } from './errors.js';
import { failureOf } from './failures.js';
import { Progress } from './health.js';
import { inTransaction } from './inbox-transaction.js';
import { type InboxWork, nameOf, nextAttemptMs } from './inbox-work.js';
import { type Claimed, type Head, type ParkedStore } from './parked-store.js';
import { WakeUpCall } from './waiting.js';

const HEADS_AT_ONCE = 100;
/** How soon the message after a letter goes on that somebody deleted by hand. */
const ORPHANS_EVERY_MS = 30_000;

/**
 * Tries the parked messages of one consumer again: of each key the first when it is due, and once it is handled the next, in
 * the order of the topic. Every process does so; which one a message falls to is decided when it is claimed.
 */
export class ParkedMessages {
  private readonly call = new WakeUpCall();
  private readonly inHand = new Set<string>();
  private readonly timers = new Set<NodeJS.Timeout>();
  private running: Promise<void> | undefined;
  private orphansSought = -Infinity;

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
  }

  /** Something may be due. */
  wake(): void {
    this.call.call();
  }

  /** Something is due in so many milliseconds. */
  due(inMs: number): void {
    if (this.work.stopping.aborted) return;
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
        if (performance.now() - this.orphansSought > ORPHANS_EVERY_MS) {
          this.orphansSought = performance.now();
          await this.store.wakeOrphans(work.dataSource);
        }
        const heads = await this.store.dueHeads(work.dataSource, HEADS_AT_ONCE);
        for (const head of heads.filter(({ id }) => !this.inHand.has(id))) {
          this.inHand.add(head.id);
          // Not awaited: a slow handler of one key holds up no other.
          const key = this.workOff(head).finally(() => {
            this.inHand.delete(head.id);
            keys.delete(key);
            if (heads.length === HEADS_AT_ONCE) this.wake();
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

  /** The head of a key, and what is behind it, until one fails. Never throws. */
  private async workOff(head: Head): Promise<void> {
    for (let next: Head | undefined = head; next && !this.work.stopping.aborted;) {
      const current: Head = next;
      next = await this.work.slots
        .use(() => this.attempt(current))
        .catch((error: unknown) => {
          this.work.logger.warn(`${nameOf(current)} waits: ${describeError(error)}`);
          return undefined;
        });
    }
  }

  private async attempt(head: Head): Promise<Head | undefined> {
    const { work } = this;
    if (work.stopping.aborted) return undefined;
    const progress = new Progress();
    progress.begun();
    work.inHand.add(progress);
    const mark = await work.marks.ofMessage(work.dataSource, head).catch((error: unknown) => {
      work.inHand.delete(progress);
      throw error;
    });
    let claimed: Claimed | undefined;
    const settled = [mark.id];
    try {
      const next = await inTransaction(work.dataSource, async (tx) => {
        claimed = await this.store.claim(tx, head.id);
        if (!claimed) return undefined;
        // It is ours alone now: what else has it in hand is dead.
        settled.push(...mark.foreign);
        if (mark.deaths >= DEADLY_AFTER) throw new DeadlyError(mark.deaths);
        const { record, holdsKey } = claimed;
        const reading = work.read(record);
        if (!reading.readable) throw new UnreadableError(reading.reason);
        // What could not be read when it was parked is not in the inbox yet.
        const recorded = holdsKey ? 'new' : await work.store.record(tx, reading.message);
        if (recorded === 'held') throw new KeyHeldError('an earlier message of its key is parked');
        if (recorded === 'new' && work.handles(reading.message.type)) await work.handle(tx, reading.message);
        if (holdsKey) await work.store.lockKey(tx, record.key);
        await this.store.remove(tx, head.id);
        return { head: holdsKey ? await this.store.releaseNext(tx, record.key) : undefined };
      });
      if (next) work.counts.processed++;
      return next?.head;
    } catch (error) {
      if (!claimed || work.stopping.aborted) throw error;
      return await this.putBack(head, claimed, error);
    } finally {
      work.inHand.delete(progress);
      await work.marks.remove(work.dataSource, settled).catch(() => undefined);
    }
  }

  private async putBack(head: Head, claimed: Claimed, error: unknown): Promise<Head | undefined> {
    const { work } = this;
    const failure = error instanceof KeyHeldError ? 'contended' : failureOf(error);
    if (failure === 'away') throw error;
    const never = failure === 'never' || error instanceof DeadlyError || error instanceof UnreadableError;
    const attempts = claimed.attempts + (failure === 'attempt' && !never ? 1 : 0);
    // Others were in the way: that says nothing of the message, and does not wear it out.
    const delayMs = never
      ? undefined
      : failure === 'contended'
        ? work.settings.backOff.firstMs
        : nextAttemptMs(work.settings, attempts);
    const text = describeError(error);
    const dead = delayMs === undefined;
    const goesOn = dead && claimed.holdsKey && !work.settings.deadLettersHoldKeys;
    const { key } = claimed.record;
    const next = await inTransaction(work.dataSource, async (tx) => {
      if (goesOn) await work.store.lockKey(tx, key);
      const putBack = await this.store.putBack(tx, head.id, claimed, { attempts, delayMs, error: text });
      return putBack && goesOn ? this.store.releaseNext(tx, key) : undefined;
    });
    if (failure === 'attempt' && !never) work.counts.failedAttempts++;
    if (dead) {
      work.counts.deadLetters++;
      work.logger.error(`${nameOf(head)} is a dead letter after ${attempts} attempts: ${text}`, (error as Error).stack);
    } else {
      work.logger.warn(`${nameOf(head)} failed ${attempts} times: ${text}. Trying again in ${Math.round(delayMs)} ms`);
      this.due(delayMs);
    }
    return next;
  }
}

class DeadlyError extends Error {
  constructor(deaths: number) {
    super(`the process died ${deaths} times while handling it`);
  }
}

/** It was sent on its way again, and still cannot be read. */
class UnreadableError extends Error {}

/** It had no place in its key when it was parked, and can be read now. */
class KeyHeldError extends Error {}
