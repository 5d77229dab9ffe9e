import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { type Order, type OrdersClient, type Step } from '@twinbox/client/orders';
import { type Clients, useClients } from '../shared/clients.js';
import { Conditional } from '../shared/list/conditional.js';
import { useList } from '../shared/list/use-list.js';
import { filterOf, type OrdersSearch } from './orders-search.js';

const LIVE_MS = 2000;
const LIST_MS = 5000;
const PAGE = 100;
const conditional = new Conditional();

export const ordersKey = ['orders'] as const;

/** The list of orders with these filters. */
export function useOrders(search: OrdersSearch) {
  const { orders } = useClients();
  const filter = filterOf(search);
  return useList<Order>({
    queryKey: [...ordersKey, 'list', filter],
    refreshMs: LIST_MS,
    load: async (cursor, options) =>
      orders
        .getOrders({ ...filter, limit: PAGE, ...(cursor !== undefined && { cursor }) }, options)
        .page()
        .answer(),
  });
}

/** One order, which refreshes itself. */
export function orderQuery(orders: OrdersClient, orderId: string) {
  return queryOptions({
    queryKey: [...ordersKey, 'one', orderId],
    queryFn: async ({ signal }) =>
      conditional.load<Order>(orderId, async (headers) => orders.getOrder({ orderId }, { headers, signal }).answer()),
    refetchInterval: LIVE_MS,
  });
}

/** Everything that happened to an order. It is loaded again whenever the order has another version. */
export function stepsQuery(orders: OrdersClient, orderId: string, version: number) {
  return queryOptions({
    queryKey: [...ordersKey, 'steps', orderId, version],
    queryFn: async ({ signal }): Promise<readonly Step[]> =>
      Array.fromAsync(orders.getTimeline({ orderId }, { signal })),
    placeholderData: keepPreviousData,
    refetchInterval: 10_000,
  });
}

/** The payment of an order, found by the order because it is unknown to order-service until payment-service has reported it. */
export function paymentOfOrderQuery({ payments }: Clients, orderId: string) {
  return queryOptions({
    queryKey: ['payments', 'of-order', orderId],
    queryFn: async ({ signal }) => {
      const { items } = await payments.listPaymentRequests({ orderId, limit: 1 }, { signal }).page();
      return items[0] ?? null;
    },
    refetchInterval: LIVE_MS,
  });
}
