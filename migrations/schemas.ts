import { CreateOrders1763700000000 } from './orders/1763700000000-create-orders.js';
import { MessagingLogAndParking1763800000000 as OrdersMessaging } from './orders/1763800000000-messaging-log-and-parking.js';
import { CreatePaymentRequests1763700000000 } from './payments/1763700000000-create-payment-requests.js';
import { MessagingLogAndParking1763800000000 as PaymentsMessaging } from './payments/1763800000000-messaging-log-and-parking.js';

/** A service's schema: its migrations in order, and the variable that holds its role's password. The role is named as the schema. */
export const SCHEMAS = [
  {
    schema: 'orders',
    service: 'order-service',
    passwordVariable: 'ORDERS_DB_PASSWORD',
    migrations: [CreateOrders1763700000000, OrdersMessaging],
  },
  {
    schema: 'payments',
    service: 'payment-service',
    passwordVariable: 'PAYMENTS_DB_PASSWORD',
    migrations: [CreatePaymentRequests1763700000000, PaymentsMessaging],
  },
] as const;
