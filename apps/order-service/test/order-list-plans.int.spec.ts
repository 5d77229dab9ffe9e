import { type TestDatabase } from '@twinbox/messaging/testing';
import { createServiceDatabase } from '@twinbox/test-support';
import { orderListStatement } from '../src/adapters/postgres/order-list-sql.js';
import { ORDER_SORTS, type OrderFilter, type OrderListing } from '../src/application/order-list.js';

const ORDERS = 10_000;

let database: TestDatabase;
beforeAll(async () => {
  database = await createServiceDatabase();
  await database.sql(
    `with made as (
       insert into orders.orders (id, customer_id, status, total, currency, version, created_at, updated_at, due_at)
       select uuidv7((n - $1) * interval '1 minute'), 'customer-' || n % 100,
              case when n % 100 < 60 then 'FINISHED' when n % 100 < 85 then 'COMPLETED' when n % 100 < 97 then 'CANCELLED'
                   when n % 100 < 99 then 'DRAFT' when n % 200 < 100 then 'PAYMENT_PENDING' else 'PLACED' end,
              100 + n * 7919 % 50000, 'EUR', 1, now(), now(), case when n % 100 = 99 then now() end
         from generate_series(1, $1::int) as n
       returning id, total)
     insert into orders.order_items (order_id, product_id, name, quantity, unit_price)
     select id, 'product-' || (total + k) % 50, 'Thing', 1, 100 from made, generate_series(1, 2) as k`,
    [ORDERS],
  );
  await database.sql('vacuum analyze orders.orders, orders.order_items');
});
afterAll(() => database.drop());

const now = Date.now();
const before = new Date(now - 60_000);
const hoursAgo = (hours: number) => new Date(now - hours * 3_600_000);

const CHOICES: { readonly [Name in keyof OrderFilter]: readonly OrderFilter[Name][] } = {
  customerId: [undefined, 'customer-7'],
  statuses: [undefined, ['PLACED'], ['FINISHED', 'COMPLETED'], ['DRAFT', 'PLACED', 'CANCELLED']],
  productId: [undefined, 'product-7'],
  totalMin: [undefined, 20_000],
  totalMax: [undefined, 22_000],
  createdFrom: [undefined, hoursAgo(80)],
  createdTo: [undefined, hoursAgo(78)],
  late: [undefined, true, false].map((isLate) =>
    isLate === undefined ? undefined : { isLate, placedBefore: before, pendingBefore: before },
  ),
};

/** Every combination of filters. */
function filters(): OrderFilter[] {
  return Object.entries(CHOICES).reduce<OrderFilter[]>(
    (some, [name, values]) => some.flatMap((filter) => values.map((value) => ({ ...filter, [name]: value }))),
    [{}],
  );
}

it.each(ORDER_SORTS.flatMap((sort) => [false, true].map((isFirst) => [sort, isFirst] as const)))(
  'P7 a list by %s reads indexes and never a whole table, whatever the filters (first page: %s)',
  async (sort, isFirst) => {
    const [middle] = await database.sql<{ id: string; total: number }>(
      'select id, total::int from orders.orders order by id limit 1 offset $1',
      [ORDERS / 2],
    );
    const after = isFirst ? undefined : middle;
    const readers: OrderListing[] = [];
    let count = 0;

    for (const filter of filters()) {
      const listing: OrderListing = { filter, sort, after, limit: 21 };
      const statement = orderListStatement(listing);
      if (!statement) continue;
      count++;
      const plan = await database.sql<{ 'QUERY PLAN': string }>(`explain ${statement.text}`, [...statement.values]);
      if (plan.some((line) => line['QUERY PLAN'].includes('Seq Scan'))) readers.push(listing);
    }

    expect(readers).toEqual([]);
    expect(count).toBeGreaterThan(500);
  },
);
