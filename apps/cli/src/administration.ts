import { type AdminClient, type InboxLetter, type OutboxLetter } from '@twinbox/client/admin';
import { type Pages, type TwinboxProblem } from '@twinbox/client';

export type DeadLetter = InboxLetter | OutboxLetter;

export interface Attempt {
  readonly at: string;
  readonly error: string;
}
export interface Parked {
  readonly box: string;
  readonly id: string;
  readonly type: string | null;
  readonly key: string | null;
  readonly consumer?: string;
  readonly topic?: string;
  readonly attempts?: number;
  readonly parkedAt: string;
  readonly nextAttemptAt?: string | null;
  readonly waitsFor: string | null;
  readonly error: string | null;
}
export interface AggregateMessages {
  readonly outbox: readonly {
    readonly position: string;
    readonly id: string;
    readonly type: string;
    readonly topic?: string;
    readonly createdAt: string;
    readonly published: boolean;
  }[];
  readonly parked: readonly Parked[];
  readonly deadLetters: readonly DeadLetter[];
  readonly jobs: readonly {
    readonly id: string;
    readonly queue: string;
    readonly state: string;
    readonly attempts: number;
    readonly createdAt: string;
    readonly runAt: string;
    readonly error: string | null;
  }[];
}
export interface InboxRecord {
  readonly consumer: string;
  readonly messageId: string;
  readonly processedAt: string;
}
interface LetterId {
  readonly box: 'inbox' | 'outbox';
  readonly id: string;
}

interface Pending {
  editDeadLetter(input: LetterId & { readonly payload: string; readonly reason: string }): Promise<object>;
  listParked(
    query: object,
  ): Pages<{ readonly items: readonly Parked[]; readonly nextCursor: string | null }, TwinboxProblem>;
  getParked(input: LetterId): Promise<Parked & { readonly payload: string | null; readonly headers?: object }>;
  editDeadJob(input: { readonly id: string; readonly data: unknown; readonly reason: string }): Promise<object>;
  getAggregateMessages(input: { readonly id: string }): Promise<AggregateMessages>;
  listInboxRecords(query: { readonly messageId: string[] }): Promise<{ readonly items: readonly InboxRecord[] }>;
}

/** What the services do not serve yet fails when it is called. */
export type Administration = AdminClient & Pending;
export const attempts = (whole: object) => (whole as { history?: readonly Attempt[] }).history ?? [];
