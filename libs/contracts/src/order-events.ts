import { InCapitals, IsAmount, IsId, IsText, MayBeAbsentOrNull } from '@twinbox/fields';
import { IsKnownCurrency } from './currencies.js';
import { type EventOf } from './event-of.js';

/** A customer placed an order. Topic `order.events`, keyed by `orderId`, like all order events. */
export class OrderPlaced {
  static readonly version = 1;

  @IsId() readonly orderId!: string;
  @IsText(1, 255) readonly customerId!: string;
  /** In minor units of `currency` (cents), so that sums stay exact. */
  @IsAmount() readonly total!: number;
  @InCapitals() @IsKnownCurrency() readonly currency!: string;
}

/** The order was paid. */
export class OrderCompleted {
  static readonly version = 1;

  @IsId() readonly orderId!: string;
  @IsText(1, 255) readonly customerId!: string;
}

/** The order was cancelled and will not be fulfilled. */
export class OrderCancelled {
  static readonly version = 1;

  @IsId() readonly orderId!: string;
  @IsText(1, 255) readonly customerId!: string;
  /** Why it was cancelled, in words. */
  @IsText(1, 500) readonly reason!: string;
  /** Who cancelled it, as `role:name` or just the role. Absent in early messages. */
  @MayBeAbsentOrNull() @IsText(1, 300) readonly actor?: string;
}

/** The order is finished: nothing remains to be done for it. */
export class OrderFinished {
  static readonly version = 1;

  @IsId() readonly orderId!: string;
  @IsText(1, 255) readonly customerId!: string;
}

/** The contract of the topic that order-service publishes. */
export const ORDER_EVENTS = {
  name: 'order.events',
  aggregateType: 'order',
  partitions: 6,
  retentionMs: 7 * 24 * 3600 * 1000,
  events: { OrderPlaced, OrderCompleted, OrderCancelled, OrderFinished },
} as const;

/** Any event of the topic `order.events`, in the form in which the rules of order-service return it. */
export type OrderEvent = EventOf<typeof ORDER_EVENTS>;
