import { IsString, IsUUID, Length } from 'class-validator';

/** payment-service waits for the payment of an order. Topic `payment.events`, keyed by `orderId`, as all payment events are. */
export class PaymentRequested {
  static readonly version = 1;

  @IsUUID('7') readonly orderId!: string;
  @IsUUID('7') readonly paymentRequestId!: string;
}

/** The money is there. */
export class PaymentSucceeded {
  static readonly version = 1;

  @IsUUID('7') readonly orderId!: string;
  @IsUUID('7') readonly paymentRequestId!: string;
}

/** The money will not come: declined, expired, … */
export class PaymentFailed {
  static readonly version = 1;

  @IsUUID('7') readonly orderId!: string;
  @IsUUID('7') readonly paymentRequestId!: string;
  /** Why, in words for a person. */
  @IsString() @Length(1, 500) readonly reason!: string;
}

/** Any event of topic `payment.events`, as a rule of payment-service raises it. */
export type PaymentEvent =
  | { readonly type: 'PaymentRequested'; readonly data: PaymentRequested }
  | { readonly type: 'PaymentSucceeded'; readonly data: PaymentSucceeded }
  | { readonly type: 'PaymentFailed'; readonly data: PaymentFailed };

/** What payment-service says. */
export const PAYMENT_EVENTS = {
  name: 'payment.events',
  aggregateType: 'payment',
  partitions: 6,
  retentionMs: 7 * 24 * 3600 * 1000,
  events: { PaymentRequested, PaymentSucceeded, PaymentFailed },
} as const;
