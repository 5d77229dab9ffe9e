import { type PaymentEvent } from '@twinbox/contracts';
import { changed, isLive, type OrderDecision, type OrderHead } from './order.js';
import { isAhead, paymentOf, type PaymentSnapshot } from './payment-snapshot.js';

/** The actor recorded for early messages that name none. */
const UNNAMED_ACTOR = 'payment-service';

export function actorOfPayment({ data }: PaymentEvent): string {
  return ('actor' in data ? data.actor : undefined) ?? UNNAMED_ACTOR;
}

/**
 * PaymentRequested moves the order PLACED → PAYMENT_PENDING, PaymentSucceeded → COMPLETED and PaymentFailed → CANCELLED. A result is also
 * accepted in PLACED, because it may arrive before the request does. PaymentCancelled and PaymentRefunded follow a cancelled order. Otherwise the event does not change the status. It leaves a `MessagePassedOver` step, and updates the snapshot if it is newer.
 */
export function applyPaymentEvent<O extends OrderHead>(order: O, event: PaymentEvent, at: Date): OrderDecision<O> {
  if (!isExpected(order, event)) return ignored(order, event, at);
  const { id: orderId, customerId } = order;
  switch (event.type) {
    case 'PaymentSucceeded':
      return changed(order, at, event, { type: 'OrderCompleted', data: { orderId, customerId } });
    case 'PaymentFailed': {
      const data = { orderId, customerId, reason: reasonOf(event.data.reason), actor: actorOfPayment(event) };
      return changed(order, at, event, { type: 'OrderCancelled', data });
    }
    case 'PaymentRequested':
    case 'PaymentCancelled':
    case 'PaymentRefunded':
      // Nothing is published, because only payment-service would care, and it already knows.
      return changed(order, at, event);
  }
}

function isExpected(order: OrderHead, event: PaymentEvent): boolean {
  // An event of another payment is not about this order.
  if (order.payment !== null && !isOf(order.payment, event)) return false;
  switch (event.type) {
    case 'PaymentRequested':
      return order.status === 'PLACED';
    case 'PaymentSucceeded':
    case 'PaymentFailed':
      return isLive(order);
    case 'PaymentCancelled':
    case 'PaymentRefunded':
      return order.status === 'CANCELLED' && isUpdateOf(order.payment, event);
  }
}

function isOf(known: PaymentSnapshot, { data }: PaymentEvent): boolean {
  return known.paymentRequestId === data.paymentRequestId;
}

function isUpdateOf(known: PaymentSnapshot | null, event: PaymentEvent): boolean {
  return known === null || (isOf(known, event) && isAhead(paymentOf(event), known));
}

function ignored<O extends OrderHead>(order: O, event: PaymentEvent, at: Date): OrderDecision<O> {
  const isKnown = !isUpdateOf(order.payment, event);
  const reason = reasonToIgnore(order, event, isKnown);
  const updated = isKnown ? order : { ...order, payment: paymentOf(event) };
  return changed(updated, at, { type: 'MessagePassedOver', data: { type: event.type, reason } });
}

function reasonToIgnore({ payment, status }: OrderHead, event: PaymentEvent, isKnown: boolean): string {
  if (payment !== null && !isOf(payment, event))
    return `it concerns payment request ${event.data.paymentRequestId}, but the order has ${payment.paymentRequestId}`;
  return isKnown ? `the payment was already ${payment?.status}` : `the order was already ${status}`;
}

/** Cuts between characters, because half a surrogate pair cannot be stored. */
function reasonOf(paymentReason: string): string {
  return Array.from(`payment failed: ${paymentReason}`).slice(0, 500).join('');
}
