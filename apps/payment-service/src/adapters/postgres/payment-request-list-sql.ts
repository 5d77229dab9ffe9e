import { FIRST_TIME, firstIdOf, LAST_TIME, lastIdOf } from '@twinbox/kernel';
import {
  type PaymentListing,
  type PaymentPosition,
  type PaymentRequestFilter,
  type PaymentSort,
} from '../../application/payment-request-list.js';
import { type PaymentStatus } from '../../domain/payment-request.js';
import { REQUEST_COLUMNS } from './payment-request-table.js';

export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

/**
 * Reads a page in one statement, and so in one snapshot. It uses payment_requests_order or _customer when the filter names one; for a sort
 * or range by amount, payment_requests_amount, or _status where that leaves fewer rows; for a sort by creation with statuses, _status;
 * otherwise the primary key.
 */
export function paymentListStatement(listing: PaymentListing): Statement {
  const { filter, sort, after, limit } = listing;
  const parameters = new Parameters();
  // Qualified, because a bare `amount` would mean the selected column, which has another type.
  const page = `order by ${ORDER_BY[sort]} limit ${parameters.add(limit)}`;
  // A customer or an order has few requests.
  const areFew = (filter.orderId ?? filter.customerId ?? filter.own) !== undefined;
  const found =
    filter.statuses && isByCreation(sort) && !areFew
      ? filter.statuses.map((status) => `(${statusRange(status, listing, parameters)})`).join(' union all ')
      : select([...conditionsOf(withoutLooserBound(listing), parameters), ...afterOf(sort, after, parameters)], page);
  return { text: `select ${REQUEST_COLUMNS} from (${found}) as request ${page}`, values: parameters.values };
}

/**
 * Selects a range of payment_requests_status (status, id). The range is in order, so the first few rows of each status make up the page,
 * while `= any` would sort all of them. Rows are compared by range, not equality: with equality the primary key would provide the order as
 * well, and if all rows of a status are old, the planner would read through everything newer. Each end has a single bound, because with two
 * the scan may start at the wider one and skip everything before the page. A cursor is always within the bounds of the list.
 */
function statusRange(status: PaymentStatus, { filter, sort, after, limit }: PaymentListing, parameters: Parameters) {
  const { createdFrom = FIRST_TIME, createdTo = LAST_TIME } = filter;
  const at = (id: string) => `(${parameters.add(status)}, ${parameters.add(id)})`;
  const direction = sort.startsWith('-') ? 'desc' : 'asc';
  const from = after && direction === 'asc' ? `> ${at(after.id)}` : `>= ${at(firstIdOf(createdFrom))}`;
  const to = after && direction === 'desc' ? `< ${at(after.id)}` : `<= ${at(lastIdOf(createdTo))}`;
  const conditions = [
    `(request.status, request.id) ${from}`,
    `(request.status, request.id) ${to}`,
    ...conditionsOf({ ...filter, statuses: undefined, createdFrom: undefined, createdTo: undefined }, parameters),
  ];
  return select(
    conditions,
    `order by request.status ${direction}, request.id ${direction} limit ${parameters.add(limit)}`,
  );
}

/** When sorting by amount, the cursor is the tighter bound; if both are given, the scan may start at the other one. */
function withoutLooserBound({ filter, sort, after }: PaymentListing): PaymentRequestFilter {
  if (!after || isByCreation(sort)) return filter;
  return sort === 'amount' ? { ...filter, amountMin: undefined } : { ...filter, amountMax: undefined };
}

function select(conditions: readonly string[], order: string): string {
  const where = conditions.join(' and ');
  return `select * from payments.payment_requests as request ${where && `where ${where}`} ${order}`;
}

class Parameters {
  readonly values: unknown[] = [];

  add(value: unknown): string {
    return `$${this.values.push(value)}`;
  }
}

const ORDER_BY: Readonly<Record<PaymentSort, string>> = {
  created: 'request.id',
  '-created': 'request.id desc',
  amount: 'request.amount, request.id',
  '-amount': 'request.amount desc, request.id desc',
};

function isByCreation(sort: PaymentSort): boolean {
  return sort === 'created' || sort === '-created';
}

function conditionsOf(filter: PaymentRequestFilter, parameters: Parameters): string[] {
  const bounds = [
    ['order_id =', filter.orderId],
    ['customer_id =', filter.customerId],
    ['customer_id =', filter.own],
    ['amount >=', filter.amountMin],
    ['amount <=', filter.amountMax],
    ['id >=', filter.createdFrom && firstIdOf(filter.createdFrom)],
    ['id <=', filter.createdTo && lastIdOf(filter.createdTo)],
  ] as const;
  const conditions = bounds.flatMap(([comparison, value]) =>
    value === undefined ? [] : [`${comparison} ${parameters.add(value)}`],
  );
  if (filter.statuses) conditions.push(`status = any(${parameters.add([...filter.statuses])})`);
  return conditions;
}

function afterOf(sort: PaymentSort, after: PaymentPosition | undefined, parameters: Parameters): string[] {
  if (!after) return [];
  const { amount, id } = after;
  return isByCreation(sort)
    ? [`id ${comparisonOf(sort)} ${parameters.add(id)}`]
    : [`(amount, id) ${comparisonOf(sort)} (${parameters.add(amount)}, ${parameters.add(id)})`];
}

function comparisonOf(sort: PaymentSort): string {
  return sort.startsWith('-') ? '<' : '>';
}
