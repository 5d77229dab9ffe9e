import { createDatabase, type TestDatabase } from '@twinbox/messaging/testing';
import { migrateSchemas } from '@twinbox/migrations';
import { bySchema } from '@twinbox/migrations/services';

export const PRODUCTS = 200;
/** On average. A larger shop has more customers, not customers who order more. */
const ORDERS_OF_A_CUSTOMER = 100;

export const customersOf = (orders: number): number => orders / ORDERS_OF_A_CUSTOMER;

/**
 * Creates a database with orders spread evenly over the last 100 days. Most are finished and few are open. Each has one to three of 200
 * products, some of which sell better than others.
 */
export async function createOrders(serverUrl: string, orders: number): Promise<TestDatabase> {
  const database = await createDatabase(serverUrl);
  await migrateSchemas(
    database.url,
    bySchema((schema) => schema),
  );
  await database.sql(
    `insert into orders.products (id, name, price, currency, available, version, updated_at)
     select 'product-' || n, 'Product ' || n, 100 + (n * 7919) % 9900, 'EUR', 1000000, 1, now()
       from generate_series(1, $1::int) as n`,
    [PRODUCTS],
  );
  await database.sql(
    `with drawn as materialized (
       select n, uuidv7((n - $1 - 1) * (interval '100 days' / $1)) as id, random() as fate,
              'customer-' || floor(random() * $2)::int as customer_id
         from generate_series(1, $1::int) as n),
     items as materialized (
       select distinct on (n, products.id) n, drawn.id as order_id, products.id as product_id, name, price,
              1 + floor(random() * 3)::int as quantity
         from drawn
              cross join lateral (
                select 1 + floor($3 * power(random(), 1.5))::int as product
                  from generate_series(1, 1 + n % 3)) as choice
              join orders.products on products.id = 'product-' || choice.product
        order by n, products.id),
     totals as (select n, sum(quantity * price) as total from items group by n),
     placed as (
       insert into orders.orders
         (id, customer_id, status, total, currency, version, created_at, updated_at, due_at)
       select id, customer_id,
              case when fate < 0.600 then 'FINISHED' when fate < 0.850 then 'COMPLETED' when fate < 0.975 then 'CANCELLED'
                   when fate < 0.995 then 'DRAFT' when fate < 0.999 then 'PAYMENT_PENDING' else 'PLACED' end,
              total, 'EUR', 3, uuid_extract_timestamp(id), uuid_extract_timestamp(id),
              case when fate >= 0.995 then now() + (random() * 1800 - 600) * interval '1 second' end
         from drawn join totals using (n)
        order by n)
     insert into orders.order_items (order_id, product_id, name, quantity, unit_price)
     select order_id, product_id, name, quantity, price from items order by n`,
    [orders, customersOf(orders), PRODUCTS],
  );
  // Autovacuum would do this soon. Done here, it does not run during the measurement.
  await database.sql('vacuum analyze');
  await database.sql('checkpoint');
  return database;
}
