import { type OrderPlaced, type PaymentEvent } from '@twinbox/contracts';
import { accept, type Accepted, type Decision, reject } from '@twinbox/kernel';

export const PAYMENT_STATUSES = ['PENDING', 'SUCCEEDED', 'FAILED'] as const;
export type PaymentStatus = (typeof PAYMENT_STATUSES)[number];

/** The payment of one order: payment-service waits for its result. */
export interface PaymentRequest {
  readonly id: string;
  readonly orderId: string;
  readonly customerId: string;
  /** Minor units of `currency`. */
  readonly amount: number;
  /** ISO 4217. */
  readonly currency: string;
  readonly status: PaymentStatus;
  /** Why it failed. */
  readonly reason: string | null;
  /** The operator who gave the result. */
  readonly decidedBy: string | null;
  /** Grows with every change. */
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** What an operator says of a payment. */
export type PaymentResult = { readonly status: 'SUCCEEDED' } | { readonly status: 'FAILED'; readonly reason: string };

export type PaymentRejection =
  | { readonly code: 'payment-request-not-found'; readonly paymentRequestId: string }
  | { readonly code: 'payment-already-decided'; readonly paymentRequestId: string; readonly actual: PaymentStatus };

export type PaymentDecision = Decision<PaymentRequest, PaymentEvent, PaymentRejection>;

/** An order was placed: a PENDING request for its total. */
export function requestPayment(
  placed: OrderPlaced,
  paymentRequestId: string,
  at: Date,
): Accepted<PaymentRequest, PaymentEvent> {
  const { orderId, customerId, total, currency } = placed;
  const request: PaymentRequest = {
    id: paymentRequestId,
    orderId,
    customerId,
    amount: total,
    currency,
    status: 'PENDING',
    reason: null,
    decidedBy: null,
    version: 0,
    createdAt: at,
    updatedAt: at,
  };
  return accept(evolve, request, { type: 'PaymentRequested', data: { orderId, paymentRequestId } });
}

/** PENDING → SUCCEEDED or FAILED. The same result again changes nothing and is a yes; the other one is refused. */
export function decidePayment(
  request: PaymentRequest,
  result: PaymentResult,
  operator: string,
  at: Date,
): PaymentDecision {
  const { id: paymentRequestId, orderId, status } = request;
  if (status === result.status) return accept<PaymentRequest, PaymentEvent>(evolve, request);
  if (status !== 'PENDING') return reject({ code: 'payment-already-decided', paymentRequestId, actual: status });

  const decided = { ...request, decidedBy: operator, updatedAt: at };
  const data = { orderId, paymentRequestId };
  return result.status === 'SUCCEEDED'
    ? accept(evolve, decided, { type: 'PaymentSucceeded', data })
    : accept(evolve, decided, { type: 'PaymentFailed', data: { ...data, reason: result.reason } });
}

export function evolve(request: PaymentRequest, event: PaymentEvent): PaymentRequest {
  const next = { ...request, version: request.version + 1 };
  switch (event.type) {
    case 'PaymentRequested':
      return { ...next, status: 'PENDING' };
    case 'PaymentSucceeded':
      return { ...next, status: 'SUCCEEDED' };
    case 'PaymentFailed':
      return { ...next, status: 'FAILED', reason: event.data.reason };
  }
}
