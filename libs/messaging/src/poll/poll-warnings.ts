import { Logger } from '@nestjs/common';

/** A larger clock difference is reported. */
const CLOCK_DIFFERENCE_MS = 5000;

/**
 * Problems that a poll finds and that do not prevent publishing, by kind. Each is logged when it starts and when it ends, under the
 * name `Relay`; see `Poll`.
 */
export class PollWarnings {
  private readonly logger = new Logger('Relay');
  private readonly warnings = new Map<'sequence' | 'clock', string>();

  constructor(private readonly schema: string) {}

  /** The texts of the current warnings. */
  get texts(): readonly string[] {
    return [...this.warnings.values()];
  }

  /** Takes what a poll found. */
  update(canReadSequence: boolean, clockAheadMs: number): void {
    this.set(
      'sequence',
      !canReadSequence &&
        `The role may not read the sequence of ${this.schema}.outbox, so a sequence that is set back would go unnoticed. ` +
          `Grant select on all sequences of the schema, as the migrations do`,
    );
    this.set(
      'clock',
      Math.abs(clockAheadMs) > CLOCK_DIFFERENCE_MS &&
        `PostgreSQL's clock is ${Math.round(Math.abs(clockAheadMs) / 1000)} s ${clockAheadMs > 0 ? 'ahead of' : 'behind'} this host's. ` +
          `Message times, retries and retention depend on it`,
    );
  }

  private set(kind: 'sequence' | 'clock', problem: string | false): void {
    if (problem && !this.warnings.has(kind)) this.logger.warn(problem);
    if (problem) this.warnings.set(kind, problem);
    else if (this.warnings.delete(kind))
      this.logger.log(kind === 'clock' ? 'The clocks agree again' : 'The sequence is readable now');
  }
}
