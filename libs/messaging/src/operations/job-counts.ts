/** Counts of the jobs that one queue has had in this process since it started. */
export interface JobCounts {
  done: number;
  failedAttempts: number;
  /** Failures that were the environment's fault and did not count as attempts. */
  setbacks: number;
  dead: number;
}

/** Returns counts that are all zero. */
export function noJobCounts(): JobCounts {
  return { done: 0, failedAttempts: 0, setbacks: 0, dead: 0 };
}
