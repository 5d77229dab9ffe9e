import { IsId, IsText, IsTime, MayBeAbsentOrNull } from '@twinbox/fields';

/** payment-service waits for the payment of an order. Topic `payment.events`, keyed by `orderId`, as all payment events are. */
export class PaymentRequested {
  static readonly version = 1;

  @IsId() readonly orderId!: string;
  @IsId() readonly paymentRequestId!: string;
  /** When the request fails unless it is paid before; ISO 8601 in UTC. Not all messages say it: the first ones did not. */
  @MayBeAbsentOrNull() @IsTime() readonly expiresAt?: string;
}

/** The money is there. */
export class PaymentSucceeded {
  static readonly version = 1;

  @IsId() readonly orderId!: string;
  @IsId() readonly paymentRequestId!: string;
  /** Who said so: `operator:<user>`, `gateway`, `provider`. Not all messages say it, here and below: the first ones did not. */
  @MayBeAbsentOrNull() @IsText(1, 300) readonly actor?: string;
}

/** The money will not come: declined, expired, … */
export class PaymentFailed {
  static readonly version = 1;

  @IsId() readonly orderId!: string;
  @IsId() readonly paymentRequestId!: string;
  /** Why, in words for a person. */
  @IsText(1, 500) readonly reason!: string;
  @MayBeAbsentOrNull() @IsText(1, 300) readonly actor?: string;
}

/** The order was cancelled before it was paid: nobody waits for the money any more. */
export class PaymentCancelled {
  static readonly version = 1;

  @IsId() readonly orderId!: string;
  @IsId() readonly paymentRequestId!: string;
  /** Why, in words for a person. */
  @IsText(1, 500) readonly reason!: string;
  @MayBeAbsentOrNull() @IsText(1, 300) readonly actor?: string;
}

/** The money is back with the customer, because the order is cancelled. */
export class PaymentRefunded {
  static readonly version = 1;

  @IsId() readonly orderId!: string;
  @IsId() readonly paymentRequestId!: string;
  /** Why, in words for a person. */
  @IsText(1, 500) readonly reason!: string;
  @MayBeAbsentOrNull() @IsText(1, 300) readonly actor?: string;
}

/** Any event of topic `payment.events`, as a rule of payment-service raises it. */
export type PaymentEvent =
  | { readonly type: 'PaymentRequested'; readonly data: PaymentRequested }
  | { readonly type: 'PaymentSucceeded'; readonly data: PaymentSucceeded }
  | { readonly type: 'PaymentFailed'; readonly data: PaymentFailed }
  | { readonly type: 'PaymentCancelled'; readonly data: PaymentCancelled }
  | { readonly type: 'PaymentRefunded'; readonly data: PaymentRefunded };

/** What payment-service says. */
export const PAYMENT_EVENTS = {
  name: 'payment.events',
  aggregateType: 'payment',
  partitions: 6,
  retentionMs: 7 * 24 * 3600 * 1000,
  events: { PaymentRequested, PaymentSucceeded, PaymentFailed, PaymentCancelled, PaymentRefunded },
} as const;
