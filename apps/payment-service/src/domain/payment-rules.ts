import { type OrderPlaced } from '@twinbox/contracts';
import { accept, type Accepted, type Decision, reject, type VersionConflict } from '@twinbox/kernel';
import {
  evolve,
  type PaymentRequest,
  type PaymentResult,
  type PaymentStatus,
  type PaymentStep,
} from './payment-request.js';

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

export interface AmountMismatched {
  readonly code: 'amount-mismatched';
  readonly reason: string;
}

export type PaymentDecision = Decision<PaymentRequest, PaymentStep, PaymentRejection>;
export type IgnorableDecision = Decision<PaymentRequest, PaymentStep, MessageIgnored>;
export type ResultDecision = Decision<PaymentRequest, PaymentStep, MessageIgnored | AmountMismatched>;

/** Who reports the result of a charge: our own call to the gateway, or the provider's webhook. */
export type ResultSource = 'gateway' | 'provider';

/** The money that a result is about, as far as its source names it. Null: not named. */
export interface NamedMoney {
  /** Minor units. */
  readonly amount: number | null;
  readonly currency: string | null;
}

/** The values of `decidedBy` that are not operators. */
const MACHINES: ReadonlySet<string> = new Set<ResultSource | 'system'>(['gateway', 'provider', 'system']);

/** Creates a PENDING request for the total of a placed order. */
export function requestPayment(
  placed: OrderPlaced,
  paymentRequestId: string,
  at: Date,
  { ttlMs, gateway }: { readonly ttlMs: number; readonly gateway: string },
): Accepted<PaymentRequest, PaymentStep> {
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
  return accept(evolve, request, { type: 'PaymentRequested', data });
}

/** Applies an operator's result: PENDING → SUCCEEDED or FAILED. Repeating it changes nothing; a different result is always rejected. */
export function decidePayment(
  request: PaymentRequest,
  result: PaymentResult,
  operator: string,
  at: Date,
): PaymentDecision {
  const { id: paymentRequestId, status } = request;
  if (status === result.status) return unchanged(request);
  if (status !== 'PENDING') return reject({ code: 'payment-already-decided', paymentRequestId, actual: status });
  return settle({ ...request, decidedBy: decidedByOperator(operator), updatedAt: at }, result, `operator:${operator}`);
}

/**
 * Applies a result that the gateway or the provider reports. The first result counts. Money that arrives for a failed or cancelled payment
 * is refunded, so that a cancelled order never keeps a payment. A result that names different money, whether a success or a failure, is not
 * about this request: it changes nothing and causes no refund.
 */
export function applyResult(
  request: PaymentRequest,
  result: PaymentResult,
  source: ResultSource,
  at: Date,
  named: NamedMoney = { amount: null, currency: null },
): ResultDecision {
  const { status } = request;
  if (!isFor(request, named)) return mismatched(request, named);
  const updated = { ...request, decidedBy: source, updatedAt: at };
  if (status === 'PENDING') return settle(updated, result, source);
  // A repeated call, made because nobody knew that its result had been recorded.
  if (source === 'gateway' && request.decidedBy === 'gateway' && hasSameResult(status, result))
    return unchanged(request);
  if (result.status === 'SUCCEEDED' && (status === 'FAILED' || status === 'CANCELLED')) {
    const reason = `The money arrived when the payment was ${status}.`;
    return accept<PaymentRequest, PaymentStep>(evolve, updated, {
      type: 'LatePaymentReceived',
      data: { ...idsOf(request), reason },
    });
  }
  return ignore(`The payment was ${status}.`);
}

/**
 * Applies the cancellation of the order: PENDING → CANCELLED; paid → REFUND_PENDING. For a FAILED payment nothing changes, because its
 * failure is what made order-service cancel the order. `repeated`: a cancellation of the order arrived before.
 */
export function applyOrderCancelled(
  request: PaymentRequest,
  cancellation: { readonly reason: string; readonly actor: string; readonly repeated: boolean },
  at: Date,
): IgnorableDecision {
  const { status } = request;
  const { reason, actor, repeated } = cancellation;
  if (repeated) return ignore('A cancellation of the order arrived before.');
  const updated = { ...request, updatedAt: at };
  if (status === 'PENDING')
    return accept<PaymentRequest, PaymentStep>(evolve, updated, {
      type: 'PaymentCancelled',
      data: { ...idsOf(request), reason, actor },
    });
  if (status === 'SUCCEEDED')
    return accept<PaymentRequest, PaymentStep>(evolve, updated, {
      type: 'RefundRequested',
      data: { ...idsOf(request), reason },
    });
  return unchanged(request);
}

/** Fails a PENDING request that has expired. Changes nothing if the request was decided first. */
export function expirePayment(request: PaymentRequest, at: Date): Accepted<PaymentRequest, PaymentStep> {
  if (request.status !== 'PENDING' || request.expiresAt > at) return unchanged(request);
  return settle({ ...request, decidedBy: 'system', updatedAt: at }, { status: 'FAILED', reason: 'expired' }, 'system');
}

/** Records that the money was refunded: REFUND_PENDING → REFUNDED. Repeating it changes nothing. */
export function bookRefund(request: PaymentRequest, actor: string, at: Date): IgnorableDecision {
  const { status } = request;
  if (status === 'REFUNDED') return unchanged(request);
  if (status !== 'REFUND_PENDING') return ignore(`No refund was due: the payment was ${status}.`);
  return refunded(request, actor, at);
}

/** Applies an operator's confirmation of a refund made by hand: REFUND_PENDING → REFUNDED. Repeating it is accepted and changes nothing. */
export function confirmRefund(request: PaymentRequest, operator: string, at: Date): PaymentDecision {
  const { id: paymentRequestId, status } = request;
  if (status === 'REFUNDED') return unchanged(request);
  if (status !== 'REFUND_PENDING') return reject({ code: 'refund-not-due', paymentRequestId, actual: status });
  return refunded(request, `operator:${operator}`, at);
}

/** Prefixes a user id that could be mistaken for another value of `decidedBy`. */
function decidedByOperator(userId: string): string {
  return MACHINES.has(userId) || userId.startsWith('operator:') ? `operator:${userId}` : userId;
}

function refunded(request: PaymentRequest, actor: string, at: Date): Accepted<PaymentRequest, PaymentStep> {
  const data = { ...idsOf(request), reason: request.reason ?? 'The order was cancelled.', actor };
  return accept<PaymentRequest, PaymentStep>(evolve, { ...request, updatedAt: at }, { type: 'PaymentRefunded', data });
}

function settle(request: PaymentRequest, result: PaymentResult, actor: string): Accepted<PaymentRequest, PaymentStep> {
  return result.status === 'SUCCEEDED'
    ? accept(evolve, request, { type: 'PaymentSucceeded', data: { ...idsOf(request), actor } })
    : accept(evolve, request, { type: 'PaymentFailed', data: { ...idsOf(request), reason: result.reason, actor } });
}

function unchanged(request: PaymentRequest): Accepted<PaymentRequest, PaymentStep> {
  return accept<PaymentRequest, PaymentStep>(evolve, request);
}

function isFor(request: PaymentRequest, { amount, currency }: NamedMoney): boolean {
  return (amount === null || amount === request.amount) && (currency === null || currency === request.currency);
}

function mismatched(request: PaymentRequest, { amount, currency }: NamedMoney) {
  const named = [amount, currency].filter((part) => part !== null).join(' ');
  const reason = `It names ${named}, but the payment is ${request.amount} ${request.currency} (in minor units).`;
  return reject<AmountMismatched>({ code: 'amount-mismatched', reason });
}

function ignore(reason: string) {
  return reject<MessageIgnored>({ code: 'message-ignored', reason });
}

function idsOf({ id, orderId }: PaymentRequest) {
  return { orderId, paymentRequestId: id };
}

/** Whether a payment with this status has had this result. A refund implies that the charge had succeeded. */
function hasSameResult(status: PaymentStatus, result: PaymentResult): boolean {
  if (result.status === 'FAILED') return status === 'FAILED';
  return status === 'SUCCEEDED' || status === 'REFUND_PENDING' || status === 'REFUNDED';
}
