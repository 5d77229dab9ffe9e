import { type AdminClient, type FailedAttempt, type InboxLetter, type OutboxLetter } from '@twinbox/client/admin';
import { type Pages, type TwinboxProblem } from '@twinbox/client';

export type DeadLetter = InboxLetter | OutboxLetter;

export interface ParkedMessage {
  readonly box: 'inbox' | 'outbox';
  readonly id: string;
  readonly messageId: string | null;
  readonly type: string | null;
  readonly key: string | null;
  readonly consumer: string | null;
  readonly topic: string | null;
  readonly attempts: number;
  readonly error: string | null;
  readonly since: string;
  readonly nextAttemptAt: string | null;
  readonly waitsFor: { readonly id: string; readonly dead: boolean } | null;
}
export interface WholeParkedMessage extends ParkedMessage {
  readonly headers: Readonly<Record<string, string>> | null;
  readonly payload: string | null;
  readonly history: readonly FailedAttempt[];
}
export interface MessagesOfAggregate {
  readonly raised: readonly {
    readonly position: string;
    readonly id: string;
    readonly type: string;
    readonly createdAt: string;
    readonly state: 'published' | 'unpublished' | 'parked' | 'dead';
    readonly error: string | null;
    readonly consumed: readonly { readonly consumer: string; readonly at: string }[];
  }[];
  readonly held: readonly {
    readonly id: string;
    readonly consumer: string;
    readonly messageId: string | null;
    readonly type: string | null;
    readonly attempts: number;
    readonly error: string | null;
    readonly parkedAt: string;
    readonly nextAttemptAt: string | null;
    readonly diedAt: string | null;
  }[];
  readonly jobs: readonly {
    readonly id: string;
    readonly queue: string;
    readonly attempts: number;
    readonly error: string | null;
    readonly createdAt: string;
    readonly runAt: string;
    readonly running: boolean;
    readonly diedAt: string | null;
  }[];
}
export interface InboxRecord {
  readonly consumer: string;
  readonly messageId: string;
  readonly receivedAt: string;
}
interface LetterId {
  readonly box: 'inbox' | 'outbox';
  readonly id: string;
}

interface Pending {
  listParkedMessages(
    query: object,
  ): Pages<{ readonly items: readonly ParkedMessage[]; readonly nextCursor: string | null }, TwinboxProblem>;
  getParkedMessage(input: LetterId): Promise<WholeParkedMessage>;
  getAggregateMessages(input: { readonly id: string }): Promise<MessagesOfAggregate>;
  listInboxRecords(query: { readonly messageId: string[] }): Promise<{ readonly items: readonly InboxRecord[] }>;
}

/** What the services do not serve yet fails when it is called. */
export type Administration = AdminClient & Pending;
