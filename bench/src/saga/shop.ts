import { randomBytes } from 'node:crypto';
import { ORDER_EVENTS, PAYMENT_EVENTS } from '@twinbox/contracts';
import { createTopics } from '@twinbox/messaging';
import { createDatabase, type TestDatabase } from '@twinbox/messaging/testing';
import { migrateSchemas } from '@twinbox/migrations';
import { bySchema, SCHEMA_OF, type ServiceName } from '@twinbox/migrations/services';
import { QUOTAS_FOR_LOAD, WITHOUT_RATE_LIMITS } from '@twinbox/tools';
import { logLevel } from 'kafkajs';
import { kafkaJs, securityOf, variablesOf } from '../support/secured.js';
import { type Servers } from '../support/servers.js';

/** Everything that the two services need: topics, and a migrated database with products and no orders. */
export interface Shop {
  readonly database: TestDatabase;
  /** Returns the environment of a replica of the service. */
  env(service: ServiceName): Record<string, string>;
  close(): Promise<void>;
}

export const PRODUCTS = 200;

export const productId = (n: number): string => `product-${n % PRODUCTS}`;

export async function openShop({ databaseUrl, ...kafka }: Servers): Promise<Shop> {
  const { brokers } = kafka;
  const unique = randomBytes(4).toString('hex');
  const topics = { orders: `order.events-${unique}`, payments: `payment.events-${unique}` };
  await createTopics({ brokers, clientId: 'bench', ...securityOf(kafka) }, [
    { ...ORDER_EVENTS, name: topics.orders },
    { ...PAYMENT_EVENTS, name: topics.payments },
  ]);
  const database = await createDatabase(databaseUrl);
  await migrateSchemas(
    database.url,
    bySchema((schema) => schema),
  );
  // More than is ever sold, because the sale is measured, not the shortage.
  await database.sql(
    `insert into orders.products (id, name, price, currency, available, version, updated_at)
     select 'product-' || n, 'Product ' || n, 100 + n * 7, 'EUR', 1000000000, 1, now()
       from generate_series(0, $1::int - 1) as n`,
    [PRODUCTS],
  );
  await database.sql('vacuum analyze orders.products');
  return {
    database,
    env: (service) => ({
      // The load comes from a few callers at one address. The limit of overload stays on, because it must not affect a normal load.
      ...WITHOUT_RATE_LIMITS,
      DATABASE_URL: database.urlFor(SCHEMA_OF[service], SCHEMA_OF[service]),
      KAFKA_BROKERS: brokers.join(','),
      ...variablesOf(kafka),
      ORDER_EVENTS_TOPIC: topics.orders,
      PAYMENT_EVENTS_TOPIC: topics.payments,
      CONSUMER_GROUP: `${service}-${unique}`,
      NOTIFICATIONS_GROUP: `notifications-${unique}`,
      ...QUOTAS_FOR_LOAD,
    }),
    async close() {
      await database.drop();
      const admin = kafkaJs(kafka, 'bench', logLevel.ERROR).admin();
      await admin.connect();
      await admin.deleteTopics({ topics: Object.values(topics) });
      await admin.disconnect();
    },
  };
}
