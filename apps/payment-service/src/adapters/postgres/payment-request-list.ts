import {
  type PaymentListing,
  type PaymentPosition,
  type PaymentRequestFilter,
  type PaymentSort,
} from '../../application/payment-request-store.js';
import { REQUEST_COLUMNS } from './payment-request-schema.js';

/** A statement and its parameters. */
export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

/**
 * One page as one statement, and so in one snapshot. Served by payment_requests_order or _customer where one of them is given; by
 * amount, or within a range of it, by payment_requests_amount, or by _status where that leaves fewer rows; else by _status or the
 * primary key.
 */
export function paymentListStatement({ filter, sort, after, limit }: PaymentListing): Statement {
  const parameters = new Parameters();
  const conditions = conditionsOf(filter, parameters);
  if (after) conditions.push(afterOf(sort, after, parameters));
  // The name of the table, for a bare `amount` would be the selected one, of another type.
  const page = `order by ${ORDER_BY[sort]} limit ${parameters.add(limit)}`;
  const select = (...more: string[]) => {
    const where = [...conditions, ...more].join(' and ');
    return `(select * from payments.payment_requests as request ${where && `where ${where}`} ${page})`;
  };

  const { statuses } = filter;
  // By creation each status is one range of payment_requests_status, in order: the few firsts of each make the page, while
  // `= any` would sort all of them. One customer's requests, or one order's, are few.
  const isUnion = isByCreation(sort) && (filter.orderId ?? filter.customerId ?? filter.own) === undefined;
  let found: string;
  if (!statuses) found = select();
  else if (isUnion) found = statuses.map((status) => select(`status = ${parameters.add(status)}`)).join(' union all ');
  else found = select(`status = any(${parameters.add([...statuses])})`);
  return { text: `select ${REQUEST_COLUMNS} from (${found}) as request ${page}`, values: parameters.values };
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
  return bounds.flatMap(([comparison, value]) =>
    value === undefined ? [] : [`${comparison} ${parameters.add(value)}`],
  );
}

function afterOf(sort: PaymentSort, { amount, id }: PaymentPosition, parameters: Parameters): string {
  const comparison = sort.startsWith('-') ? '<' : '>';
  return isByCreation(sort)
    ? `id ${comparison} ${parameters.add(id)}`
    : `(amount, id) ${comparison} (${parameters.add(amount)}, ${parameters.add(id)})`;
}

/** The smallest UUIDv7 of the millisecond (RFC 9562, section 5.7): requests are created at the time in their id. */
function firstIdOf(time: Date): string {
  return `${millisecondsOf(time)}-7000-8000-000000000000`;
}

/** The largest one. */
function lastIdOf(time: Date): string {
  return `${millisecondsOf(time)}-7fff-bfff-ffffffffffff`;
}

function millisecondsOf(time: Date): string {
  const hex = Math.max(0, time.getTime()).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}
