import { settlesWithin } from './waiting.js';

/**
 * What a scrape asks of another system. Scrapes at the same time, or soon after each other, share one answer; a system that
 * is away or silent costs a scrape a bounded time, and is never asked a second thing before it has ended the first.
 */
export class Scraped<T> {
  /** How often there was no answer, since the process started. */
  failures = 0;
  private asked: Promise<T | undefined> | undefined;
  private freshUntil = 0;
  private underWay: Promise<T> | undefined;

  /** `onFailed` is told why there is no answer. */
  constructor(
    private readonly ask: () => Promise<T>,
    private readonly times: { readonly freshMs: number; readonly boundMs: number },
    private readonly onFailed: (error: unknown) => void,
  ) {}

  /** The answer, or undefined when it cannot be had in time. Never throws. */
  async get(): Promise<T | undefined> {
    if (this.asked && performance.now() < this.freshUntil) return this.asked;
    this.freshUntil = Infinity;
    this.asked = this.answer().finally(() => {
      this.freshUntil = performance.now() + this.times.freshMs;
    });
    return this.asked;
  }

  private async answer(): Promise<T | undefined> {
    let value: T | undefined;
    try {
      this.underWay ??= this.ask().finally(() => {
        this.underWay = undefined;
      });
      const { underWay } = this;
      const answered = async () => {
        value = await underWay;
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
