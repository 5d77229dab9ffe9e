import { type ListPaymentRequestsInput } from '@twinbox/client/payments';
import { choiceIn, choicesIn, countIn, present, type SearchParams, textIn, timeIn } from '../shell/search-params.js';

export const PAYMENT_STATUSES = ['PENDING', 'SUCCEEDED', 'FAILED', 'CANCELLED', 'REFUND_PENDING', 'REFUNDED'] as const;
export const PAYMENT_SORTS = ['-created', 'created', '-amount', 'amount'] as const;

export type PaymentStatus = (typeof PAYMENT_STATUSES)[number];

/** The filters of the list, as they are in the address. Amounts are in minor units, as in the API. */
export interface PaymentsSearch {
  /** Without any, the list shows what waits for an operator: PENDING. */
  readonly status?: readonly (PaymentStatus | 'ANY')[];
  readonly orderId?: string;
  readonly customerId?: string;
  readonly amountMin?: number;
  readonly amountMax?: number;
  readonly createdFrom?: string;
  readonly createdTo?: string;
  readonly sort?: (typeof PAYMENT_SORTS)[number];
}

/** Reads the filters of an address. What is not valid is left out, so that an old bookmark still opens the page. */
export function paymentsSearch(search: SearchParams): PaymentsSearch {
  return present({
    status: choicesIn(search, 'status', [...PAYMENT_STATUSES, 'ANY']),
    orderId: textIn(search, 'orderId'),
    customerId: textIn(search, 'customerId'),
    amountMin: countIn(search, 'amountMin'),
    amountMax: countIn(search, 'amountMax'),
    createdFrom: timeIn(search, 'createdFrom'),
    createdTo: timeIn(search, 'createdTo'),
    sort: choiceIn(search, 'sort', PAYMENT_SORTS),
  });
}

/** What the service is asked for. */
export function filterOf({ status = ['PENDING'], ...others }: PaymentsSearch): ListPaymentRequestsInput {
  const statuses = status.filter((one) => one !== 'ANY');
  return { ...others, ...(statuses.length > 0 && { status: [...statuses] }) };
}
