import { CreateOrders1763700000000 } from './orders/1763700000000-create-orders.js';
import { MessagingLogAndParking1763800000000 as OrdersMessaging } from './orders/1763800000000-messaging-log-and-parking.js';
import { CartsStockAndHistory1764500000000 } from './orders/1764500000000-carts-stock-and-history.js';
import { MessagingIncidentsAndOrigins1764600000000 as OrdersIncidents } from './orders/1764600000000-messaging-incidents-and-origins.js';
import { IdempotencyKeyRoles1764700000000 as OrdersKeyRoles } from './orders/1764700000000-idempotency-key-roles.js';
import { SearchWordsInTheRow1764710000000 } from './orders/1764710000000-search-words-in-the-row.js';
import { CreatePaymentRequests1763700000000 } from './payments/1763700000000-create-payment-requests.js';
import { MessagingLogAndParking1763800000000 as PaymentsMessaging } from './payments/1763800000000-messaging-log-and-parking.js';
import { ExpiryRefundsAndHistory1764500000000 } from './payments/1764500000000-expiry-refunds-and-history.js';
import { MessagingIncidentsAndOrigins1764600000000 as PaymentsIncidents } from './payments/1764600000000-messaging-incidents-and-origins.js';
import { IdempotencyKeyRoles1764700000000 as PaymentsKeyRoles } from './payments/1764700000000-idempotency-key-roles.js';
import { DecidedByNamedOperators1764710000000 } from './payments/1764710000000-decided-by-named-operators.js';
import { PaymentTimelineCancelled1764730000000 } from './payments/1764730000000-payment-timeline-cancelled.js';

/** The schema of each service, with its migrations in order and the variable with its role's password. The role has the schema's name. */
export const SCHEMAS = [
  {
    schema: 'orders',
    service: 'order-service',
    passwordVariable: 'ORDERS_DB_PASSWORD',
    migrations: [
      // The newest comes last.
      CreateOrders1763700000000,
      OrdersMessaging,
      CartsStockAndHistory1764500000000,
      OrdersIncidents,
      OrdersKeyRoles,
      SearchWordsInTheRow1764710000000,
    ],
  },
  {
    schema: 'payments',
    service: 'payment-service',
    passwordVariable: 'PAYMENTS_DB_PASSWORD',
    migrations: [
      CreatePaymentRequests1763700000000,
      PaymentsMessaging,
      ExpiryRefundsAndHistory1764500000000,
      PaymentsIncidents,
      PaymentsKeyRoles,
      DecidedByNamedOperators1764710000000,
      PaymentTimelineCancelled1764730000000,
    ],
  },
] as const;
