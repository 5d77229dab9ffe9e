import { Logger } from '@nestjs/common';
import { reasonOf } from './database-errors.js';

/** The pause between two chunks, because the database has other things to do. */
const PAUSE_MS = 100;
const EVERY_MS = 10 * 60 * 1000;

/** Removes expired rows every few minutes, in chunks. Every replica does so, and skips rows that another one is removing. */
export class Housekeeper {
  private readonly logger = new Logger('Housekeeping');
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;

  /**
   * @param rows what is removed, such as `expired idempotency keys`
   * @param removeChunk removes a limited number of rows, and returns whether there may be more
   */
  constructor(
    private readonly rows: string,
    private readonly removeChunk: () => Promise<boolean>,
  ) {}

  start(): void {
    this.schedule(EVERY_MS);
  }

  /** Does not wait for a chunk in progress, which is one short statement and may finish on its own. */
  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  // The delay is random, so that replicas that started together do not all run at the same time.
  private schedule(maxDelayMs: number): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => void this.tidy(), maxDelayMs * (0.5 + Math.random() / 2)).unref();
  }

  private async tidy(): Promise<void> {
    try {
      this.schedule((await this.removeChunk()) ? PAUSE_MS : EVERY_MS);
    } catch (error) {
      this.logger.warn(`Cannot remove ${this.rows}, will try again later: ${reasonOf(error)}`);
      this.schedule(EVERY_MS);
    }
  }
}
