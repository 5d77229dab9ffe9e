import { type OrdersClient } from '@twinbox/client/orders';
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';

export const productsQuery = (orders: OrdersClient, q: string) =>
  infiniteQueryOptions({
    queryKey: ['shop', 'products', q],
    queryFn: async ({ pageParam, signal }) =>
      orders
        .listProducts(
          { limit: 60, ...(q !== '' && { q }), ...(pageParam !== undefined && { cursor: pageParam }) },
          { signal },
        )
        .page(),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ nextCursor }) => nextCursor ?? undefined,
    placeholderData: (previous) => previous,
  });

/** The customer's own orders, the latest first. An operator would otherwise see those of everybody. */
export const latestOrdersQuery = (orders: OrdersClient, customerId: string) =>
  queryOptions({
    queryKey: ['shop', 'latest-orders', customerId],
    queryFn: async ({ signal }) => orders.getOrders({ customerId, sort: '-created', limit: 6 }, { signal }).page(),
    refetchInterval: 5000,
  });
