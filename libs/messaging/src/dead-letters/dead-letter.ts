import { type FailedAttempt } from '../postgres/failure-history.js';

export type LetterBox = 'outbox' | 'inbox';

/** A message that Kafka rejected because of the message itself. */
export interface OutboxLetter {
  readonly box: 'outbox';
  /** The id of the letter: the message's position in the log. */
  readonly id: string;
  /** `ce_id`. */
  readonly messageId: string;
  readonly type: string;
  /** The aggregate's id. */
  readonly key: string;
  readonly aggregateType: string;
  /** The topic of its aggregate type; null if this service does not publish such messages any more. */
  readonly topic: string | null;
  /** The version of the aggregate that raised the event. */
  readonly sequence: string;
  readonly error: string;
  readonly diedAt: Date;
}

/** A message that a consumer could not read or handle. Fields that could not be read are null. */
export interface InboxLetter {
  readonly box: 'inbox';
  /** The id of the letter: a number assigned by the inbox. */
  readonly id: string;
  /** `ce_id`. */
  readonly messageId: string | null;
  /** `ce_source`. */
  readonly source: string | null;
  readonly type: string | null;
  /** As text, with U+FFFD for invalid UTF-8. At most the first 1,020 bytes, enough for every readable key. */
  readonly key: string | null;
  /** The consumer group. */
  readonly consumer: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  /** Failed attempts that counted; 0 if the message could not be read. */
  readonly attempts: number;
  readonly error: string;
  readonly diedAt: Date;
}

export type DeadLetter = OutboxLetter | InboxLetter;

/** A dead letter with all its details. */
export type WholeLetter = WholeOutboxLetter | WholeInboxLetter;

export interface WholeOutboxLetter extends OutboxLetter {
  readonly dataschema: string;
  readonly payload: string;
  readonly createdAt: Date;
  /** The rejection by Kafka. */
  readonly history: readonly FailedAttempt[];
  /** The number of messages of its key that are parked behind it, not counting dead letters. */
  readonly waiting: number;
}

export interface WholeInboxLetter extends InboxLetter {
  readonly headers: Readonly<Record<string, string>>;
  /** The record's key and value, unchanged. */
  readonly rawKey: Buffer | null;
  readonly value: Buffer | null;
  /** The record's timestamp. */
  readonly recordedAt: Date;
  readonly parkedAt: Date;
  /**
   * The latest 20 failures, the newest last, also those before a retry and those of the environment. Failures that a process of an
   * earlier version recorded are missing.
   */
  readonly history: readonly FailedAttempt[];
  /** The number of messages of its key that are parked behind it, not counting dead letters; 0 if it holds no key. */
  readonly waiting: number;
}

/** Selects the letters that match all given fields. */
export interface LetterFilter {
  readonly box: LetterBox;
  /** Ids of letters. */
  readonly ids?: readonly string[] | undefined;
  /** Inbox only: the consumer group. */
  readonly consumer?: string | undefined;
  /** Outbox only. */
  readonly aggregateType?: string | undefined;
  /** The topic that the message came from, or goes to. */
  readonly topic?: string | undefined;
  readonly type?: string | undefined;
  /** The message's key: the aggregate's id. */
  readonly key?: string | undefined;
  /** The cause of its error, as `DeadLetters.causes` returns it. */
  readonly cause?: string | undefined;
  /** At this time or later. */
  readonly diedAfter?: Date | undefined;
  /** Earlier than this. */
  readonly diedBefore?: Date | undefined;
}
