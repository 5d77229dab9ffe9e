import { type PaymentDecision, type Placing } from './load.js';
import { type Injected } from './faults.js';
import { type Stop } from './replica.js';
import { type ProcessName, type ServiceName } from './schedule.js';
import { type LoggedRecord } from './topic-log.js';

/** What was seen from outside: the calls and their answers, and the databases and topics once everything had ended. */
export interface Facts {
  readonly placings: readonly Pick<Placing, 'customerId' | 'outcome' | 'orderId'>[];
  readonly decisions: readonly PaymentDecision[];
  /** Payment requests that no operator was ever going to decide. */
  readonly setAside: ReadonlySet<string>;
  readonly orders: readonly OrderFact[];
  readonly paymentRequests: readonly PaymentRequestFact[];
  /** Every message that either service has ever committed: rows are kept longer than a run takes. */
  readonly outbox: readonly OutboxFact[];
  /** In the order of the topics' partitions. */
  readonly records: readonly LoggedRecord[];
  readonly parked: readonly ParkedFact[];
  readonly relays: readonly RelayFact[];
  readonly marks: readonly MarkFact[];
  readonly faults: readonly Injected[];
  /** Records that were delivered once more on purpose. */
  readonly redelivered: number;
  readonly processes: readonly ProcessName[];
  /** Every SIGTERM of a process; the last of each with nothing else going on. */
  readonly stops: readonly Stop[];
  readonly links: readonly { readonly name: string; readonly connections: number }[];
  /** What happened although nobody did it, told in words. */
  readonly complaints: readonly string[];
}

export interface OrderFact {
  readonly id: string;
  readonly customerId: string;
  readonly status: string;
  readonly total: number;
  readonly version: number;
  /** As the order last heard of it. */
  readonly payment: { readonly paymentRequestId: string; readonly status: string } | null;
}

export interface PaymentRequestFact {
  readonly id: string;
  readonly orderId: string;
  readonly customerId: string;
  readonly status: string;
  readonly amount: number;
  readonly version: number;
}

/** A row of an outbox; all but its position is on the topic too. */
export interface OutboxFact {
  readonly id: string;
  readonly topic: string;
  readonly key: string;
  readonly type: string;
  readonly sequence: number;
  readonly position: number;
  /** What its relay would publish next: above the cursor or in a gap. */
  readonly pending: boolean;
}

/** A message or a job that waits for another attempt or, dead, for a person. */
export interface ParkedFact {
  readonly service: ServiceName;
  readonly box: 'inbox' | 'outbox' | 'jobs';
  /** The row's own. */
  readonly id: string;
  readonly key: string;
  readonly error: string;
  /** When it was written, in milliseconds since 1970: nobody can have had it in hand before. */
  readonly writtenAt: number;
  /** Since when it is a dead letter, in milliseconds since 1970. */
  readonly deadAt: number | null;
}

/** The row that elects a service's relay. */
export interface RelayFact {
  readonly service: ServiceName;
  /** Its fencing token: how often the lease went to another holder. */
  readonly terms: number;
  /** Positions below the cursor that may still be filled. */
  readonly gaps: number;
}

/** How many crash marks a consumer has on a partition: with all at rest, and once all processes have ended. */
export interface MarkFact {
  readonly when: 'at rest' | 'at the end';
  readonly consumer: string;
  readonly place: string;
  readonly marks: number;
}

/** One spelling for findings. */
export const nameOf = ({ topic, key, type }: { topic: string; key: string; type: string }) =>
  `${type} of order ${key} on ${topic}`;
