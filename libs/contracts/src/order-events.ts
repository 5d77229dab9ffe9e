import { InCapitals, IsAmount, IsId, IsText, MayBeAbsentOrNull } from '@twinbox/fields';
import { IsKnownCurrency } from './currencies.js';

/** A customer committed to an order. Topic `order.events`, keyed by `orderId`. */
export class OrderPlaced {
  static readonly version = 1;

  @IsId() readonly orderId!: string;
  @IsText(1, 255) readonly customerId!: string;
  /** Minor units of `currency` (cents), so sums stay exact. */
  @IsAmount() readonly total!: number;
  @InCapitals() @IsKnownCurrency() readonly currency!: string;
}

/** The order is paid. */
export class OrderCompleted {
  static readonly version = 1;

  @IsId() readonly orderId!: string;
  @IsText(1, 255) readonly customerId!: string;
}

/** The order will not be carried out. */
export class OrderCancelled {
  static readonly version = 1;

  @IsId() readonly orderId!: string;
  @IsText(1, 255) readonly customerId!: string;
  /** Why, in words for a person. */
  @IsText(1, 500) readonly reason!: string;
  /** Who cancelled it, as `role:name` or just the role. Not all messages say it: the first ones did not. */
  @MayBeAbsentOrNull() @IsText(1, 300) readonly actor?: string;
}

/** Nothing is left to be done for the order. */
export class OrderFinished {
  static readonly version = 1;

  @IsId() readonly orderId!: string;
  @IsText(1, 255) readonly customerId!: string;
}

/** Any event of topic `order.events`, as a rule of order-service raises it. */
export type OrderEvent =
  | { readonly type: 'OrderPlaced'; readonly data: OrderPlaced }
  | { readonly type: 'OrderCompleted'; readonly data: OrderCompleted }
  | { readonly type: 'OrderCancelled'; readonly data: OrderCancelled }
  | { readonly type: 'OrderFinished'; readonly data: OrderFinished };

/** What order-service says. */
export const ORDER_EVENTS = {
  name: 'order.events',
  aggregateType: 'order',
  partitions: 6,
  retentionMs: 7 * 24 * 3600 * 1000,
  events: { OrderPlaced, OrderCompleted, OrderCancelled, OrderFinished },
} as const;
