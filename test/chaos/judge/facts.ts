import { type AnswerCount, type SlowAnswer } from '../load/calls.js';
import { type Command, type Edit, type OrderAttempt } from '../load/customers.js';
import { type PaymentDecision, type ProductPut } from '../load/operators.js';
import { type Webhook } from '../load/provider.js';
import { type Stop } from '../system/replica.js';
import { type Gateway, type ProcessName, type ServiceName, type InjectedFault } from '../faults/schedule.js';
import { type LoggedRecord } from '../system/topic-log.js';

/** The observations of a run from outside: requests and answers, and the databases, topics and logs after everything has ended. */
export interface Facts {
  readonly gateway: Gateway;
  /** The number of Kafka brokers. */
  readonly brokers: number;
  readonly orderAttempts: readonly OrderAttempt[];
  readonly edits: readonly Edit[];
  readonly commands: readonly Command[];
  readonly decisions: readonly PaymentDecision[];
  readonly webhooks: readonly Webhook[];
  readonly answers: readonly AnswerCount[];
  /** The number of stored answers that were returned for a repeated idempotency key. */
  readonly replayed: number;
  readonly orders: readonly OrderFact[];
  readonly paymentRequests: readonly PaymentRequestFact[];
  /** The timelines of all orders and all payments, each in order. */
  readonly orderSteps: readonly StepFact[];
  readonly paymentSteps: readonly StepFact[];
  readonly stock: readonly StockFact[];
  /** All PUTs of products that were answered with 200, and all that took effect. */
  readonly puts: readonly ProductPut[];
  readonly stockChanges: readonly StockChangeFact[];
  /** The notifications of customers, read from the services' logs. */
  readonly notices: readonly NoticeFact[];
  /** All messages that either service has committed; rows are kept longer than a run takes. */
  readonly outbox: readonly OutboxFact[];
  /** In partition order. */
  readonly records: readonly LoggedRecord[];
  readonly parked: readonly ParkedFact[];
  /** All messages that an inbox has ever parked, in the order in which they were parked. */
  readonly parkings: readonly ParkingFact[];
  /** When each message was recorded by each consumer. */
  readonly recordings: readonly RecordingFact[];
  readonly takeOvers: readonly TakeOverFact[];
  /** How many times a service has prepared its statements again because a table had changed. */
  readonly preparedAgain: number;
  /** 503s that took longer than two seconds, and requests without an answer after ten seconds. */
  readonly slowRefusals: readonly SlowRefusal[];
  readonly relays: readonly RelayFact[];
  readonly marks: readonly MarkFact[];
  readonly faults: readonly InjectedFault[];
  /** The number of records that were deliberately delivered again. */
  readonly redelivered: number;
  /** How often a standby of PostgreSQL was promoted, as the database itself shows it. Undefined in a run without a standby. */
  readonly promotions?: number;
  readonly processes: readonly ProcessName[];
  /** All stops of processes by SIGTERM. The last one of each process happens while everything is idle. */
  readonly stops: readonly Stop[];
  readonly links: readonly { readonly name: string; readonly connections: number }[];
  /** Descriptions of events that no injected fault explains. */
  readonly unexpectedEvents: readonly string[];
}

export type SlowRefusal = Omit<SlowAnswer, 'url'> & { readonly process: ProcessName };

export interface OrderFact {
  readonly id: string;
  readonly customerId: string;
  readonly status: string;
  readonly total: number;
  readonly version: number;
  /** The payment as last reported to the order. */
  readonly payment: { readonly paymentRequestId: string; readonly status: string } | null;
  readonly items: readonly { readonly productId: string; readonly quantity: number; readonly unitPrice: number }[];
}

export interface PaymentRequestFact {
  readonly id: string;
  readonly orderId: string;
  readonly customerId: string;
  readonly status: string;
  readonly amount: number;
  readonly version: number;
  /** When it is due to expire, in milliseconds since 1970. */
  readonly expiresAt: number;
  /** Whether the simulated gateway was asked to charge it and has taken the money. */
  readonly taken: boolean;
}

/** A line of a timeline. A received message that changed nothing repeats status and version. */
export interface StepFact {
  readonly orderId: string;
  readonly type: string;
  /** Null in the timeline of a payment as long as the order has none. */
  readonly status: string | null;
  readonly version: number | null;
  /** In milliseconds since 1970. */
  readonly at: number;
  readonly cause: string | null;
  /** The id of the received message, or of the one that publishes the step. */
  readonly messageId: string | null;
  readonly reason: string | null;
}

/** Quantities of a product. */
export interface StockFact {
  readonly productId: string;
  readonly initial: number;
  /** What operators have added, minus what they have removed. */
  readonly put: number;
  /** The value in the row of the product. */
  readonly available: number;
  /** Returned by cancelled orders and not yet added to `available`. */
  readonly released: number;
}

/** A change of a product by an operator. */
export interface StockChangeFact {
  readonly productId: string;
  /** The version of the product that the change created. */
  readonly version: number;
  /** The new value, and its increase. */
  readonly available: number;
  readonly grew: number;
  /** The part of the increase that cancelled orders had returned. */
  readonly folded: number;
}

export interface NoticeFact {
  readonly orderId: string;
  readonly type: string;
}

/** A row of an outbox. Everything except its position is on the topic too. */
export interface OutboxFact {
  readonly id: string;
  readonly topic: string;
  readonly key: string;
  readonly type: string;
  readonly sequence: number;
  readonly position: number;
  /** Whether the relay has yet to publish it: its position is above the cursor or in a gap. */
  readonly pending: boolean;
}

/** A message or job that waits for another attempt or, as a dead letter, for an operator. */
export interface ParkedFact {
  readonly service: ServiceName;
  readonly box: 'inbox' | 'outbox' | 'jobs';
  /** The consumer group, for an inbox; otherwise empty. */
  readonly consumer: string;
  /** The id of the row. */
  readonly id: string;
  readonly key: string;
  readonly error: string;
  /** When it was written, in milliseconds since 1970. No process can have handled it before. */
  readonly writtenAt: number;
  /** When it became a dead letter, in milliseconds since 1970. */
  readonly deadAt: number | null;
}

/** A message that an inbox has parked. It may have been handled since. */
export interface ParkingFact {
  readonly service: ServiceName;
  readonly consumer: string;
  readonly key: string;
  readonly messageId: string | null;
  readonly holdsKey: boolean;
  /** True if the message itself failed; false if it was parked behind another message of its key. */
  readonly failed: boolean;
  /** A sequence number that orders when messages were handled; null while it is still parked. */
  readonly went: number | null;
}

/** A message from Kafka or a webhook that a consumer has recorded in its inbox, having handled or parked it. */
export interface RecordingFact {
  readonly consumer: string;
  readonly messageId: string;
  /** A sequence number, comparable with {@link ParkingFact.went}. */
  readonly at: number;
}

/** A change of the holder of a relay lease. Times are in milliseconds since 1970. */
export interface TakeOverFact {
  readonly service: ServiceName;
  /** When the previous holder released the lease or last renewed it. In the latter case it died later. */
  readonly since: number;
  readonly released: boolean;
  readonly at: number;
}

/** The row that elects a service's relay. */
export interface RelayFact {
  readonly service: ServiceName;
  /** The fencing token, which counts the changes of the holder. */
  readonly terms: number;
  /** Positions below the cursor that may still be filled. */
  readonly gaps: number;
}

/** The number of crash marks of a consumer on a partition, while everything is idle and after all processes have ended. */
export interface MarkFact {
  readonly when: 'at rest' | 'at the end';
  readonly consumer: string;
  readonly place: string;
  readonly marks: number;
}

/** Describes an event in findings. */
export const nameOf = ({ topic, key, type }: { topic: string; key: string; type: string }) =>
  `${type} of order ${key} on ${topic}`;
