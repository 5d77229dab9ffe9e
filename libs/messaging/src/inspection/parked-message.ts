import { type FailedAttempt } from '../postgres/failure-history.js';

/** A message that waits: for another attempt, or for an earlier one of its key. Dead letters are not among them. */
export interface ParkedMessage {
  readonly box: 'outbox' | 'inbox';
  /** The id within its box: a number assigned by the inbox, or the position in the outbox. */
  readonly id: string;
  readonly messageId: string | null;
  readonly type: string | null;
  /** As text, at most the first 1,020 bytes. */
  readonly key: string | null;
  /** The consumer group; null in the outbox. */
  readonly consumer: string | null;
  readonly topic: string | null;
  readonly attempts: number;
  /** Why the last attempt failed; null if there was none. */
  readonly error: string | null;
  readonly since: Date;
  /** When it is attempted again; null while it waits for another message, and in the outbox. */
  readonly nextAttemptAt: Date | null;
  /** The first message of its key, if this one waits for it. */
  readonly waitsFor: Blocker | null;
}

/** The message that others of its key wait for. */
export interface Blocker {
  readonly id: string;
  /** An operator has to retry or discard it. */
  readonly dead: boolean;
}

/** A parked message with all its details. */
export interface WholeParkedMessage extends ParkedMessage {
  /** The headers of the record; null in the outbox. */
  readonly headers: Readonly<Record<string, string>> | null;
  /** The value of the record, or the payload to publish. */
  readonly value: Buffer | null;
  readonly history: readonly FailedAttempt[];
}

/** Selects the parked messages of one box that match all given fields. */
export interface ParkedFilter {
  readonly box: 'outbox' | 'inbox';
  /** Inbox only: the consumer group. */
  readonly consumer?: string | undefined;
  readonly topic?: string | undefined;
  readonly type?: string | undefined;
  readonly key?: string | undefined;
}
