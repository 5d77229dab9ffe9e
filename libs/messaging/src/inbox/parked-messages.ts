import { seekStrays } from '../postgres/due-range.js';
import { describeError } from '../errors.js';
import { type InboxWork, nameOf } from './inbox-work.js';
import { ParkedAttempts } from './parked-attempts.js';
import { type Head, type ParkedStore } from './parked-store.js';
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

/**
 * Retries the parked messages of one consumer: the first message of each key once it is due, and after it the next ones in
 * order of arrival. Every process does this; a claim decides which process gets a message.
 */
export class ParkedMessages {
  private readonly call = new WakeUpCall();
  private readonly inFlight = new Set<string>();
  private readonly attempts: ParkedAttempts;
  private readonly timers = new Set<NodeJS.Timeout>();
  private running: Promise<void> | undefined;
  private straysSought = -Infinity;
  private seekingStrays: Promise<void> | undefined;
  /** More messages may be due than are being handled. */
  private more = false;

  constructor(
    private readonly work: InboxWork,
    private readonly store: ParkedStore,
  ) {
    this.attempts = new ParkedAttempts(work, store, (inMs) => this.due(inMs));
  }

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
        if (!work.isPaused()) await this.startDue(keys);
      } catch (error) {
        work.logger.warn(`Cannot look for parked messages: ${describeError(error)}`);
      }
      await this.call.wait();
    }
    await Promise.all(keys);
  }

  /** Starts to handle the keys that are due, and adds them to `keys`. */
  private async startDue(keys: Set<Promise<void>>): Promise<void> {
    const { work } = this;
    if (!this.seekingStrays && performance.now() - this.straysSought > STRAYS_EVERY_MS) {
      this.straysSought = performance.now();
      this.seekingStrays = this.seekStrays().finally(() => (this.seekingStrays = undefined));
    }
    // First, because marks of ours that an outage kept us from removing would make messages suspect.
    await work.crashMarks.tidy(work.dataSource);
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
    const { work } = this;
    const { slots, logger, stopping } = work;
    for (let next: Head | undefined = head; next && !stopping.aborted && !work.isPaused();) {
      const current: Head = next;
      const attempt = async () => this.attempts.attempt(current);
      next = await (current.suspect ? slots.useAll(attempt) : slots.use(attempt, 'background')).catch(
        (error: unknown) => {
          logger.warn(`${nameOf(current)} stays parked: ${describeError(error)}`);
          return undefined;
        },
      );
    }
  }
}
