import { queryOptions } from '@tanstack/react-query';
import { type Clients } from './clients.js';

/** The messages and jobs of an order in one of the services. Both use the order id as the key of their messages. */
export function messagesQuery(admin: Clients['admin'], service: 'orders' | 'payments', orderId: string) {
  return queryOptions({
    queryKey: ['messages', service, orderId],
    queryFn: async ({ signal }) => admin(service).getAggregateMessages({ id: orderId }, { signal }),
    refetchInterval: 5000,
  });
}
