import { FIRST_TIME, firstIdOf, LAST_TIME, lastIdOf } from '@twinbox/kernel';
import { type OrderFilter, type OrderListing, type OrderSort } from '../../application/order-list.js';
import { isLive, LIVE_STATUSES, type OrderStatus } from '../../domain/order.js';
import { ORDER_COLUMNS } from './order-sql.js';

/** A statement and its parameters. */
export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

/**
 * One page of orders with their items, as one statement and so in one snapshot; undefined when the filter contradicts itself.
 * docs/lists.md has the index and the plan of every shape.
 */
export function orderListStatement(listing: OrderListing): Statement | undefined {
  const statuses = statusesOf(listing);
  if (statuses?.length === 0) return undefined;

  const search = new Search(listing, statuses);
  const text = `
    select ${ORDER_COLUMNS},
           (select coalesce(json_agg(json_build_object('productId', product_id, 'name', name, 'quantity', quantity,
                                                       'unitPrice', unit_price) order by product_id), '[]')
              from orders.order_items where order_id = o.id) as items
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

/** Undefined: any status. */
function statusesOf({ filter, sort }: OrderListing): readonly OrderStatus[] | undefined {
  let { statuses } = filter;
  if (filter.late?.isLate) statuses = (statuses ?? LIVE_STATUSES).filter((status) => isLive({ status }));
  return usesTotal(filter, sort) ? statuses?.filter((status) => status !== 'DRAFT') : statuses;
}

function usesTotal({ totalMin, totalMax }: OrderFilter, sort: OrderSort): boolean {
  return totalMin !== undefined || totalMax !== undefined || SORTS[sort].isByTotal;
}

/**
 * Finds the orders of a page. The planner chooses well between indexes as long as what they stand for has nothing to do with
 * each other. But what is new is not FINISHED, a product that is no longer sold has no new orders, and what is dear is in no cheap
 * order: there a plan that reads on in the order of the list, until it has found enough, may read most of the table. So where status
 * or product are asked for, they leave it no choice.
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
    // One customer's orders are few, whatever else is asked for; and so are those that are not done.
    if (customerId !== undefined) return this.asPlanned();
    const areFew = this.statuses?.every((status) => status === 'DRAFT' || isLive({ status }));
    if (productId !== undefined && !areFew) return this.byProduct(productId);
    if (!this.statuses || this.sort.isByTotal) return this.asPlanned();
    const ranges = this.statuses.map((status) => `(${this.byStatus(status)})`);
    if (ranges.length === 1) return ranges.join();
    return `select * from (${ranges.join(' union all ')}) o order by ${this.sort.orderBy} limit ${this.limit}`;
  }

  /** Whatever index the planner thinks best: orders_pkey, orders_customer, orders_total, orders_due, or one of those below. */
  private asPlanned(): string {
    const conditions = [this.idWithin('o.id'), ...this.conditions(), ...this.anyStatus(), ...this.afterTotal()];
    // The bounds once more: the planner carries equality over a join, but no range.
    const { productId } = this.listing.filter;
    if (productId !== undefined) conditions.push(this.hasProduct(productId, `and ${this.idWithin('i.order_id')}`));
    return `select o.* from orders.orders o where ${conditions.join(' and ')}
             order by ${this.sort.orderBy} limit ${this.limit}`;
  }

  /** One range of orders_status (status, id), which is in order: several statuses are a union of them, never one sort of all. */
  private byStatus(status: OrderStatus): string {
    const { after, filter } = this.listing;
    const { direction } = this.sort;
    const at = (id: string) => `(${this.parameter(status)}, ${this.parameter(id)})`;
    // Compared as rows and not for equality: with that, the order of orders_pkey would do as well. One bound each: of two the scan may
    // begin at the wider one, and pass over all before the page. What a cursor tells is within the list's own.
    const from = after && direction === 'asc' ? `> ${at(after.id)}` : `>= ${at(this.lowest)}`;
    const to = after && direction === 'desc' ? `< ${at(after.id)}` : `<= ${at(this.highest)}`;
    const conditions = [`(o.status, o.id) ${from}`, `(o.status, o.id) ${to}`, ...this.conditions()];
    if (filter.productId !== undefined) conditions.push(this.hasProduct(filter.productId));
    return `select o.* from orders.orders o where ${conditions.join(' and ')}
             order by o.status ${direction}, o.id ${direction} limit ${this.limit}`;
  }

  /** One range of order_items_product (product_id, order_id), which is in order of creation; each order by its primary key. */
  private byProduct(productId: string): string {
    const { direction, isByTotal, orderBy } = this.sort;
    const conditions = ['o.id = i.order_id', ...this.conditions(), ...this.anyStatus(), ...this.afterTotal()];
    // `offset 0` keeps it from being made a join, which could begin at the other end or be a merge of two whole indexes.
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

  /** All but status, product, and what the ids tell. */
  private conditions(): string[] {
    const { filter, sort, after } = this.listing;
    const { customerId, late } = filter;
    // By total a cursor is the narrower bound: beside another one the scan may begin at that.
    const totalMin = after && sort === 'total' ? undefined : filter.totalMin;
    const totalMax = after && sort === '-total' ? undefined : filter.totalMax;
    const conditions: string[] = [];
    if (customerId !== undefined) conditions.push(`o.customer_id = ${this.parameter(customerId)}`);
    if (totalMin !== undefined) conditions.push(`o.total >= ${this.parameter(totalMin)}`);
    if (totalMax !== undefined) conditions.push(`o.total <= ${this.parameter(totalMax)}`);
    // In these words, so that the planner recognises the rows of orders_total.
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
