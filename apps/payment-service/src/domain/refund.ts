import { reject } from '@twinbox/kernel';
import {
  type AcceptedPayment,
  changed,
  idsOf,
  type IgnorableDecision,
  ignore,
  type PaymentDecision,
  type PaymentRequest,
  unchanged,
} from './payment-request.js';

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
    return changed(updated, { type: 'PaymentCancelled', data: { ...idsOf(request), reason, actor } });
  if (status === 'SUCCEEDED') return changed(updated, { type: 'RefundRequested', data: { ...idsOf(request), reason } });
  return unchanged(request);
}

/** Records that the money was refunded: REFUND_PENDING → REFUNDED. Repeating it changes nothing. */
export function bookRefund(request: PaymentRequest, actor: string, at: Date): IgnorableDecision {
  const { status } = request;
  if (status === 'REFUNDED') return unchanged(request);
  if (status !== 'REFUND_PENDING') return ignore(`No refund was due: the payment was ${status}.`);
  return refunded(request, actor, at);
}

/** Applies an operator's confirmation of a refund made by hand: REFUND_PENDING → REFUNDED. Repeating it is accepted and changes nothing. */
export function confirmRefund(request: PaymentRequest, actor: string, at: Date): PaymentDecision {
  const { id: paymentRequestId, status } = request;
  if (status === 'REFUNDED') return unchanged(request);
  if (status !== 'REFUND_PENDING') return reject({ code: 'refund-not-due', paymentRequestId, actual: status });
  return refunded(request, actor, at);
}

function refunded(request: PaymentRequest, actor: string, at: Date): AcceptedPayment {
  const data = { ...idsOf(request), reason: request.reason ?? 'The order was cancelled.', actor };
  return changed({ ...request, updatedAt: at }, { type: 'PaymentRefunded', data });
}
