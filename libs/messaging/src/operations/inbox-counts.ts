/** Counts of the messages that one consumer has had since the process started. */
export interface InboxCounts {
  processed: number;
  duplicates: number;
  /** Ignored because the consumer has no handler for their type. */
  ignored: number;
  /** Ignored because no contract names their type. */
  unknownTypes: number;
  /** Attempts in which the handler failed. */
  failedAttempts: number;
  /** Failures that were the environment's fault and did not count as attempts. */
  setbacks: number;
  parked: number;
  deadLetters: number;
  /** Messages that Kafka deleted before this consumer read them. */
  missed: number;
}

/** Returns counts that are all zero. */
export function noCounts(): InboxCounts {
  return {
    processed: 0,
    duplicates: 0,
    ignored: 0,
    unknownTypes: 0,
    failedAttempts: 0,
    setbacks: 0,
    parked: 0,
    deadLetters: 0,
    missed: 0,
  };
}
