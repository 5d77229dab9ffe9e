import type { DataSource } from 'typeorm';
import { classifyDatabaseError } from './database-errors.js';

/** Longer than a wait for a lock, which ends after a second, so that work behind such waits still gets its turn. */
const WAIT_MS = 1200;
/** PostgreSQL's lock_not_available: the request was blocked by others and may be repeated. */
const LOCK_NOT_AVAILABLE = '55P03';

/** Thrown instead of waiting any longer. The client gets a 503 `try-again`, and nothing was changed. */
export class BusyError extends Error {
  override readonly name = 'BusyError';
  readonly code = LOCK_NOT_AVAILABLE;
}

interface Waiter {
  readonly start: () => void;
  readonly fail: (error: unknown) => void;
}

/** Limits how much work runs at a time. Further work waits for its turn, first come, first served, for a limited time. */
export class Slots {
  private readonly waiting = new Set<Waiter>();
  private free: number;

  /** `work` names the work, in the plural, for the error of work that gets no slot. */
  constructor(
    count: number,
    private readonly work: string,
  ) {
    this.free = count;
  }

  /**
   * Returns slots for the transactions of requests: all but a fifth of the connections in the pool, so that it always has some for reads and
   * health checks, which do not wait for locks. Leaves at least one for reads, unless the pool has only one.
   */
  static forChanges(dataSource: DataSource): Slots {
    const { master } = dataSource.driver as { master?: { options?: { max?: number } } };
    const size = master?.options?.max ?? 10;
    return new Slots(Math.max(1, size - Math.max(1, Math.ceil(size / 5))), 'changes');
  }

  /** Runs the work in a slot. @throws BusyError if no slot becomes free in time, and any error of the work */
  async use<T>(work: () => Promise<T>): Promise<T> {
    if (this.free > 0) this.free--;
    else await this.waitForTurn();
    try {
      return await work();
    } catch (error) {
      // The waiting requests would run into the same outage one after the other, for longer than a request may take.
      if (classifyDatabaseError(error) === 'database-unavailable') for (const { fail } of this.waiting) fail(error);
      throw error;
    } finally {
      const [next] = this.waiting;
      // The slot is handed over, so that a later request cannot take it first.
      if (next) next.start();
      else this.free++;
    }
  }

  private async waitForTurn(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = (): void => {
      this.waiting.delete(waiter);
      clearTimeout(timer);
    };
    const waiter: Waiter = {
      start: () => {
        leave();
        resolve();
      },
      fail: (error) => {
        leave();
        reject(error);
      },
    };
    const timer = setTimeout(
      () => waiter.fail(new BusyError(`Too many ${this.work} are in progress at the moment.`)),
      WAIT_MS,
    );
    this.waiting.add(waiter);
    return promise;
  }
}

/** Runs work with the same name one after another, first come, first served. Work that gets no turn in time fails as in {@link Slots}. */
export class Turns {
  private readonly names = new Map<string, { readonly slot: Slots; users: number }>();

  /** @throws BusyError if the turn does not come in time, and any error of the work */
  async use<T>(name: string, work: () => Promise<T>): Promise<T> {
    const turn = this.names.get(name) ?? { slot: new Slots(1, 'changes'), users: 0 };
    this.names.set(name, turn);
    turn.users++;
    try {
      return await turn.slot.use(work);
    } finally {
      if (--turn.users === 0) this.names.delete(name);
    }
  }
}
