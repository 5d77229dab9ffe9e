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

export interface PaymentRequest {
  readonly id: string;
  readonly orderId: string;
  readonly customerId: string;
  /** Minor units of `currency`. */
  readonly amount: number;
  readonly currency: string;
  /** The gateway in use when the payment was requested. It alone can take this money and refund it. */
  readonly gateway: string;
  readonly status: PaymentStatus;
  /** Why it failed, was cancelled or is refunded. */
  readonly reason: string | null;
  /** An operator's user id (prefixed with `operator:` if ambiguous), `gateway`, `provider`, `system` if it expired, or null for nobody. */
  readonly decidedBy: string | null;
  readonly version: number;
  /** If still PENDING at this time, the payment fails. */
  readonly expiresAt: Date;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export type PaymentResult = { readonly status: 'SUCCEEDED' } | { readonly status: 'FAILED'; readonly reason: string };

interface RefundReason {
  readonly orderId: string;
  readonly paymentRequestId: string;
  readonly reason: string;
}

/** A change of a payment. Only the contract's events are published; the others appear only in the timeline. */
export type PaymentStep =
  | PaymentEvent
  /** The order of a paid request was cancelled: a refund is due. */
  | { readonly type: 'RefundRequested'; readonly data: RefundReason }
  /** The money arrived after the payment had failed or was cancelled: a refund is due. */
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
