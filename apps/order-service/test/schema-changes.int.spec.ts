import { randomUUID } from 'node:crypto';
import { until } from '@twinbox/messaging/testing';
import { type Answer } from '@twinbox/test-support';
import { aCart, aLine, type OrderServiceHarness, startOrderService } from './order-service.harness.js';

let service: OrderServiceHarness;
beforeAll(async () => {
  service = await startOrderService();
});
afterAll(() => service.stop());

/** What docs/how-to/README.md allows while services of the previous version run. */
const CHANGES: readonly (readonly [string, ...string[]])[] = [
  ['a nullable column', 'alter table orders.orders add column added_note text'],
  ['a column with a default', `alter table orders.orders add column added_kind varchar(20) not null default 'plain'`],
  ['a table', 'create table orders.added (id uuid primary key, order_id uuid references orders.orders (id))'],
  ['an index', 'create index added_index on orders.orders (updated_at)'],
  ['an index, concurrently', 'create index concurrently added_too on orders.order_items (unit_price)'],
  ['a wider varchar', 'alter table orders.orders alter column description type varchar(1000)'],
  ['a wider varchar in a locked table', 'alter table orders.products alter column name type varchar(400)'],
  ['varchar made text', 'alter table orders.orders alter column cancel_reason type text'],
  ['int made bigint', 'alter table orders.orders alter column version type bigint'],
  [
    'int made bigint in other tables',
    'alter table orders.order_items alter column quantity type bigint',
    'alter table orders.products alter column available type bigint, alter column version type bigint',
    'alter table orders.order_timeline alter column version type bigint',
  ],
  ['no more "not null"', 'alter table orders.orders alter column updated_at drop not null'],
  [
    'a check, validated later',
    'alter table orders.orders add constraint added_check check (total >= 0) not valid',
    'alter table orders.orders validate constraint added_check',
  ],
  [
    'another value that a check allows',
    `alter table orders.orders add constraint added_status check (status <> 'NONE') not valid`,
    `alter table orders.orders drop constraint added_status,
       add constraint added_status check (status <> 'NEVER') not valid`,
  ],
];

describe('P8 under traffic, a migration that adds or widens', () => {
  it.each(CHANGES)('%s costs at most a few retries and causes no error', async (_, ...statements) => {
    const product = await service.aProduct({ stock: 1_000_000 });
    const customer = service.aCustomer();
    const answers: Answer[] = [];
    const refusedMessages: unknown[] = [];
    const ends = new AbortController();
    const shop = async () => {
      while (!ends.signal.aborted) {
        const placed = await customer.post('/orders', aCart({ items: [aLine({ productId: product, quantity: 1 })] }));
        answers.push(placed);
        if (placed.status !== 201) continue;
        answers.push(await customer.get(`/orders/${placed.body.id}`), await customer.get('/orders?limit=5'));
        const data = { orderId: String(placed.body.id), paymentRequestId: randomUUID(), reason: 'no money' };
        await service
          .receives({ type: 'PaymentFailed', data } as never)
          .catch((error: unknown) => refusedMessages.push(error));
      }
    };
    const shops = Array.from({ length: 6 }, shop);
    const handled = async (count: number) => {
      const before = answers.length;
      await until('there is traffic', () => answers.length >= before + count);
    };

    await handled(30);
    for (const statement of statements) {
      await service.database.sql(statement);
      await handled(30);
    }
    const settled = answers.length;
    await handled(60);
    ends.abort();
    await Promise.all(shops);

    const failed = answers.filter(({ status }) => status >= 400);
    expect(failed.filter(({ status, body }) => status !== 503 || !String(body.type).endsWith(':try-again'))).toEqual(
      [],
    );
    expect(failed.length).toBeLessThanOrEqual(20);
    expect(answers.slice(settled + 12).filter(({ status }) => status >= 400)).toEqual([]);
    expect(refusedMessages.length).toBeLessThanOrEqual(6);
    const [read] = answers.filter(({ body }) => body.version !== undefined).slice(-1);
    expect(typeof read?.body.version).toBe('number');
  });
});
