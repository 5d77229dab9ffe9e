import type { DataSource } from 'typeorm';
import { databaseTrouble } from './database-trouble.js';

/** Longer than a wait for a lock, which ends after a second: what comes behind such waits still gets its turn. */
const WAIT_MS = 1200;
/** PostgreSQL's lock_not_available: the request collided with others, and may be repeated. */
const LOCK_NOT_AVAILABLE = '55P03';

/** Thrown instead of waiting longer: the client gets a 503 `try-again`. Nothing was changed. */
export class BusyError extends Error {
  override readonly name = 'BusyError';
  readonly code = LOCK_NOT_AVAILABLE;
}

interface Waiting {
  readonly go: () => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Lets requests open only so many transactions at a time that the pool always has connections for reads and health checks:
 * transactions wait for locks, reads do not. The others wait for their turn, first come, first served, and for a bounded time.
 */
export class WriteSlots {
  private readonly waiting = new Set<Waiting>();
  private free: number;

  constructor(
    slots: number,
    private readonly waitMs = WAIT_MS,
  ) {
    this.free = slots;
  }

  /** All connections of the DataSource's pool but a fifth, at least one of which is left for reads. */
  static of(dataSource: DataSource): WriteSlots {
    const { master } = dataSource.driver as { master?: { options?: { max?: number } } };
    const size = master?.options?.max ?? 10;
    return new WriteSlots(Math.max(1, size - Math.max(1, Math.ceil(size / 5))));
  }

  /** @throws BusyError when no slot becomes free in time, and what the work throws */
  async use<T>(work: () => Promise<T>): Promise<T> {
    if (this.free > 0) this.free--;
    else await this.turn();
    try {
      return await work();
    } catch (error) {
      // Those that wait would each wait for the same outage, one after the other, for longer than a request may take.
      if (databaseTrouble(error) === 'database-unavailable') for (const { fail } of this.waiting) fail(error);
      throw error;
    } finally {
      const [next] = this.waiting;
      // Handed on, so that nobody who comes later gets it first.
      if (next) next.go();
      else this.free++;
    }
  }

  private async turn(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = (): void => {
      this.waiting.delete(waiting);
      clearTimeout(timer);
    };
    const waiting: Waiting = {
      go: () => {
        leave();
        resolve();
      },
      fail: (error) => {
        leave();
        reject(error);
      },
    };
    const timer = setTimeout(
      () => waiting.fail(new BusyError('Too many changes are in progress at the moment.')),
      this.waitMs,
    );
    this.waiting.add(waiting);
    return promise;
  }
}
