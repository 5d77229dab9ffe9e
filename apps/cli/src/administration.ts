import { type AdminClient, type InboxLetter, type OutboxLetter } from '@twinbox/client/admin';
import { type Pages, type TwinboxProblem } from '@twinbox/client';

type P<T> = Promise<T>;
type List<T> = Pages<{ readonly items: readonly T[]; readonly nextCursor: string | null }, TwinboxProblem>;

export interface Cause {
  readonly cause: string;
  readonly count: number;
  readonly oldest: string;
  readonly newest: string;
  readonly types: readonly (string | null)[];
}
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
export interface Operation {
  readonly id: string;
  readonly kind: string;
  readonly state: string;
  readonly filter: object;
  readonly options: object;
  readonly asOf: string;
  readonly total: number;
  readonly done: number;
  readonly failed: number;
  readonly waitingFor: number;
  readonly cancelledBy: string | null;
  readonly problem: string | null;
  readonly actor: string;
  readonly reason: string | null;
  readonly createdAt: string;
  readonly finishedAt: string | null;
}
export interface Preview {
  readonly asOf: string;
  readonly total: number;
  readonly first: readonly object[];
}

export interface Incident {
  readonly id: string;
  readonly kind: string;
  readonly subject: string;
  readonly problem: string;
  readonly occurrences: number;
  readonly firstAt: string;
  readonly lastAt: string;
}
export interface AuditEntry {
  readonly id: string;
  readonly at: string;
  readonly actor: string;
  readonly action: string;
  readonly box: string;
  readonly outcome: string;
  readonly operation: string | null;
  readonly reason: string | null;
  readonly letter: Readonly<Record<string, unknown>>;
  readonly detail: Readonly<Record<string, unknown>> | null;
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
interface WithReason {
  readonly reason?: string;
}

interface Pending {
  listDeadLetterCauses(query: object): P<{ readonly items: readonly Cause[] }>;
  editDeadLetter(input: LetterId & WithReason & { readonly payload: string }): P<object>;
  listParked(query: object): List<Parked>;
  getParked(input: LetterId): P<Parked & { readonly payload: string | null; readonly headers?: object }>;
  listDeadJobCauses(query: object): P<{ readonly items: readonly Cause[] }>;
  editDeadJob(input: { readonly id: string; readonly data: unknown } & WithReason): P<object>;
  getAggregateMessages(input: { readonly id: string }): P<AggregateMessages>;
  listInboxRecords(query: { readonly messageId: string[] }): P<{ readonly items: readonly InboxRecord[] }>;
  createOperation(
    input: { readonly kind: string; readonly filter: object; readonly options: object } & WithReason,
  ): P<Operation | Preview>;
  listOperations(query: object): List<Operation>;
  getOperation(input: { readonly id: string }): P<Operation>;
  cancelOperation(input: { readonly id: string } & WithReason): P<Operation>;
  pause(input: { readonly kind: string; readonly name: string } & WithReason): P<object>;
  resume(input: { readonly kind: string; readonly name: string } & WithReason): P<object>;
  listIncidents(): P<{ readonly items: readonly Incident[] }>;
  acknowledgeIncident(input: { readonly id: string } & WithReason): P<object>;
  listAuditEntries(query: object): List<AuditEntry>;
}

export type Administration = AdminClient & Pending;
export type DeadLetter = InboxLetter | OutboxLetter;
export const attempts = (whole: object) => (whole as { history?: readonly Attempt[] }).history ?? [];
