import { FIRST_TIME, firstIdOf, LAST_TIME, lastIdOf } from '@twinbox/kernel';
import { type OrderFilter, type OrderListing, type OrderSort } from '../../application/order-list.js';
import { isLive, LIVE_STATUSES, type OrderStatus } from '../../domain/order.js';
import { orderColumns, SELECT_ITEMS } from './order-table.js';

export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** Builds a single statement, and so one snapshot; undefined if the filter contradicts itself. docs/lists.md has the plans. */
export function orderListStatement(listing: OrderListing): Statement | undefined {
  const statuses = statusesOf(listing);
  if (statuses?.length === 0) return undefined;

  const search = new Search(listing, statuses);
  const text = `
    select ${orderColumns.select}, ${SELECT_ITEMS}
      from (${search.found()}) o
     order by ${SORTS[listing.sort].orderBy}`;
  return { text, values: search.values };
}

const SORTS = {
  created: { orderBy: 'o.id', direction: 'asc', after: '>', isByTotal: false },
  '-created': { orderBy: 'o.id desc', direction: 'desc', after: '<', isByTotal: false },
  total: { orderBy: 'o.total, o.id', direction: 'asc', after: '>', isByTotal: true },
  '-total': { orderBy: 'o.total desc, o.id desc', direction: 'desc', after: '<', isByTotal: true },
} as const satisfies Record<OrderSort, object>;

/** Undefined means any status. */
function statusesOf({ filter, sort }: OrderListing): readonly OrderStatus[] | undefined {
  let { statuses } = filter;
  if (filter.late?.isLate) statuses = (statuses ?? LIVE_STATUSES).filter((status) => isLive({ status }));
  return usesTotal(filter, sort) ? statuses?.filter((status) => status !== 'DRAFT') : statuses;
}

function usesTotal({ totalMin, totalMax }: OrderFilter, sort: OrderSort): boolean {
  return totalMin !== undefined || totalMax !== undefined || SORTS[sort].isByTotal;
}

/**
 * Finds the orders of a page. The planner chooses well between indexes whose columns are independent. But new orders are not FINISHED,
 * a product that is no longer sold has no new orders, and an expensive product is never in a cheap order. There, a plan that scans in
 * list order until it has enough rows may read most of the table. So a filter by status or product forces the index.
 */
class Search {
  readonly values: unknown[] = [];
  private readonly sort: (typeof SORTS)[OrderSort];
  private readonly lowest: string;
  private readonly highest: string;
  private readonly limit: string;

  constructor(
    private readonly listing: OrderListing,
    private readonly statuses: readonly OrderStatus[] | undefined,
  ) {
    const { createdFrom = FIRST_TIME, createdTo = LAST_TIME } = listing.filter;
    this.sort = SORTS[listing.sort];
    this.lowest = firstIdOf(createdFrom);
    this.highest = lastIdOf(createdTo);
    this.limit = this.parameter(listing.limit);
  }

  found(): string {
    const { customerId, productId } = this.listing.filter;
    // One customer's orders are few, whatever the other filters, and so are drafts and live orders.
    if (customerId !== undefined) return this.asPlanned();
    const areFew = this.statuses?.every((status) => status === 'DRAFT' || isLive({ status }));
    if (productId !== undefined && !areFew) return this.byProduct(productId);
    if (!this.statuses || this.sort.isByTotal) return this.asPlanned();
    const ranges = this.statuses.map((status) => `(${this.byStatus(status)})`);
    if (ranges.length === 1) return ranges.join();
    return `select * from (${ranges.join(' union all ')}) o order by ${this.sort.orderBy} limit ${this.limit}`;
  }

  /** Lets the planner choose between orders_pkey, orders_customer, orders_total, orders_due and the indexes below. */
  private asPlanned(): string {
    const conditions = [this.idWithin('o.id'), ...this.conditions(), ...this.anyStatus(), ...this.afterTotal()];
    // The bounds are repeated, because the planner propagates equality through a join, but not ranges.
    const { productId } = this.listing.filter;
    if (productId !== undefined) conditions.push(this.hasProduct(productId, `and ${this.idWithin('i.order_id')}`));
    return `select o.* from orders.orders o where ${conditions.join(' and ')}
             order by ${this.sort.orderBy} limit ${this.limit}`;
  }

  /** Scans one range of orders_status (status, id), already sorted. Several statuses are a union of ranges, never one big sort. */
  private byStatus(status: OrderStatus): string {
    const { after, filter } = this.listing;
    const { direction } = this.sort;
    const at = (id: string) => `(${this.parameter(status)}, ${this.parameter(id)})`;
    // A row comparison, because with equality the planner might choose orders_pkey. One bound per side, because with two the scan may
    // start at the wider one and skip everything before the page. The cursor is always within the bounds of the list.
    const from = after && direction === 'asc' ? `> ${at(after.id)}` : `>= ${at(this.lowest)}`;
    const to = after && direction === 'desc' ? `< ${at(after.id)}` : `<= ${at(this.highest)}`;
    const conditions = [`(o.status, o.id) ${from}`, `(o.status, o.id) ${to}`, ...this.conditions()];
    if (filter.productId !== undefined) conditions.push(this.hasProduct(filter.productId));
    return `select o.* from orders.orders o where ${conditions.join(' and ')}
             order by o.status ${direction}, o.id ${direction} limit ${this.limit}`;
  }

  /** Scans one range of order_items_product (product_id, order_id), sorted by creation, and reads each order by its primary key. */
  private byProduct(productId: string): string {
    const { direction, isByTotal, orderBy } = this.sort;
    const conditions = ['o.id = i.order_id', ...this.conditions(), ...this.anyStatus(), ...this.afterTotal()];
    // `offset 0` prevents a rewrite to a join, which could start at the other end or merge two whole indexes.
    return `select o.*
              from orders.order_items i
                   cross join lateral (select * from orders.orders o where ${conditions.join(' and ')} offset 0) o
             where i.product_id = ${this.parameter(productId)} and ${this.idWithin('i.order_id')}
             order by ${isByTotal ? orderBy : `i.order_id ${direction}`} limit ${this.limit}`;
  }

  private hasProduct(productId: string, more = ''): string {
    return `exists (select from orders.order_items i
                     where i.order_id = o.id and i.product_id = ${this.parameter(productId)} ${more})`;
  }

  private anyStatus(): string[] {
    return this.statuses ? [`o.status = any (${this.parameter(this.statuses)})`] : [];
  }

  private afterTotal(): string[] {
    const { after } = this.listing;
    if (!after || !this.sort.isByTotal) return [];
    return [`(o.total, o.id) ${this.sort.after} (${this.parameter(after.total)}, ${this.parameter(after.id)})`];
  }

  private idWithin(id: string): string {
    const { after } = this.listing;
    const within = `${id} between ${this.parameter(this.lowest)} and ${this.parameter(this.highest)}`;
    return after && !this.sort.isByTotal
      ? `${within} and ${id} ${this.sort.after} ${this.parameter(after.id)}`
      : within;
  }

  /** All conditions except those on status, product and id. */
  private conditions(): string[] {
    const { filter, sort, after } = this.listing;
    const { customerId, late } = filter;
    // A cursor by total is the narrower bound. With both, the scan may start at the wider one.
    const totalMin = after && sort === 'total' ? undefined : filter.totalMin;
    const totalMax = after && sort === '-total' ? undefined : filter.totalMax;
    const conditions: string[] = [];
    if (customerId !== undefined) conditions.push(`o.customer_id = ${this.parameter(customerId)}`);
    if (totalMin !== undefined) conditions.push(`o.total >= ${this.parameter(totalMin)}`);
    if (totalMax !== undefined) conditions.push(`o.total <= ${this.parameter(totalMax)}`);
    // Must match the condition of the partial index orders_total literally.
    if (usesTotal(filter, sort)) conditions.push(`o.status <> 'DRAFT'`);
    if (late) {
      const isLate = `(o.status = 'PLACED' and o.due_at < ${this.parameter(late.placedBefore)}
                 or o.status = 'PAYMENT_PENDING' and o.due_at < ${this.parameter(late.pendingBefore)})`;
      conditions.push(late.isLate ? isLate : `${isLate} is not true`);
    }
    return conditions;
  }

  private parameter(value: unknown): string {
    return `$${this.values.push(value)}`;
  }
}
