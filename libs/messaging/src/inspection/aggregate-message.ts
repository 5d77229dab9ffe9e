import { type DiscardedMessage } from '../operations/audit.js';
import { type FailedAttempt } from '../postgres/failure-history.js';

/** A message that the aggregate has raised. */
export interface RaisedMessage {
  readonly position: string;
  readonly id: string;
  readonly aggregateType: string;
  readonly type: string;
  readonly sequence: string;
  readonly createdAt: Date;
  /** `parked`: it waits behind a dead letter of its key. The relay records its progress once a second, so `published` may come late. */
  readonly state: 'published' | 'unpublished' | 'parked' | 'dead';
  /** Why Kafka rejected it. */
  readonly error: string | null;
  readonly diedAt: Date | null;
  /** When consumers of this service recorded it. They have processed it unless it is also in `held` or `discarded`. */
  readonly consumed: readonly { readonly consumer: string; readonly at: Date }[];
}

/** A message with the aggregate's key that a consumer of this service has not processed. */
export interface HeldMessage {
  /** The id of the parked message or dead letter in the inbox. */
  readonly id: string;
  readonly consumer: string;
  readonly topic: string;
  readonly messageId: string | null;
  readonly type: string | null;
  readonly attempts: number;
  readonly error: string | null;
  readonly parkedAt: Date;
  /** Null for a dead letter, and for a message that waits behind another of its key. */
  readonly nextAttemptAt: Date | null;
  readonly diedAt: Date | null;
  readonly history: readonly FailedAttempt[];
}

/** A job about the aggregate that is not done. */
export interface JobOfAggregate {
  readonly id: string;
  readonly queue: string;
  readonly attempts: number;
  readonly error: string | null;
  readonly createdAt: Date;
  /** When it runs next; for a running job, when its lease ends. */
  readonly runAt: Date;
  readonly running: boolean;
  readonly diedAt: Date | null;
  readonly history: readonly FailedAttempt[];
}

/** What the tables of this service know of an aggregate, the newest 500 of each kind, the oldest first. */
export interface MessagesOfAggregate {
  readonly raised: readonly RaisedMessage[];
  readonly held: readonly HeldMessage[];
  /** As far as they are among the newest 5,000 entries of the audit. */
  readonly discarded: readonly DiscardedMessage[];
  readonly jobs: readonly JobOfAggregate[];
}
