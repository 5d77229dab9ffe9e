import { type AggregateRef } from '@twinbox/messaging';
import { type OrderHead } from '../domain/order.js';

/** Identifies an order in the outbox. Its id becomes the key of its messages. */
export function aggregateOf({ id, version }: OrderHead): AggregateRef {
  return { aggregateType: 'order', aggregateId: id, version };
}
