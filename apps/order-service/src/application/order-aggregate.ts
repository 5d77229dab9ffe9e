import { type AggregateRef } from '@twinbox/messaging';
import { type OrderHead } from '../domain/order.js';

/** How the outbox knows an order: its id is the key of every message about it. */
export function aggregateOf({ id, version }: OrderHead): AggregateRef {
  return { aggregateType: 'order', aggregateId: id, version };
}
