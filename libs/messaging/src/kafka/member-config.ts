import { type ConsumerConfig } from 'kafkajs';
import { FEW_RETRIES } from './client.js';

/** Short enough that a killed instance's partitions move on soon, long enough for a busy process to send its heartbeats. */
const SESSION_MS = 10_000;
/** Heartbeats within the session timeout. */
const HEARTBEATS = 10;

/** Returns kafkajs's configuration of a member of the group. Heartbeats and the time for a rebalance follow from the session timeout. */
export function memberConfig(groupId: string, sessionMs = SESSION_MS): ConsumerConfig & { heartbeatInterval: number } {
  return {
    groupId,
    sessionTimeout: sessionMs,
    heartbeatInterval: Math.round(sessionMs / HEARTBEATS),
    rebalanceTimeout: 2 * sessionMs,
    maxWaitTimeInMs: 500,
    allowAutoTopicCreation: false,
    // A crashed consumer is replaced, not restarted.
    retry: { ...FEW_RETRIES, retries: 3, restartOnFailure: () => Promise.resolve(false) },
  };
}
