import type { DataSource, EntityManager } from 'typeorm';
import { classifyDatabaseError } from './database-errors.js';
import { BusyError } from './slots.js';

/** How many statements of the process may wait for a lock at a time. */
const MAX_WAITING = 3;
/** A contended lock is normally granted within milliseconds, however many want it; on a busy machine it may take longer. */
const STUCK_AFTER_MS = 500;
/** By then the first wait has timed out. From then on a single statement is enough to find out that the lock is free again. */
const ONE_AFTER_MS = 1000;
/** How long a lock counts as stuck after the last wait for it has timed out. */
const REMEMBER_MS = 5000;

interface Queue {
  /** The number of statements that wait for the lock in PostgreSQL. */
  waiting: number;
  /** Requests behind them that have not sent their statement yet. */
  readonly line: (() => void)[];
  /** Since when the lock has been wanted but not granted. */
  since: number;
  forget: NodeJS.Timeout | undefined;
}

/**
 * Prevents requests that wait for a stuck lock from using up the connections that all others need. While a lock is not granted, a few
 * requests wait for it and the others fail early. A lock that keeps being granted, however contended, is never refused.
 *
 * It applies only to transactions of one DataSource, the one that serves requests. Messages and jobs have their own pool and simply wait.
 */
export class LockGate {
  private readonly queues = new Map<string, Queue>();

  constructor(private readonly dataSource: DataSource) {}

  /**
   * Runs the statement that takes the locks named by `keys`.
   * @throws BusyError without running the statement, if one of the locks is stuck and enough requests already wait for it
   */
  async run<T>(tx: EntityManager, keys: readonly string[], statement: () => Promise<T>): Promise<T> {
    if (tx.dataSource !== this.dataSource) return statement();
    for (let full = this.fullQueue(keys); full; full = this.fullQueue(keys)) await waitInLine(full);

    for (const key of keys) this.enter(key);
    try {
      const result = await statement();
      for (const key of keys) this.leave(key, 'granted');
      return result;
    } catch (error) {
      // Any other error says nothing about the locks. After an outage of the database all of them are free.
      const outcome = classifyDatabaseError(error) === 'try-again' ? 'timed out' : 'granted';
      for (const key of keys) this.leave(key, outcome);
      throw error;
    }
  }

  /** Returns the queue of a lock for which enough statements wait, if any. @throws BusyError if that lock is stuck */
  private fullQueue(keys: readonly string[]): Queue | undefined {
    for (const key of keys) {
      const queue = this.queues.get(key);
      if (!queue) continue;
      const stuckForMs = performance.now() - queue.since;
      const isFull = queue.waiting >= (stuckForMs > ONE_AFTER_MS ? 1 : MAX_WAITING);
      if (isFull && stuckForMs > STUCK_AFTER_MS) throw new BusyError(`The lock on ${key} has been held for too long.`);
      if (isFull) return queue;
    }
    return undefined;
  }

  private enter(key: string): void {
    const queue = this.queues.get(key);
    if (queue) queue.waiting++;
    else this.queues.set(key, { waiting: 1, line: [], since: performance.now(), forget: undefined });
  }

  private leave(key: string, outcome: 'granted' | 'timed out'): void {
    const queue = this.queues.get(key);
    if (!queue) return;
    queue.waiting--;
    clearTimeout(queue.forget);
    if (outcome === 'granted') queue.since = performance.now();
    const removeIfEmpty = () => queue.waiting === 0 && queue.line.length === 0 && this.queues.delete(key);
    // After a timeout the lock is assumed to be still held. The next request finds out.
    if (outcome === 'timed out') queue.forget = setTimeout(removeIfEmpty, REMEMBER_MS).unref();
    else removeIfEmpty();
    queue.line.shift()?.();
  }
}

/** Waits until a statement has left the queue or the lock counts as stuck. */
async function waitInLine({ line, since }: Queue): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(
      () => {
        line.splice(line.indexOf(next), 1);
        resolve();
      },
      since + STUCK_AFTER_MS + 1 - performance.now(),
    );
    const next = (): void => {
      clearTimeout(timer);
      resolve();
    };
    line.push(next);
  });
}
