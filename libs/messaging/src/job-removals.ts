import { type Leased } from './job-store.js';

interface Removal {
  readonly job: Leased;
  readonly settle: { resolve(removed: boolean): void; reject(error: unknown): void };
}

/**
 * Removes the jobs that are done: those that end together, or while the statement before is under way, in one statement. A lone
 * one does not wait for others.
 */
export class JobRemovals {
  private waiting: Removal[] = [];
  private running = false;

  /** `remove` gives the ids of those that it has removed. */
  constructor(private readonly remove: (done: readonly Leased[]) => Promise<ReadonlySet<string>>) {}

  /** False when the job's lease is another's. @throws what the statement throws, for each of its jobs */
  async add(job: Leased): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ job, settle: { resolve, reject } });
      if (!this.running) void this.run();
    });
  }

  private async run(): Promise<void> {
    this.running = true;
    // Jobs that were claimed together and made no call end in the same turn.
    await new Promise(setImmediate);
    while (this.waiting.length > 0) {
      const batch = this.waiting;
      this.waiting = [];
      try {
        const removed = await this.remove(batch.map(({ job }) => job));
        for (const { job, settle } of batch) settle.resolve(removed.has(job.id));
      } catch (error) {
        for (const { settle } of batch) settle.reject(error);
      }
    }
    this.running = false;
  }
}
