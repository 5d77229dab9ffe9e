import { type Logger } from '@nestjs/common';
import { type DataSource } from 'typeorm';
import { seekStrays } from '../postgres/due-range.js';
import { describeError } from '../errors.js';
import { type JobQueue } from './job-queue.js';
import { type JobStore } from './job-store.js';
import { pause } from '../waiting.js';

/** How often a worker looks for jobs that are too far in the future because the database's clock was set back. */
const BRING_FORWARD_EVERY_MS = 10_000;
/** How often a worker looks for jobs that were committed long after their time, in a table with many dead rows. */
const STRAYS_EVERY_MS = 25_000;

/**
 * Searches, at a low rate, for jobs that no claim finds in time: those that were committed late, and those that are too far in the
 * future because the database's clock was set back.
 */
export class OverlookedJobs {
  private clockChecks: NodeJS.Timeout | undefined;
  private clockCheck: Promise<void> | undefined;
  private seekingStrays: Promise<void> | undefined;

  constructor(
    private readonly store: JobStore,
    private readonly dataSource: DataSource,
    private readonly queues: readonly JobQueue[],
    private readonly leaseMs: number,
    private readonly on: {
      readonly logger: Logger;
      readonly stopping: AbortSignal;
      /** Called when jobs were found, which are due now. */
      readonly wake: () => void;
    },
  ) {}

  start(): void {
    const checkClock = () => void (this.clockCheck = this.bringForward());
    checkClock();
    this.clockChecks = setInterval(checkClock, BRING_FORWARD_EVERY_MS);
    this.seekingStrays = this.seekStrays();
  }

  /** The caller must abort `stopping` first. */
  stop(): void {
    clearInterval(this.clockChecks);
  }

  /** Resolves when no search is in progress any more. */
  async idle(): Promise<void> {
    await Promise.all([this.clockCheck, this.seekingStrays]);
  }

  /** Never throws. */
  private async bringForward(): Promise<void> {
    const { logger, wake } = this.on;
    const waits = new Map(this.queues.map(({ name, backOff }) => [name, backOff.maxMs]));
    try {
      const count = await this.store.bringForward(this.dataSource, waits, this.leaseMs);
      if (count === 0) return;
      wake();
      logger.warn(`The database's clock was set back; ${count} jobs were brought forward`);
    } catch (error) {
      logger.warn(`Cannot search for jobs that are too far in the future: ${describeError(error)}`);
    }
  }

  /** Never throws. */
  private async seekStrays(): Promise<void> {
    const { logger, stopping, wake } = this.on;
    const names = this.queues.map(({ name }) => name);
    while (!stopping.aborted) {
      const slice = async (block: number) => this.store.wakeStrays(this.dataSource, block, names);
      await seekStrays(slice, wake, stopping).catch((error: unknown) =>
        logger.warn(`Cannot search for jobs that were committed late: ${describeError(error)}`),
      );
      await pause(STRAYS_EVERY_MS, stopping);
    }
  }
}
