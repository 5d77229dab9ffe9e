import { type Order, type OrderStatus } from '../domain/order.js';

/** By creation (the ids are UUIDv7) or by total; `-` begins with the newest, or the largest. */
export const ORDER_SORTS = ['created', '-created', 'total', '-total'] as const;
export type OrderSort = (typeof ORDER_SORTS)[number];

/** Which orders are wanted: those that meet all that is said. Both ends of a range are in it. */
export interface OrderFilter {
  readonly customerId?: string | undefined;
  /** Any of them. */
  readonly statuses?: readonly OrderStatus[] | undefined;
  /** Orders that have it among their items. */
  readonly productId?: string | undefined;
  /** Minor units, whatever the currency. A draft's total still changes, so with either bound there are no drafts. */
  readonly totalMin?: number | undefined;
  readonly totalMax?: number | undefined;
  readonly createdFrom?: Date | undefined;
  readonly createdTo?: Date | undefined;
  readonly late?: Lateness | undefined;
}

/** The orders that are late, or those that are not. */
export interface Lateness {
  readonly isLate: boolean;
  /** PLACED and due before then is late. */
  readonly placedBefore: Date;
  /** PAYMENT_PENDING and due before then is late. */
  readonly pendingBefore: Date;
}

/** Where a page ended: what the sorts go by. */
export interface OrderPosition {
  readonly id: string;
  readonly total: number;
}

export interface OrderListing {
  readonly filter: OrderFilter;
  readonly sort: OrderSort;
  /** The last order of the page before; none for the first page. */
  readonly after: OrderPosition | undefined;
  readonly limit: number;
}

/**
 * Orders in pages. What a page goes by never changes (an order's id; its total once it is placed, and so a list by total has no
 * drafts), so every order that was there when paging began, and meets the filter throughout, is on exactly one page.
 */
export abstract class OrderList {
  /** The first `limit` orders after `after`, each as it was at one and the same moment. */
  abstract read(listing: OrderListing): Promise<Order[]>;
}
