import { type AggregateRef } from '@twinbox/messaging';
import { type PaymentRequest } from '../domain/payment-request.js';

/** How the outbox knows a payment: by its order, so that all that concerns one order shares one key on every topic. */
export function aggregateOf({ orderId, version }: PaymentRequest): AggregateRef {
  return { aggregateType: 'payment', aggregateId: orderId, version };
}
