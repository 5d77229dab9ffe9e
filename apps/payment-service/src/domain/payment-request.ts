import { type PaymentEvent } from '@twinbox/contracts';

export const PAYMENT_STATUSES = ['PENDING', 'SUCCEEDED', 'FAILED', 'CANCELLED', 'REFUND_PENDING', 'REFUNDED'] as const;

/**
 * ```
 * PENDING ─→ SUCCEEDED ─┐
 *   ├─→ FAILED ─────────┼─ paid, but the order is cancelled: REFUND_PENDING ─→ REFUNDED
 *   └─→ CANCELLED ──────┘
 * ```
 */
export type PaymentStatus = (typeof PAYMENT_STATUSES)[number];

/** The payment of one order. */
export interface PaymentRequest {
  readonly id: string;
  readonly orderId: string;
  readonly customerId: string;
  /** Minor units of `currency`. */
  readonly amount: number;
  /** ISO 4217. */
  readonly currency: string;
  /** The gateway that was in use when the payment was requested: it alone can take this money, and give it back. */
  readonly gateway: string;
  readonly status: PaymentStatus;
  /** Why it failed, was cancelled or is refunded. */
  readonly reason: string | null;
  /**
   * Who gave the result: an operator's user id, `gateway`, `provider`, or `system` when it expired. An operator whose id reads as one of
   * these, or begins with `operator:`, is `operator:<user id>`. Null: nobody did.
   */
  readonly decidedBy: string | null;
  /** Grows with every change. */
  readonly version: number;
  /** PENDING for longer than this, it fails. */
  readonly expiresAt: Date;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** What becomes of a charge. */
export type PaymentResult = { readonly status: 'SUCCEEDED' } | { readonly status: 'FAILED'; readonly reason: string };

interface RefundReason {
  readonly orderId: string;
  readonly paymentRequestId: string;
  readonly reason: string;
}

/** What happens to a payment. Others are told of the contract's events alone; the rest stands in its timeline. */
export type PaymentStep =
  | PaymentEvent
  /** The order of a paid request was cancelled: the money has to go back. */
  | { readonly type: 'RefundRequested'; readonly data: RefundReason }
  /** The money came for a request that was over: it has to go back. */
  | { readonly type: 'LatePaymentReceived'; readonly data: RefundReason };

export function isPublished(step: PaymentStep): step is PaymentEvent {
  return step.type !== 'RefundRequested' && step.type !== 'LatePaymentReceived';
}

export function evolve(request: PaymentRequest, { type, data }: PaymentStep): PaymentRequest {
  const next = { ...request, version: request.version + 1 };
  switch (type) {
    case 'PaymentRequested':
      return { ...next, status: 'PENDING' };
    case 'PaymentSucceeded':
      return { ...next, status: 'SUCCEEDED' };
    case 'PaymentFailed':
      return { ...next, status: 'FAILED', reason: data.reason };
    case 'PaymentCancelled':
      return { ...next, status: 'CANCELLED', reason: data.reason };
    case 'RefundRequested':
    case 'LatePaymentReceived':
      return { ...next, status: 'REFUND_PENDING', reason: data.reason };
    case 'PaymentRefunded':
      return { ...next, status: 'REFUNDED' };
  }
}
