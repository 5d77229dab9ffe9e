import { type MigrationInterface } from 'typeorm';
import { CreatePaymentRequests1763700000000 } from './payments/1763700000000-create-payment-requests.js';
import { MessagingLogAndParking1763800000000 } from './payments/1763800000000-messaging-log-and-parking.js';
import { ExpiryRefundsAndHistory1764500000000 } from './payments/1764500000000-expiry-refunds-and-history.js';
import { MessagingIncidentsAndOrigins1764600000000 } from './payments/1764600000000-messaging-incidents-and-origins.js';
import { IdempotencyKeyRoles1764700000000 } from './payments/1764700000000-idempotency-key-roles.js';
import { DecidedByNamedOperators1764710000000 } from './payments/1764710000000-decided-by-named-operators.js';
import { PaymentTimelineCancelled1764730000000 } from './payments/1764730000000-payment-timeline-cancelled.js';
import { AppendOnlyHistory1764761000000 } from './payments/1764761000000-append-only-history.js';
import { RemovalByFunctions1764764000000 } from './payments/1764764000000-removal-by-functions.js';
import { MessagingAdministration1764770000000 } from './payments/1764770000000-messaging-administration.js';
import { MessagingIndexes1764771000000 } from './payments/1764771000000-messaging-indexes.js';

/** The migrations of the schema `payments` in their order: the newest comes last. */
export const migrations: readonly (new () => MigrationInterface)[] = [
  CreatePaymentRequests1763700000000,
  MessagingLogAndParking1763800000000,
  ExpiryRefundsAndHistory1764500000000,
  MessagingIncidentsAndOrigins1764600000000,
  IdempotencyKeyRoles1764700000000,
  DecidedByNamedOperators1764710000000,
  PaymentTimelineCancelled1764730000000,
  AppendOnlyHistory1764761000000,
  RemovalByFunctions1764764000000,
  MessagingAdministration1764770000000,
  MessagingIndexes1764771000000,
];
