import { type PaymentEvent } from '@twinbox/contracts';
import { changed, isLive, type OrderDecision, type OrderHead } from './order.js';
import { isAhead, paymentOf, type PaymentSnapshot } from './payment-snapshot.js';

/** Who says what a message says of nobody, as the first ones did. */
const UNNAMED_ACTOR = 'payment-service';

/** Who made the payment what the message says. */
export function actorOfPayment({ data }: PaymentEvent): string {
  return ('actor' in data ? data.actor : undefined) ?? UNNAMED_ACTOR;
}

/**
 * What payment-service said moves the order: PaymentRequested PLACED → PAYMENT_PENDING, PaymentSucceeded → COMPLETED and
 * PaymentFailed → CANCELLED. A result is accepted in PLACED too: it may be heard before the order knows of the request.
 * PaymentCancelled and PaymentRefunded follow the cancelling of an order. What comes at any other time is passed over: the
 * order stays as it is, but for what is known of its payment.
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
      // No event: payment-service, which said so, is the only one to whom it matters.
      return changed(order, at, heard);
  }
}

function isExpected(order: OrderHead, heard: PaymentEvent): boolean {
  // Of another payment than the order's: nothing that it says is about this order.
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
    return `it is of payment request ${heard.data.paymentRequestId}, and the order's is ${payment.paymentRequestId}`;
  return isKnown ? `the payment was ${payment?.status} already` : `the order was ${status} already`;
}

/** In whole characters: half a surrogate pair could not be kept. */
function reasonOf(paymentReason: string): string {
  return Array.from(`payment failed: ${paymentReason}`).slice(0, 500).join('');
}
