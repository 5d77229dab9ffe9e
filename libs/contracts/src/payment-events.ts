import { IsId, IsText, IsTime, MayBeAbsentOrNull } from '@twinbox/fields';
import { type EventOf } from './event-of.js';

/** payment-service requested the payment of an order. Topic `payment.events`, keyed by `orderId`, like all payment events. */
export class PaymentRequested {
  static readonly version = 1;

  @IsId() readonly orderId!: string;
  @IsId() readonly paymentRequestId!: string;
  /** When the request fails as expired if it is still unpaid, as ISO 8601 in UTC. Absent in early messages. */
  @MayBeAbsentOrNull() @IsTime() readonly expiresAt?: string;
}

/** The payment succeeded. */
export class PaymentSucceeded {
  static readonly version = 1;

  @IsId() readonly orderId!: string;
  @IsId() readonly paymentRequestId!: string;
  /** Who reported it: `operator:<user>`, `admin:<user>`, `gateway` or `provider`. Absent in early messages. */
  @MayBeAbsentOrNull() @IsText(1, 300) readonly actor?: string;
}

/** The payment failed; it was declined or it expired, for example. */
export class PaymentFailed {
  static readonly version = 1;

  @IsId() readonly orderId!: string;
  @IsId() readonly paymentRequestId!: string;
  /** Why it failed, in words. */
  @IsText(1, 500) readonly reason!: string;
  /** Who reported it: `operator:<user>`, `admin:<user>`, `gateway`, `provider`, or `system` if it expired. Absent in early messages. */
  @MayBeAbsentOrNull() @IsText(1, 300) readonly actor?: string;
}

/** The order was cancelled before it was paid, so its payment is no longer expected. */
export class PaymentCancelled {
  static readonly version = 1;

  @IsId() readonly orderId!: string;
  @IsId() readonly paymentRequestId!: string;
  /** Why the order was cancelled, in words. */
  @IsText(1, 500) readonly reason!: string;
  /** Who cancelled the order, as in `OrderCancelled`; `order-service` or `system` if that is unknown. Absent in early messages. */
  @MayBeAbsentOrNull() @IsText(1, 300) readonly actor?: string;
}

/** The money was returned to the customer because the order is cancelled. */
export class PaymentRefunded {
  static readonly version = 1;

  @IsId() readonly orderId!: string;
  @IsId() readonly paymentRequestId!: string;
  /** Why it was refunded, in words. */
  @IsText(1, 500) readonly reason!: string;
  /** Who made or confirmed the refund: `operator:<user>`, `admin:<user>`, `gateway` or `system`. Absent in early messages. */
  @MayBeAbsentOrNull() @IsText(1, 300) readonly actor?: string;
}

/** The contract of the topic that payment-service publishes. */
export const PAYMENT_EVENTS = {
  name: 'payment.events',
  aggregateType: 'payment',
  partitions: 6,
  retentionMs: 7 * 24 * 3600 * 1000,
  events: { PaymentRequested, PaymentSucceeded, PaymentFailed, PaymentCancelled, PaymentRefunded },
} as const;

/** Any event of the topic `payment.events`, in the form in which the rules of payment-service return it. */
export type PaymentEvent = EventOf<typeof PAYMENT_EVENTS>;
