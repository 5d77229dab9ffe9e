/**
 * Returns why Kafka rejected a batch for its contents, `too large` or `invalid`. Every other error (an unknown topic, a missing
 * permission, an unreachable broker) is an outage, and the result is undefined. So is a rejected timestamp, because the error does
 * not say whose clock is wrong.
 */
export function refusal(error: unknown): 'too large' | 'invalid' | undefined {
  if (isOfType(error, ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'])) return 'too large';
  return isOfType(error, ['INVALID_RECORD']) ? 'invalid' : undefined;
}

/** Whether Kafka rejected a batch because the records' timestamps differ too much from its clock. */
export function isTimestampRefusal(error: unknown): boolean {
  return isOfType(error, ['INVALID_TIMESTAMP']);
}

/** Kafka's errors for one topic that cannot be written to. They say nothing about other topics. */
const TOPIC_FAILURES = [
  'UNKNOWN_TOPIC_OR_PARTITION',
  'UNKNOWN_TOPIC_ID',
  'INVALID_TOPIC_EXCEPTION',
  'TOPIC_AUTHORIZATION_FAILED',
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
  'REPLICA_NOT_AVAILABLE',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'INVALID_REQUIRED_ACKS',
  'INVALID_TIMESTAMP',
  'KAFKA_STORAGE_ERROR',
  'POLICY_VIOLATION',
  'UNSUPPORTED_FOR_MESSAGE_FORMAT',
];

/**
 * Returns what a failed send affects: `topic` if the error concerns one topic, `kafka` if a broker answered with any other error,
 * and undefined if no broker answered.
 */
export function failureScope(error: unknown): 'topic' | 'kafka' | undefined {
  if (isOfType(error, TOPIC_FAILURES)) return 'topic';
  if (error instanceof PartitionCountError || error instanceof UnacknowledgedError) return 'topic';
  const { type, cause } = (error ?? {}) as { type?: string; cause?: unknown };
  if (type !== undefined) return 'kafka';
  return cause === undefined || cause === error ? undefined : failureScope(cause);
}

/** Matches by Kafka's error names. After a retry kafkajs wraps the error in one without a name, so causes are checked too. */
export function isOfType(error: unknown, types: readonly string[]): boolean {
  const { type, cause } = (error ?? {}) as { type?: string; cause?: unknown };
  if (type !== undefined && types.includes(type)) return true;
  return cause !== undefined && cause !== error && isOfType(cause, types);
}

/** Kafka did not answer for some of the topic-partitions of a send. */
export class UnacknowledgedError extends Error {
  constructor(targets: readonly string[]) {
    super(`Kafka did not acknowledge ${targets.join(', ')}`);
  }
}

/** The number of a topic's partitions differs from its contract. */
export class PartitionCountError extends Error {
  override readonly name = 'PartitionCountError';
  /** Tells kafkajs not to retry. */
  readonly retriable = false;

  constructor(topic: string, actual: number, expected: number) {
    super(
      `topic ${topic} has ${actual} partitions, but its contract declares ${expected}. Nothing is sent to it because keys would ` +
        `move to other partitions and lose their order. See "Change the number of partitions" in docs/how-to/README.md`,
    );
  }
}

/** The relay must not send, because another process may be the leader by now. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';
  /** Tells kafkajs not to retry. */
  readonly retriable = false;

  constructor() {
    super('the lease was lost before the messages were sent');
  }
}
