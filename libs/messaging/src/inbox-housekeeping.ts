import { describeError } from './errors.js';
import { type InboxWork } from './inbox-work.js';
import { pause } from './waiting.js';

const HOUR_MS = 3600 * 1000;
/** A process that is restarted often has to come to it, too. */
const FIRST_MS = 10 * 60 * 1000;
/** Between two chunks: the database has other things to do. */
const BREATHER_MS = 200;

/** Forgets, soon after the start and then once an hour, what Kafka cannot deliver again. Blocks nobody: rows that others hold are left for the next time. */
export class InboxHousekeeping {
  private running: Promise<void> | undefined;

  constructor(private readonly work: InboxWork) {}

  start(): void {
    if (this.work.settings.retentionMs > 0) this.running ??= this.run();
  }

  async stop(): Promise<void> {
    await this.running;
  }

  /** Processes that were started together are not to do it together. */
  private async run(): Promise<void> {
    const { stopping, logger } = this.work;
    for (let maxMs = FIRST_MS; ; maxMs = HOUR_MS) {
      await pause(maxMs * (0.5 + Math.random() / 2), stopping);
      if (stopping.aborted) return;
      await this.forget().catch((error: unknown) => logger.warn(`Not tidied up: ${describeError(error)}`));
    }
  }

  /** @throws when the database is away: what is left is forgotten an hour later */
  async forget(): Promise<void> {
    const { store, marks, dataSource, settings, stopping } = this.work;
    while (!stopping.aborted && (await store.forget(dataSource, settings.retentionMs)))
      await pause(BREATHER_MS, stopping);
    await marks.forget(dataSource, settings.retentionMs);
  }
}
