import { describeError } from '../errors.js';
import { type InboxWork } from './inbox-work.js';
import { pause, repeat } from '../waiting.js';

const HOUR_MS = 3600 * 1000;
/** Short, because a process that is restarted often must get to it too. */
const FIRST_MS = 10 * 60 * 1000;
/** Pause between two chunks, so that the clean-up does not crowd out other work in the database. */
const BREATHER_MS = 200;

/**
 * Deletes inbox rows that Kafka can no longer redeliver, soon after the start and then once an hour. Blocks nobody: locked rows
 * are left for the next run.
 */
export class InboxHousekeeping {
  private running: Promise<void> | undefined;

  constructor(private readonly work: InboxWork) {}

  start(): void {
    if (this.work.settings.retentionMs > 0) this.running ??= this.run();
  }

  async stop(): Promise<void> {
    await this.running;
  }

  private run(): Promise<void> {
    const { stopping, logger } = this.work;
    return repeat({ firstMs: FIRST_MS, everyMs: HOUR_MS, stopping }, () =>
      this.forget().catch((error: unknown) => logger.warn(`Cannot prune the inbox: ${describeError(error)}`)),
    );
  }

  /** @throws if the database is unavailable; the remaining rows are deleted an hour later */
  async forget(): Promise<void> {
    const { store, crashMarks, dataSource, settings, stopping } = this.work;
    while (!stopping.aborted && (await store.forget(dataSource, settings.retentionMs)))
      await pause(BREATHER_MS, stopping);
    await crashMarks.forget(dataSource, settings.retentionMs);
  }
}
