import { type Decision, reject } from '@twinbox/kernel';
import {
  changed,
  idsOf,
  ignore,
  type MessageIgnored,
  type PaymentChange,
  type PaymentRequest,
  type PaymentResult,
  type PaymentStatus,
  type ResultSource,
  settle,
  unchanged,
} from './payment-request.js';

export interface AmountMismatched {
  readonly code: 'amount-mismatched';
  readonly reason: string;
}

export type ResultDecision = Decision<PaymentRequest, PaymentChange, MessageIgnored | AmountMismatched>;

/** The money that a result is about, as far as its source names it. Null: not named. */
export interface NamedMoney {
  /** Minor units. */
  readonly amount: number | null;
  readonly currency: string | null;
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
    return changed(updated, { type: 'LatePaymentReceived', data: { ...idsOf(request), reason } });
  }
  return ignore(`The payment was ${status}.`);
}

function isFor(request: PaymentRequest, { amount, currency }: NamedMoney): boolean {
  return (amount === null || amount === request.amount) && (currency === null || currency === request.currency);
}

function mismatched(request: PaymentRequest, { amount, currency }: NamedMoney) {
  const named = [amount, currency].filter((part) => part !== null).join(' ');
  const reason = `It names ${named}, but the payment is ${request.amount} ${request.currency} (in minor units).`;
  return reject<AmountMismatched>({ code: 'amount-mismatched', reason });
}

/** Whether a payment with this status has had this result. A refund implies that the charge had succeeded. */
function hasSameResult(status: PaymentStatus, result: PaymentResult): boolean {
  if (result.status === 'FAILED') return status === 'FAILED';
  return status === 'SUCCEEDED' || status === 'REFUND_PENDING' || status === 'REFUNDED';
}
