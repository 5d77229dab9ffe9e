import { type EntityManager } from 'typeorm';
import { type PaymentStatus } from '../domain/payment-request.js';

/** Who or what brought a step about. */
export interface Origin {
  /** `customer:<user>`, `operator:<user>`, `gateway`, `provider`, `system`, or the service that said so. */
  readonly actor: string;
  /** The request as `POST /webhooks/payments`, the type of the message that was heard, or what of our own came due. */
  readonly cause: string;
  /** The message that was heard; null when there was none. */
  readonly messageId: string | null;
}

/** One line of a payment's history. */
export interface TimelineStep {
  /** The event's name: `PaymentRequested`, `RefundRequested`, `MessagePassedOver`, … */
  readonly type: string;
  /** The payment after the step; null where the order has none. */
  readonly status: PaymentStatus | null;
  readonly version: number | null;
  readonly at: Date;
  readonly actor: string;
  readonly cause: string | null;
  /** The message that was heard, or the one that tells of the step. */
  readonly messageId: string | null;
  /** What else there is to say. */
  readonly detail: TimelineDetail | null;
}

/** A step as it is read. */
export interface PlacedStep extends TimelineStep {
  /** Higher than that of any earlier step of the order; exact up to 2^53. */
  readonly position: number;
}

export interface TimelineDetail {
  readonly reason?: string;
  /** What was heard, of a `MessagePassedOver` or an `AmountMismatched`. */
  readonly type?: string;
  readonly expiresAt?: string;
  /** The dead job, of a `ChargeGivenUp` or `RefundGivenUp`. */
  readonly jobId?: string;
}

/** The steps of every payment, by order, oldest first; none is ever changed. The store of the requests adds those that change one. */
export abstract class PaymentTimeline {
  /** Adds a line that changes nothing, in the caller's transaction. */
  abstract note(tx: EntityManager, orderId: string, step: TimelineStep): Promise<void>;
  /** Whether an `OrderCancelled` of the order is among its steps. */
  abstract hasHeardCancellation(tx: EntityManager, orderId: string): Promise<boolean>;
  /** The order's steps beyond the position `after`, oldest first, `limit` of them at most. */
  abstract read(orderId: string, after: number, limit: number): Promise<PlacedStep[]>;
}
