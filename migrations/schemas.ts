import { CreateOrders1763700000000 } from './orders/1763700000000-create-orders.js';
import { CreatePaymentRequests1763700000000 } from './payments/1763700000000-create-payment-requests.js';

/** A service's schema: its migrations in order, and the variable that holds its role's password. The role is named as the schema. */
export const SCHEMAS = [
  {
    schema: 'orders',
    service: 'order-service',
    passwordVariable: 'ORDERS_DB_PASSWORD',
    migrations: [CreateOrders1763700000000],
  },
  {
    schema: 'payments',
    service: 'payment-service',
    passwordVariable: 'PAYMENTS_DB_PASSWORD',
    migrations: [CreatePaymentRequests1763700000000],
  },
] as const;
