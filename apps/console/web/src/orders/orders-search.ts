import { type GetOrdersInput } from '@twinbox/client/orders';
import { choiceIn, choicesIn, countIn, present, type SearchParams, textIn, timeIn } from '../shell/search-params.js';

export const ORDER_STATUSES = ['DRAFT', 'PLACED', 'PAYMENT_PENDING', 'COMPLETED', 'FINISHED', 'CANCELLED'] as const;
export const ORDER_SORTS = ['-created', 'created', '-total', 'total'] as const;

/** The filters of the list, as they are in the address. Totals are in minor units, as in the API. */
export interface OrdersSearch {
  readonly status?: readonly (typeof ORDER_STATUSES)[number][];
  readonly customerId?: string;
  readonly productId?: string;
  readonly totalMin?: number;
  readonly totalMax?: number;
  readonly createdFrom?: string;
  readonly createdTo?: string;
  readonly late?: 'true';
  readonly sort?: (typeof ORDER_SORTS)[number];
}

/** Reads the filters of an address. What is not valid is left out, so that an old bookmark still opens the page. */
export function ordersSearch(search: SearchParams): OrdersSearch {
  return present({
    status: choicesIn(search, 'status', ORDER_STATUSES),
    customerId: textIn(search, 'customerId'),
    productId: textIn(search, 'productId'),
    totalMin: countIn(search, 'totalMin'),
    totalMax: countIn(search, 'totalMax'),
    createdFrom: timeIn(search, 'createdFrom'),
    createdTo: timeIn(search, 'createdTo'),
    late: choiceIn(search, 'late', ['true']),
    sort: choiceIn(search, 'sort', ORDER_SORTS),
  });
}

/** What the service is asked for. */
export function filterOf({ status, late, ...others }: OrdersSearch): GetOrdersInput {
  return { ...others, ...(status && { status: [...status] }), ...(late && { late: true }) };
}
