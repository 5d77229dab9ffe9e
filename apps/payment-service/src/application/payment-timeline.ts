import { type EntityManager } from 'typeorm';
import { type PaymentStatus } from '../domain/payment-request.js';

export interface Origin {
  /** `customer:<user>`, `operator:<user>`, `gateway`, `provider`, `system`, or the name of a service. */
  readonly actor: string;
  /** An HTTP route such as `POST /webhooks/payments`, the type of the received message, or the name of background work. */
  readonly cause: string;
  readonly messageId: string | null;
}

export interface TimelineStep {
  /** The event's name: `PaymentRequested`, `RefundRequested`, `MessagePassedOver`, … */
  readonly type: string;
  /** After the step; null where the order has no payment. */
  readonly status: PaymentStatus | null;
  readonly version: number | null;
  readonly at: Date;
  readonly actor: string;
  readonly cause: string | null;
  /** The received message, or else the one published about the step. */
  readonly messageId: string | null;
  readonly detail: TimelineDetail | null;
}

export interface StoredStep extends TimelineStep {
  /** Higher than that of any earlier step of the order; exact up to 2^53. */
  readonly position: number;
}

export interface TimelineDetail {
  readonly reason?: string;
  /** The ignored message's type, in a `MessagePassedOver` or an `AmountMismatched`. */
  readonly type?: string;
  readonly expiresAt?: string;
  readonly jobId?: string;
}

/** The steps of every payment, by order, oldest first. They never change. Those that change a payment are added by the request store. */
export abstract class PaymentTimeline {
  /** Adds a step that changes nothing, in the caller's transaction. */
  abstract note(tx: EntityManager, orderId: string, step: TimelineStep): Promise<void>;
  abstract hasCancellation(tx: EntityManager, orderId: string): Promise<boolean>;
  /** Returns up to `limit` steps of the order after position `after`, oldest first. */
  abstract read(orderId: string, after: number, limit: number): Promise<StoredStep[]>;
}
