import { type Order, type OrderStatus } from '../domain/order.js';

/** By creation (ids are UUIDv7) or by total. `-` means descending. */
export const ORDER_SORTS = ['created', '-created', 'total', '-total'] as const;
export type OrderSort = (typeof ORDER_SORTS)[number];

/** Selects the orders that match all filters. Ranges are inclusive. */
export interface OrderFilter {
  readonly customerId?: string | undefined;
  readonly statuses?: readonly OrderStatus[] | undefined;
  readonly productId?: string | undefined;
  /** In minor units of any currency. A bound on the total excludes drafts, whose total still changes. */
  readonly totalMin?: number | undefined;
  readonly totalMax?: number | undefined;
  readonly createdFrom?: Date | undefined;
  readonly createdTo?: Date | undefined;
  readonly late?: Lateness | undefined;
}

/** A PLACED order is late if due before `placedBefore`, a PAYMENT_PENDING one if due before `pendingBefore`. */
export interface Lateness {
  readonly isLate: boolean;
  readonly placedBefore: Date;
  readonly pendingBefore: Date;
}

export interface OrderPosition {
  readonly id: string;
  readonly total: number;
}

export interface OrderListing {
  readonly filter: OrderFilter;
  readonly sort: OrderSort;
  /** The last order of the previous page. */
  readonly after: OrderPosition | undefined;
  readonly limit: number;
}

/**
 * Lists orders page by page. The sort keys never change (an id, or a total once placed, which is why a list by total excludes drafts),
 * so every order that exists when paging begins and matches throughout is on exactly one page.
 */
export abstract class OrderList {
  /** Reads the first `limit` orders after `after` in one snapshot. */
  abstract list(listing: OrderListing): Promise<Order[]>;
}
