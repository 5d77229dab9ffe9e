import { type MigrationInterface } from 'typeorm';
import { CreateOrders1763700000000 } from './orders/1763700000000-create-orders.js';
import { MessagingLogAndParking1763800000000 } from './orders/1763800000000-messaging-log-and-parking.js';
import { CartsStockAndHistory1764500000000 } from './orders/1764500000000-carts-stock-and-history.js';
import { MessagingIncidentsAndOrigins1764600000000 } from './orders/1764600000000-messaging-incidents-and-origins.js';
import { IdempotencyKeyRoles1764700000000 } from './orders/1764700000000-idempotency-key-roles.js';
import { SearchWordsInTheRow1764710000000 } from './orders/1764710000000-search-words-in-the-row.js';
import { ProductHistory1764760000000 } from './orders/1764760000000-product-history.js';
import { AppendOnlyHistory1764761000000 } from './orders/1764761000000-append-only-history.js';
import { StreamTickets1764762000000 } from './orders/1764762000000-stream-tickets.js';
import { OpenOrdersOfACustomer1764763000000 } from './orders/1764763000000-open-orders-of-a-customer.js';
import { RemovalByFunctions1764764000000 } from './orders/1764764000000-removal-by-functions.js';
import { MessagingAdministration1764770000000 } from './orders/1764770000000-messaging-administration.js';
import { MessagingIndexes1764771000000 } from './orders/1764771000000-messaging-indexes.js';

/** The migrations of the schema `orders` in their order: the newest comes last. */
export const migrations: readonly (new () => MigrationInterface)[] = [
  CreateOrders1763700000000,
  MessagingLogAndParking1763800000000,
  CartsStockAndHistory1764500000000,
  MessagingIncidentsAndOrigins1764600000000,
  IdempotencyKeyRoles1764700000000,
  SearchWordsInTheRow1764710000000,
  ProductHistory1764760000000,
  AppendOnlyHistory1764761000000,
  StreamTickets1764762000000,
  OpenOrdersOfACustomer1764763000000,
  RemovalByFunctions1764764000000,
  MessagingAdministration1764770000000,
  MessagingIndexes1764771000000,
];
