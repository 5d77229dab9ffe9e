import { type AnswerCount, type SlowAnswer } from './calls.js';
import { type Command, type Edit, type Placing } from './customers.js';
import { type PaymentDecision, type ProductPut } from './operators.js';
import { type Webhook } from './provider.js';
import { type Stop } from './replica.js';
import { type Gateway, type ProcessName, type ServiceName, type Injected } from './schedule.js';
import { type LoggedRecord } from './topic-log.js';

/** What was seen from outside: the calls and their answers, and the databases, topics and logs once everything had ended. */
export interface Facts {
  readonly gateway: Gateway;
  readonly placings: readonly Placing[];
  readonly edits: readonly Edit[];
  readonly commands: readonly Command[];
  readonly decisions: readonly PaymentDecision[];
  readonly webhooks: readonly Webhook[];
  readonly answers: readonly AnswerCount[];
  /** Stored answers: the request had an idempotency key that was known. */
  readonly replayed: number;
  readonly orders: readonly OrderFact[];
  readonly paymentRequests: readonly PaymentRequestFact[];
  /** The timelines of all orders and of all payments, each in its order. */
  readonly orderSteps: readonly StepFact[];
  readonly paymentSteps: readonly StepFact[];
  readonly stock: readonly StockFact[];
  /** Of every PUT of a product that was answered with 200, and of every one that was made. */
  readonly puts: readonly ProductPut[];
  readonly stockChanges: readonly StockChangeFact[];
  /** What customers were told, by the services' logs. */
  readonly notices: readonly NoticeFact[];
  /** Every message that either service has ever committed: rows are kept longer than a run takes. */
  readonly outbox: readonly OutboxFact[];
  /** In the order of the topics' partitions. */
  readonly records: readonly LoggedRecord[];
  readonly parked: readonly ParkedFact[];
  /** Every message that an inbox has parked at any time, in the order in which they were. */
  readonly parkings: readonly ParkingFact[];
  /** When each message was recorded by each consumer. */
  readonly recordings: readonly RecordingFact[];
  readonly takeOvers: readonly TakeOverFact[];
  /** How often a service has prepared its statements again, because a table had changed. */
  readonly preparedAgain: number;
  /** Answers of 503 that took longer than two seconds, and requests that nobody answered in ten. */
  readonly slowRefusals: readonly SlowRefusal[];
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

export type SlowRefusal = Omit<SlowAnswer, 'url'> & { readonly process: ProcessName };

export interface OrderFact {
  readonly id: string;
  readonly customerId: string;
  readonly status: string;
  readonly total: number;
  readonly version: number;
  /** As the order last heard of it. */
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
  /** When it was to fail, in milliseconds since 1970. */
  readonly expiresAt: number;
  /** By the books of the simulated gateway: it was asked for the money, and has taken it. */
  readonly taken: boolean;
}

/** A line of a timeline. What was heard and changed nothing repeats status and version. */
export interface StepFact {
  readonly orderId: string;
  readonly type: string;
  /** Null of a payment: the order had none. */
  readonly status: string | null;
  readonly version: number | null;
  /** In milliseconds since 1970. */
  readonly at: number;
  readonly cause: string | null;
  /** The message that was heard, or the one that tells of the step. */
  readonly messageId: string | null;
  readonly reason: string | null;
}

/** Pieces of a product. */
export interface StockFact {
  readonly productId: string;
  readonly initial: number;
  /** What operators have added, less what they have taken away. */
  readonly put: number;
  /** As the product's row says. */
  readonly available: number;
  /** Given back by cancelled orders, and not yet added to it. */
  readonly released: number;
}

/** An operator's change of a product. */
export interface StockChangeFact {
  readonly productId: string;
  /** Of the product, with the change. */
  readonly version: number;
  /** What was written, and how much more that is than before. */
  readonly available: number;
  readonly grew: number;
  /** How much of that had been given back by cancelled orders. */
  readonly folded: number;
}

export interface NoticeFact {
  readonly orderId: string;
  readonly type: string;
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
  /** Whose inbox: the consumer group. Else empty. */
  readonly consumer: string;
  /** The row's own. */
  readonly id: string;
  readonly key: string;
  readonly error: string;
  /** When it was written, in milliseconds since 1970: nobody can have had it in hand before. */
  readonly writtenAt: number;
  /** Since when it is a dead letter, in milliseconds since 1970. */
  readonly deadAt: number | null;
}

/** A message that an inbox parked; it may be handled by now. */
export interface ParkingFact {
  readonly service: ServiceName;
  readonly consumer: string;
  readonly key: string;
  readonly messageId: string | null;
  readonly holdsKey: boolean;
  /** It failed itself; else it was parked behind another message of its key. */
  readonly failed: boolean;
  /** Orders the moments at which messages were handled; null: it is parked still. */
  readonly went: number | null;
}

/** A message of Kafka or a webhook that a consumer recorded in its inbox: handled at once, or parked. */
export interface RecordingFact {
  readonly consumer: string;
  readonly messageId: string;
  /** In the order of {@link ParkingFact.went}. */
  readonly at: number;
}

/** The lease of a relay went to another holder. In milliseconds since 1970. */
export interface TakeOverFact {
  readonly service: ServiceName;
  /** When the holder before released it, or renewed it for the last time: it died later. */
  readonly since: number;
  readonly released: boolean;
  readonly at: number;
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
