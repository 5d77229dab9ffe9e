import { type OrderPlaced, type PaymentEvent } from '@twinbox/contracts';
import { accept, type Accepted, type Decision, reject, type VersionConflict } from '@twinbox/kernel';

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
  /** The user id of an operator or admin (prefixed with `operator:` or `admin:` if ambiguous), `gateway`, `provider`, `system` if it expired, or null for nobody. */
  readonly decidedBy: string | null;
  readonly version: number;
  /** If still PENDING at this time, the payment fails. */
  readonly expiresAt: Date;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export type PaymentResult = { readonly status: 'SUCCEEDED' } | { readonly status: 'FAILED'; readonly reason: string };

/** Who reports the result of a charge: our own call to the gateway, or the provider's webhook. */
export type ResultSource = 'gateway' | 'provider';

interface RefundReason {
  readonly orderId: string;
  readonly paymentRequestId: string;
  readonly reason: string;
}

/** A change of a payment. Only the contract's events are published; the others appear only in the timeline. */
export type PaymentChange =
  | PaymentEvent
  /** The order of a paid request was cancelled: a refund is due. */
  | { readonly type: 'RefundRequested'; readonly data: RefundReason }
  /** The money arrived after the payment had failed or was cancelled: a refund is due. */
  | { readonly type: 'LatePaymentReceived'; readonly data: RefundReason };

export function isPublished(change: PaymentChange): change is PaymentEvent {
  return change.type !== 'RefundRequested' && change.type !== 'LatePaymentReceived';
}

export function evolve(request: PaymentRequest, { type, data }: PaymentChange): PaymentRequest {
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

export type PaymentRejection =
  | { readonly code: 'payment-request-not-found'; readonly paymentRequestId: string }
  | VersionConflict
  | { readonly code: 'payment-already-decided'; readonly paymentRequestId: string; readonly actual: PaymentStatus }
  | { readonly code: 'refund-under-way'; readonly paymentRequestId: string; readonly gateway: string }
  | { readonly code: 'refund-not-due'; readonly paymentRequestId: string; readonly actual: PaymentStatus };

/** The message changes nothing because it is late, contradictory or repeated. The timeline records it. */
export interface MessageIgnored {
  readonly code: 'message-ignored';
  readonly reason: string;
}

export type AcceptedPayment = Accepted<PaymentRequest, PaymentChange>;
export type PaymentDecision = Decision<PaymentRequest, PaymentChange, PaymentRejection>;
export type IgnorableDecision = Decision<PaymentRequest, PaymentChange, MessageIgnored>;

/** The values of `decidedBy` that are not operators. */
const MACHINES: ReadonlySet<string> = new Set<ResultSource | 'system'>(['gateway', 'provider', 'system']);
const ROLE_PREFIX = /^(?:operator|admin):/;

export function requestPayment(
  placed: OrderPlaced,
  paymentRequestId: string,
  at: Date,
  { ttlMs, gateway }: { readonly ttlMs: number; readonly gateway: string },
): AcceptedPayment {
  const { orderId, customerId, total, currency } = placed;
  const expiresAt = new Date(at.getTime() + ttlMs);
  const request: PaymentRequest = {
    id: paymentRequestId,
    orderId,
    customerId,
    amount: total,
    currency,
    gateway,
    status: 'PENDING',
    reason: null,
    decidedBy: null,
    version: 0,
    expiresAt,
    createdAt: at,
    updatedAt: at,
  };
  const data = { orderId, paymentRequestId, expiresAt: expiresAt.toISOString() };
  return changed(request, { type: 'PaymentRequested', data });
}

/** Applies the result that an operator or admin reports: PENDING → SUCCEEDED or FAILED. Repeating it changes nothing; a different result is always rejected. */
export function decidePayment(
  request: PaymentRequest,
  result: PaymentResult,
  actor: string,
  at: Date,
): PaymentDecision {
  const { id: paymentRequestId, status } = request;
  if (status === result.status) return unchanged(request);
  if (status !== 'PENDING') return reject({ code: 'payment-already-decided', paymentRequestId, actual: status });
  return settle({ ...request, decidedBy: deciderOf(actor), updatedAt: at }, result, actor);
}

/** Fails a PENDING request that has expired. Changes nothing if the request was decided first. */
export function expirePayment(request: PaymentRequest, at: Date): AcceptedPayment {
  if (request.status !== 'PENDING' || request.expiresAt > at) return unchanged(request);
  return settle({ ...request, decidedBy: 'system', updatedAt: at }, { status: 'FAILED', reason: 'expired' }, 'system');
}

/** Returns the user id of the actor, with its prefix if the id alone could be mistaken for another value of `decidedBy`. */
function deciderOf(actor: string): string {
  const userId = actor.replace(ROLE_PREFIX, '');
  return MACHINES.has(userId) || ROLE_PREFIX.test(userId) ? actor : userId;
}

/** Gives a PENDING request its result. `actor` is the one who reports it. */
export function settle(request: PaymentRequest, result: PaymentResult, actor: string): AcceptedPayment {
  return result.status === 'SUCCEEDED'
    ? changed(request, { type: 'PaymentSucceeded', data: { ...idsOf(request), actor } })
    : changed(request, { type: 'PaymentFailed', data: { ...idsOf(request), reason: result.reason, actor } });
}

export function changed(request: PaymentRequest, change: PaymentChange): AcceptedPayment {
  return accept(evolve, request, change);
}

export function unchanged(request: PaymentRequest): AcceptedPayment {
  return accept<PaymentRequest, PaymentChange>(evolve, request);
}

export function ignore(reason: string) {
  return reject<MessageIgnored>({ code: 'message-ignored', reason });
}

export function idsOf({ id, orderId }: PaymentRequest) {
  return { orderId, paymentRequestId: id };
}
