import { settlesWithin } from '../waiting.js';

/**
 * Reads from another system for scrapes. Scrapes that are concurrent, or soon after one another, share one reading. A system that is
 * unavailable or silent delays a scrape by a bounded time, and is not asked again before it has ended the previous request.
 */
export class CachedReading<T> {
  /** How many readings failed since the process started. */
  failures = 0;
  private latest: Promise<T | undefined> | undefined;
  private freshUntil = 0;
  private inFlight: Promise<T> | undefined;

  /** Calls `onFailed` with the reason when a reading fails. */
  constructor(
    private readonly request: () => Promise<T>,
    private readonly times: { readonly freshMs: number; readonly boundMs: number },
    private readonly onFailed: (error: unknown) => void,
  ) {}

  /** Returns the latest value, or undefined if there is none in time. Never throws. */
  async get(): Promise<T | undefined> {
    if (this.latest && performance.now() < this.freshUntil) return this.latest;
    this.freshUntil = Infinity;
    this.latest = this.read().finally(() => {
      this.freshUntil = performance.now() + this.times.freshMs;
    });
    return this.latest;
  }

  private async read(): Promise<T | undefined> {
    let value: T | undefined;
    try {
      this.inFlight ??= this.request().finally(() => {
        this.inFlight = undefined;
      });
      const { inFlight } = this;
      const answered = async () => {
        value = await inFlight;
      };
      if (!(await settlesWithin(this.times.boundMs, answered())))
        throw new Error(`no answer within ${this.times.boundMs} ms`);
      return value;
    } catch (error) {
      this.failures++;
      this.onFailed(error);
      return undefined;
    }
  }
}
