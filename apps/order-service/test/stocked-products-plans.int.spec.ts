import { type TestDatabase } from '@twinbox/messaging/testing';
import { createServiceDatabase } from '@twinbox/test-support';
import { SELECT_STOCKED } from '../src/adapters/postgres/postgres-product-store.js';
import { LIVE_STATUSES } from '../src/domain/order.js';

const ORDERS = 20_000;

/** All orders are live. Each has one of ten popular products, and every hundredth also has a rare one. */
let database: TestDatabase;
beforeAll(async () => {
  database = await createServiceDatabase();
  await database.sql(
    `with made as (
       insert into orders.orders (id, customer_id, status, total, currency, version, created_at, updated_at, due_at)
       select uuidv7((n - $1) * interval '1 second'), 'ada', case when n % 5 = 0 then 'PLACED' else 'PAYMENT_PENDING' end,
              n, 'EUR', 1, now(), now(), now()
         from generate_series(1, $1::int) as n
       returning id, total)
     insert into orders.order_items (order_id, product_id, name, quantity, unit_price)
     select id, 'often-' || total % 10, 'Thing', 1, 100 from made
      union all
     select id, 'rare', 'Thing', 2, 100 from made where total % 100 = 0`,
    [ORDERS],
  );
  await database.sql(`insert into orders.products (id, name, price, currency, available, version, updated_at)
                      select id, 'Thing', 100, 'EUR', 5, 1, now() from unnest(array['often-1', 'rare']) as id`);
  await database.sql('vacuum analyze orders.orders, orders.order_items, orders.products');
});
afterAll(() => database.drop());

it('reading the reservations of a product costs only its own items in live orders', async () => {
  const read = (...ids: string[]) => database.sql(SELECT_STOCKED, [ids, LIVE_STATUSES]);

  const [{ 'QUERY PLAN': plan } = { 'QUERY PLAN': [] }] = await database.sql<{ 'QUERY PLAN': Analysis[] }>(
    `explain (analyze, format json) ${SELECT_STOCKED}`,
    [['rare'], LIVE_STATUSES],
  );

  expect(await read('rare', 'often-1')).toMatchObject([
    { id: 'often-1', reserved: ORDERS / 10 },
    { id: 'rare', reserved: ORDERS / 50 },
  ]);
  expect(itemsIn(plan[0]!.Plan)).toBe(ORDERS / 100);
});

interface PlanNode {
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly PlanNode[];
}

interface Analysis {
  readonly Plan: PlanNode;
}

/** Counts the rows of order_items that the plan has read. */
function itemsIn(node: PlanNode): number {
  const { 'Actual Rows': rows, 'Actual Loops': loops, 'Rows Removed by Filter': removed = 0, Plans = [] } = node;
  const own = node['Relation Name'] === 'order_items' ? (rows + removed) * loops : 0;
  return Plans.reduce((sum, below) => sum + itemsIn(below), own);
}
