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
 * accepted in PLACED, because it may arrive before the request does. PaymentCancelled and PaymentRefunded follow a cancelled order. At
 * any other time the event is ignored, and only updates the payment snapshot.
 */
export function hearPayment<O extends OrderHead>(order: O, heard: PaymentEvent, at: Date): OrderDecision<O> {
  if (!isExpected(order, heard)) return passedOver(order, heard, at);
  const { id: orderId, customerId } = order;
  switch (heard.type) {
    case 'PaymentSucceeded':
      return changed(order, at, heard, { type: 'OrderCompleted', data: { orderId, customerId } });
    case 'PaymentFailed': {
      const data = { orderId, customerId, reason: reasonOf(heard.data.reason), actor: actorOfPayment(heard) };
      return changed(order, at, heard, { type: 'OrderCancelled', data });
    }
    case 'PaymentRequested':
    case 'PaymentCancelled':
    case 'PaymentRefunded':
      // Nothing is published, because only payment-service would care, and it already knows.
      return changed(order, at, heard);
  }
}

function isExpected(order: OrderHead, heard: PaymentEvent): boolean {
  // An event of another payment is not about this order.
  if (order.payment !== null && !isOf(order.payment, heard)) return false;
  switch (heard.type) {
    case 'PaymentRequested':
      return order.status === 'PLACED';
    case 'PaymentSucceeded':
    case 'PaymentFailed':
      return isLive(order);
    case 'PaymentCancelled':
    case 'PaymentRefunded':
      return order.status === 'CANCELLED' && isNewsOf(order.payment, heard);
  }
}

function isOf(known: PaymentSnapshot, { data }: PaymentEvent): boolean {
  return known.paymentRequestId === data.paymentRequestId;
}

function isNewsOf(known: PaymentSnapshot | null, heard: PaymentEvent): boolean {
  return known === null || (isOf(known, heard) && isAhead(paymentOf(heard), known));
}

function passedOver<O extends OrderHead>(order: O, heard: PaymentEvent, at: Date): OrderDecision<O> {
  const isKnown = !isNewsOf(order.payment, heard);
  const reason = reasonToPassOver(order, heard, isKnown);
  const informed = isKnown ? order : { ...order, payment: paymentOf(heard) };
  return changed(informed, at, { type: 'MessagePassedOver', data: { type: heard.type, reason } });
}

function reasonToPassOver({ payment, status }: OrderHead, heard: PaymentEvent, isKnown: boolean): string {
  if (payment !== null && !isOf(payment, heard))
    return `it concerns payment request ${heard.data.paymentRequestId}, but the order has ${payment.paymentRequestId}`;
  return isKnown ? `the payment was already ${payment?.status}` : `the order was already ${status}`;
}

/** Cuts between characters, because half a surrogate pair cannot be stored. */
function reasonOf(paymentReason: string): string {
  return Array.from(`payment failed: ${paymentReason}`).slice(0, 500).join('');
}
