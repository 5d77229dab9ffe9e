import type { DataSource, EntityManager } from 'typeorm';
import { databaseTrouble } from './database-trouble.js';
import { BusyError } from './write-slots.js';

/** So many statements of the process may wait for a lock that nobody is granted. */
const MOST_WAITING = 3;
/** A lock that changes hands is granted within milliseconds, however many want it; on a busy machine it may take longer. */
const STUCK_AFTER_MS = 500;
/** By then the first wait has ended in vain. One statement is enough to find out that the lock is free again. */
const ONE_AFTER_MS = 1000;
/** So long after the last wait in vain a lock counts as stuck. */
const REMEMBER_MS = 5000;

interface Queue {
  /** Statements that wait for the lock in PostgreSQL. */
  waiting: number;
  /** Requests that stand in line behind them, without having sent their statement. */
  readonly line: (() => void)[];
  /** Since when nobody has been granted the lock although somebody wanted it. */
  since: number;
  forget: NodeJS.Timeout | undefined;
}

/**
 * Keeps requests that want a lock which somebody does not give back from using up the connections that all others need: while
 * nobody is granted a lock, a few requests wait for it and the others fail soon. Locks that change hands are never refused.
 *
 * Only for transactions of one DataSource, the one that serves requests: messages and jobs have a pool of their own, and wait.
 */
export class LockGate {
  private readonly queues = new Map<string, Queue>();

  constructor(private readonly dataSource: DataSource) {}

  /**
   * Runs the statement that takes the locks named by `keys`.
   * @throws BusyError without running it, when one of the locks is stuck and enough requests wait for it
   */
  async run<T>(tx: EntityManager, keys: readonly string[], statement: () => Promise<T>): Promise<T> {
    if (tx.dataSource !== this.dataSource) return statement();
    for (let full = this.fullOf(keys); full; full = this.fullOf(keys)) await standInLine(full);

    for (const key of keys) this.enter(key);
    try {
      const result = await statement();
      for (const key of keys) this.leave(key, 'granted');
      return result;
    } catch (error) {
      // Any other error says nothing about the locks: a database that was away is back with all of them free.
      const outcome = databaseTrouble(error) === 'try-again' ? 'in vain' : 'granted';
      for (const key of keys) this.leave(key, outcome);
      throw error;
    }
  }

  /** One of the locks for which enough statements wait. @throws BusyError when nobody is granted it */
  private fullOf(keys: readonly string[]): Queue | undefined {
    for (const key of keys) {
      const queue = this.queues.get(key);
      if (!queue) continue;
      const stuckForMs = performance.now() - queue.since;
      const isFull = queue.waiting >= (stuckForMs > ONE_AFTER_MS ? 1 : MOST_WAITING);
      if (isFull && stuckForMs > STUCK_AFTER_MS) throw new BusyError(`The lock of ${key} has been held for too long.`);
      if (isFull) return queue;
    }
    return undefined;
  }

  private enter(key: string): void {
    const queue = this.queues.get(key);
    if (queue) queue.waiting++;
    else this.queues.set(key, { waiting: 1, line: [], since: performance.now(), forget: undefined });
  }

  private leave(key: string, outcome: 'granted' | 'in vain'): void {
    const queue = this.queues.get(key);
    if (!queue) return;
    queue.waiting--;
    clearTimeout(queue.forget);
    if (outcome === 'granted') queue.since = performance.now();
    const isForgotten = () => queue.waiting === 0 && queue.line.length === 0 && this.queues.delete(key);
    // What was waited for in vain is still held, as far as anybody knows: the next request finds out.
    if (outcome === 'in vain') queue.forget = setTimeout(isForgotten, REMEMBER_MS).unref();
    else isForgotten();
    queue.line.shift()?.();
  }
}

/** Until a statement has left the queue, or it is clear that the lock is stuck. */
async function standInLine({ line, since }: Queue): Promise<void> {
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
