import { type Logger } from '@nestjs/common';
import { type Unpublished } from './lease.js';

/** The role of a process's relay in the schema. `elsewhere` means that this process may not publish. */
export type RelayRole = 'disconnected' | 'leader' | 'standby' | 'elsewhere';

const OVERDUE_AFTER_MS = 30_000;
/**
 * How many polls in a row must find an overdue message. A message whose transaction was open for long is old when it is committed,
 * and the first poll that sees it finds it unpublished.
 */
const POLLS_UNTIL_OVERDUE = 3;

/** Monitors whether any process publishes messages at all, by the oldest unpublished message that the poll finds. */
export class OverdueMessages {
  private polls = 0;
  private oldest: Unpublished | undefined;

  constructor(
    private readonly overdueAfterMs: number | false = OVERDUE_AFTER_MS,
    private readonly logger: Logger,
  ) {}

  /** Takes the oldest unpublished message that a poll found. While the relay is paused, nothing is overdue. */
  found(oldest: Unpublished | undefined, isPaused = false): void {
    if (this.overdueAfterMs === false) return;
    const isOverdue = !isPaused && oldest !== undefined && oldest.seconds * 1000 > this.overdueAfterMs;
    if (!isOverdue && !isPaused && this.polls >= POLLS_UNTIL_OVERDUE) this.logger.log('Messages are no longer overdue');
    this.oldest = oldest;
    this.polls = isOverdue ? this.polls + 1 : 0;
    if (oldest && this.polls === POLLS_UNTIL_OVERDUE) this.logger.warn(describe(oldest));
  }

  /** Describes the problem; undefined while nothing is overdue. */
  problem(role: RelayRole): string | undefined {
    return this.polls >= POLLS_UNTIL_OVERDUE && this.oldest ? describe(this.oldest, role) : undefined;
  }
}

function describe({ seconds, leased }: Unpublished, role?: RelayRole): string {
  const waited = `The oldest unpublished message has waited for ${Math.round(seconds)} s`;
  if (!leased)
    return `${waited}, and no relay holds the lease. Start a relay for the schema, or a service whose relay is enabled`;
  if (role === 'leader') return waited;
  return `${waited}, although a relay holds the lease. Check the process that is the leader`;
}
