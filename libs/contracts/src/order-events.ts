import { InCapitals, IsAmount, IsId, IsListOf, IsText, IsWholeNumber, MayBeAbsentOrNull } from '@twinbox/fields';
import { IsKnownCurrency } from './currencies.js';
import { type EventOf } from './event-of.js';
import { upcaster } from './upcaster.js';

/** What was ordered of one product. */
export class OrderedItem {
  /**
   * The id of the product in the catalogue.
   * @example "tea-earl-grey"
   */
  @IsText(1, 64) readonly productId!: string;
  /**
   * The name of the product when the order was placed.
   * @example "Earl Grey, 100 g"
   */
  @IsText(1, 200) readonly name!: string;
  /**
   * The number of pieces.
   * @example 2
   */
  @IsWholeNumber(1, 2_147_483_647) readonly quantity!: number;
  /**
   * The price of one piece when the order was placed, in minor units of the order's currency.
   * @example 999
   */
  @IsAmount() readonly unitPrice!: number;
}

/** A customer placed an order. This version does not say what was ordered. */
export class OrderPlacedV1 {
  @IsId() readonly orderId!: string;
  @IsText(1, 255) readonly customerId!: string;
  /** In minor units of `currency` (cents), so that sums stay exact. */
  @IsAmount() readonly total!: number;
  @InCapitals() @IsKnownCurrency() readonly currency!: string;
}

/** A customer placed an order. Topic `order.events`, keyed by `orderId`, like all order events. */
export class OrderPlaced {
  static readonly version = 2;
  static readonly upcasters = {
    1: upcaster(
      OrderPlacedV1,
      // Only these fields have been validated.
      ({ orderId, customerId, total, currency }): OrderPlaced => ({ orderId, customerId, total, currency }),
    ),
  };

  @IsId() readonly orderId!: string;
  @IsText(1, 255) readonly customerId!: string;
  /** The sum of all items, in minor units of `currency` (cents), so that it stays exact. */
  @IsAmount() readonly total!: number;
  @InCapitals() @IsKnownCurrency() readonly currency!: string;
  // Required by validation. Optional in TypeScript, because handlers also receive messages of version 1.
  /** Every product of the order, once. Version 1 did not have this field. */
  @IsListOf(() => OrderedItem, 1, 100) readonly items?: readonly OrderedItem[];
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
export type OrderEvent = EventOf<typeof ORDER_EVENTS, { readonly OrderPlaced: Required<OrderPlaced> }>;
