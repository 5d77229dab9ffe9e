import { type AdminClient, createAdminClient } from '@twinbox/client/admin';
import { createOrdersClient, type OrdersClient } from '@twinbox/client/orders';
import { createPaymentsClient, type PaymentsClient } from '@twinbox/client/payments';
import { consoleFetch } from './http.js';

export interface Clients {
  readonly orders: OrdersClient;
  readonly payments: PaymentsClient;
  readonly admin: (service: 'orders' | 'payments') => AdminClient;
}

/** A person looks at the page, so a failure is shown soon. The page offers to try again. */
const options = (service: string) => ({
  baseUrl: `${location.origin}/api/${service}`,
  fetch: consoleFetch,
  attempts: 3,
  totalMs: 15_000,
});

const admins = { orders: createAdminClient(options('orders')), payments: createAdminClient(options('payments')) };

const clients: Clients = {
  orders: createOrdersClient(options('orders')),
  payments: createPaymentsClient(options('payments')),
  admin: (service) => admins[service],
};

/** The clients of both services, through the console's server. */
export function useClients(): Clients {
  return clients;
}
