import { type FailedAttempt } from '../postgres/failure-history.js';

/** A job that is not retried automatically any more. */
export interface DeadJob {
  readonly id: string;
  readonly queue: string;
  readonly attempts: number;
  readonly error: string;
  readonly createdAt: Date;
  readonly diedAt: Date;
}

/** A dead job with all its details. */
export interface WholeDeadJob extends DeadJob {
  readonly data: unknown;
  /** Like the history of a dead letter, with attempts whose process crashed. */
  readonly history: readonly FailedAttempt[];
}

/** Selects the jobs that match all given fields. */
export interface JobFilter {
  readonly ids?: readonly string[] | undefined;
  readonly queue?: string | undefined;
  /** The cause of its error, as `DeadJobs.causes` returns it. */
  readonly cause?: string | undefined;
  /** At this time or later. */
  readonly diedAfter?: Date | undefined;
  /** Earlier than this. */
  readonly diedBefore?: Date | undefined;
}
