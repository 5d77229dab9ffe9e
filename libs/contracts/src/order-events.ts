import { IsInt, IsISO4217CurrencyCode, IsPositive, IsString, IsUUID, Length } from 'class-validator';

/** A customer committed to an order. Topic `order.events`, keyed by `orderId`. */
export class OrderPlaced {
  static readonly version = 1;

  @IsUUID('7') readonly orderId!: string;
  @IsString() @Length(1, 255) readonly customerId!: string;
  /** Minor units of `currency` (cents), so sums stay exact. */
  @IsInt() @IsPositive() readonly total!: number;
  @IsISO4217CurrencyCode() readonly currency!: string;
}

/** The order is paid. */
export class OrderCompleted {
  static readonly version = 1;

  @IsUUID('7') readonly orderId!: string;
  @IsString() @Length(1, 255) readonly customerId!: string;
}

/** The order will not be carried out. */
export class OrderCancelled {
  static readonly version = 1;

  @IsUUID('7') readonly orderId!: string;
  @IsString() @Length(1, 255) readonly customerId!: string;
  /** Why, in words for a person. */
  @IsString() @Length(1, 500) readonly reason!: string;
}

/** Any event of topic `order.events`, as a rule of order-service raises it. */
export type OrderEvent =
  | { readonly type: 'OrderPlaced'; readonly data: OrderPlaced }
  | { readonly type: 'OrderCompleted'; readonly data: OrderCompleted }
  | { readonly type: 'OrderCancelled'; readonly data: OrderCancelled };

/** What order-service says. */
export const ORDER_EVENTS = {
  name: 'order.events',
  aggregateType: 'order',
  partitions: 6,
  retentionMs: 7 * 24 * 3600 * 1000,
  events: { OrderPlaced, OrderCompleted, OrderCancelled },
} as const;
