import { type Logger } from '@nestjs/common';
import { type Unpublished } from './lease.js';

/** What a process's relay is to the schema; `elsewhere`: this process may not publish. */
export type RelayRole = 'disconnected' | 'leader' | 'standby' | 'elsewhere';

const OVERDUE_AFTER_MS = 30_000;
/**
 * So many polls in a row. A message whose transaction was open for long is old when it is committed, and the poll that sees it
 * first finds it unpublished.
 */
const POLLS = 3;

/** Watches whether messages are published at all, by whichever process: the poll finds the oldest that is not. */
export class OverdueMessages {
  private polls = 0;
  private oldest: Unpublished | undefined;

  constructor(
    private readonly overdueAfterMs: number | false = OVERDUE_AFTER_MS,
    private readonly logger: Logger,
  ) {}

  /** The oldest unpublished message as a poll found it. */
  found(oldest: Unpublished | undefined): void {
    if (this.overdueAfterMs === false) return;
    const isOverdue = oldest !== undefined && oldest.seconds * 1000 > this.overdueAfterMs;
    if (!isOverdue && this.polls >= POLLS) this.logger.log('No message is overdue any more');
    this.oldest = oldest;
    this.polls = isOverdue ? this.polls + 1 : 0;
    if (oldest && this.polls === POLLS) this.logger.warn(describe(oldest));
  }

  /** What is wrong, in words; undefined while nothing is overdue. */
  problem(role: RelayRole): string | undefined {
    return this.polls >= POLLS && this.oldest ? describe(this.oldest, role) : undefined;
  }
}

function describe({ seconds, leased }: Unpublished, role?: RelayRole): string {
  const waited = `The oldest unpublished message has waited for ${Math.round(seconds)} s`;
  if (!leased)
    return `${waited}, and no relay holds the lease: start a relay for the schema, or a service whose relay is not switched off`;
  if (role === 'leader') return waited;
  return `${waited}, although a relay holds the lease: look at the process that leads`;
}
