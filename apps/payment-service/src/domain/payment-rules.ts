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

/** What was heard changes nothing, and that is worth a line in the timeline: it is late, contradicts, or was said before. */
export interface PassedOver {
  readonly code: 'passed-over';
  readonly reason: string;
}

/** The result names a different amount or currency than the payment request, so it is ignored. */
export interface AmountMismatched {
  readonly code: 'amount-mismatched';
  readonly reason: string;
}

export type PaymentDecision = Decision<PaymentRequest, PaymentStep, PaymentRejection>;
export type PaymentHearing = Decision<PaymentRequest, PaymentStep, PassedOver>;
export type ResultHearing = Decision<PaymentRequest, PaymentStep, PassedOver | AmountMismatched>;

/** Who tells of a charge's result without being asked: our own call of the gateway, or the provider's webhook. */
export type ResultSource = 'gateway' | 'provider';

/** The money that a result is about, as far as its source names it. */
export interface NamedMoney {
  /** Minor units; null: not named. */
  readonly amount: number | null;
  /** ISO 4217; null: not named. */
  readonly currency: string | null;
}

/** Who decides without being an operator. */
const MACHINES: ReadonlySet<string> = new Set<ResultSource | 'system'>(['gateway', 'provider', 'system']);

/** An order was placed: a PENDING request for its total. */
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

/**
 * An operator gives the result: PENDING → SUCCEEDED or FAILED. The same result again changes nothing and is a yes; any other is
 * refused, also once the money is on its way back.
 */
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
 * The gateway or the provider tells the result of the charge. The first result counts. Money that comes for a request that is over
 * goes back: it is never kept for a dead order. A result that names other money than the request's is not the request's, whether it
 * succeeded or failed: nothing is paid or failed by it, and nothing goes back.
 */
export function hearResult(
  request: PaymentRequest,
  result: PaymentResult,
  source: ResultSource,
  at: Date,
  named: NamedMoney = { amount: null, currency: null },
): ResultHearing {
  const { status } = request;
  if (!isFor(request, named)) return mismatched(request, named);
  const heard = { ...request, decidedBy: source, updatedAt: at };
  if (status === 'PENDING') return settle(heard, result, source);
  // A call that is repeated, for nobody knew that its result had been written: nothing new.
  if (source === 'gateway' && request.decidedBy === 'gateway' && saysTheSame(status, result)) return unchanged(request);
  if (result.status === 'SUCCEEDED' && (status === 'FAILED' || status === 'CANCELLED')) {
    const reason = `The money came when the payment was ${status}.`;
    return accept<PaymentRequest, PaymentStep>(evolve, heard, {
      type: 'LatePaymentReceived',
      data: { ...idsOf(request), reason },
    });
  }
  return passOver(`The payment was ${status}.`);
}

/**
 * The order was cancelled. PENDING → CANCELLED; paid → REFUND_PENDING. A FAILED one has made order-service cancel the order: the
 * message is its echo. `again`: the order's cancellation has been heard before.
 */
export function hearOrderCancelled(
  request: PaymentRequest,
  cancellation: { readonly reason: string; readonly actor: string; readonly again: boolean },
  at: Date,
): PaymentHearing {
  const { status } = request;
  const { reason, actor, again } = cancellation;
  if (again) return passOver('The cancellation of the order had been heard before.');
  const heard = { ...request, updatedAt: at };
  if (status === 'PENDING')
    return accept<PaymentRequest, PaymentStep>(evolve, heard, {
      type: 'PaymentCancelled',
      data: { ...idsOf(request), reason, actor },
    });
  if (status === 'SUCCEEDED')
    return accept<PaymentRequest, PaymentStep>(evolve, heard, {
      type: 'RefundRequested',
      data: { ...idsOf(request), reason },
    });
  return unchanged(request);
}

/** PENDING and past its time → FAILED. Whoever came first has won: then nothing changes. */
export function expirePayment(request: PaymentRequest, at: Date): Accepted<PaymentRequest, PaymentStep> {
  if (request.status !== 'PENDING' || request.expiresAt > at) return unchanged(request);
  return settle({ ...request, decidedBy: 'system', updatedAt: at }, { status: 'FAILED', reason: 'expired' }, 'system');
}

/** The money is back with the customer: REFUND_PENDING → REFUNDED. Said again it changes nothing. */
export function bookRefund(request: PaymentRequest, actor: string, at: Date): PaymentHearing {
  const { status } = request;
  if (status === 'REFUNDED') return unchanged(request);
  if (status !== 'REFUND_PENDING') return passOver(`No refund was due: the payment was ${status}.`);
  return refunded(request, actor, at);
}

/** An operator has sent the money back by hand: REFUND_PENDING → REFUNDED. Said again it changes nothing and is a yes. */
export function confirmRefund(request: PaymentRequest, operator: string, at: Date): PaymentDecision {
  const { id: paymentRequestId, status } = request;
  if (status === 'REFUNDED') return unchanged(request);
  if (status !== 'REFUND_PENDING') return reject({ code: 'refund-not-due', paymentRequestId, actual: status });
  return refunded(request, `operator:${operator}`, at);
}

/** A user id that could be read as one of the others in `decidedBy` says that it is an operator's. */
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
  const reason = `It names ${named}, and the payment is ${request.amount} ${request.currency}, in minor units.`;
  return reject<AmountMismatched>({ code: 'amount-mismatched', reason });
}

function passOver(reason: string) {
  return reject<PassedOver>({ code: 'passed-over', reason });
}

function idsOf({ id, orderId }: PaymentRequest) {
  return { orderId, paymentRequestId: id };
}

/** Whether a payment of this status has had this result: money that went back had come first. */
function saysTheSame(status: PaymentStatus, result: PaymentResult): boolean {
  if (result.status === 'FAILED') return status === 'FAILED';
  return status === 'SUCCEEDED' || status === 'REFUND_PENDING' || status === 'REFUNDED';
}
