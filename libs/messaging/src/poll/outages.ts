import { Logger } from '@nestjs/common';
import { describeError } from '../errors.js';
import { type WorkClock } from '../operations/health.js';
import { pause, retryMs } from '../waiting.js';

/** The first pause is short because a failover takes moments. The longest lets publishing resume soon after a long outage. */
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 3000;

type OutageOf = 'database' | 'kafka';

/**
 * Waits out failures of PostgreSQL and of Kafka. Counts them separately, because an outage of one says nothing about the other. Both
 * are logged under the name `Relay`; see `Poll`.
 */
export class Outages {
  private readonly logger = new Logger('Relay');
  private readonly failures = { database: 0, kafka: 0 };

  constructor(
    private readonly clock: WorkClock,
    private readonly stopping: AbortSignal,
  ) {}

  /** Records a success, after which the next failure is the first one again. */
  over(of: OutageOf): void {
    this.failures[of] = 0;
  }

  /** Reports a failure, and waits before the next attempt. Returns at once when the process is stopping. */
  async backOff(from: OutageOf, what: string, error: unknown): Promise<void> {
    if (this.stopping.aborted) return;
    const attempt = ++this.failures[from];
    const waitMs = retryMs(error, attempt - 1, FIRST_PAUSE_MS, MAX_PAUSE_MS);
    this.clock.failed(error);
    this.logger.warn(`${what}: ${describeError(error)}. Retrying in ${waitMs} ms (attempt ${attempt})`);
    await pause(waitMs, this.stopping);
  }
}
