import { until } from '@twinbox/messaging/testing';
import { v7 as uuidv7 } from 'uuid';
import { aCart, type OrderServiceHarness, startOrderService } from './order-service.harness.js';

let service: OrderServiceHarness;
beforeAll(async () => {
  service = await startOrderService();
});
afterAll(() => service.stop());

async function anOrder(): Promise<string> {
  return (await service.aCustomer('ada').post('/orders', aCart())).body.id;
}

async function metrics(name = 'orders_late'): Promise<string[]> {
  const { body } = await service.caller({}).get('/metrics');
  return String(body)
    .split('\n')
    .filter((text) => text.startsWith(`${name}{`));
}

/** Moves the due time of the order into the past. */
async function age(orderId: string, seconds: number): Promise<void> {
  await service.database.sql(`update orders.orders set due_at = due_at - make_interval(secs => $2) where id = $1`, [
    orderId,
    seconds,
  ]);
}

const isLate = async (orderId: string) => (await service.aCustomer('ada').get(`/orders/${orderId}`)).body.late;

it('P9 an order that waits too long for its payment request or its result is late and is counted', async () => {
  const [placed, pending, paid, fresh] = [await anOrder(), await anOrder(), await anOrder(), await anOrder()];
  for (const orderId of [pending, paid])
    await service.receives({
      type: 'PaymentRequested',
      data: { orderId, paymentRequestId: uuidv7(), expiresAt: new Date().toISOString() },
    });
  const before = await metrics();

  await age(placed, 61);
  await age(pending, 61);
  await age(paid, 61);
  await service.receives({
    type: 'PaymentSucceeded',
    data: { orderId: paid, paymentRequestId: await requestOf(paid) },
  });

  expect(before).toEqual(['orders_late{status="PLACED"} 0', 'orders_late{status="PAYMENT_PENDING"} 0']);
  expect(await Promise.all([placed, pending, paid, fresh].map(isLate))).toEqual([true, true, false, false]);
  // A reading of the database is shared by the scrapes of a second.
  await until('the metrics are current', async () => (await metrics())[0]?.endsWith(' 1'));
  expect(await metrics()).toEqual(['orders_late{status="PLACED"} 1', 'orders_late{status="PAYMENT_PENDING"} 1']);
  expect((await metrics('orders')).toSorted()).toEqual([
    'orders{status="CANCELLED"} 0',
    'orders{status="COMPLETED"} 1',
    'orders{status="DRAFT"} 0',
    'orders{status="FINISHED"} 0',
    'orders{status="PAYMENT_PENDING"} 1',
    'orders{status="PLACED"} 2',
  ]);
});

it('P9 estimates the number of orders of a status beyond 10,000 from the statistics, so that history costs nothing', async () => {
  await service.database.sql(`
    insert into orders.orders (id, customer_id, status, total, currency, version, created_at, updated_at)
    select uuidv7(), 'ada', case n % 4 when 0 then 'COMPLETED' when 1 then 'CANCELLED' else 'FINISHED' end, 1, 'EUR', 1, now(), now()
      from generate_series(1, 60000) as n`);
  await service.database.sql('analyze orders.orders');
  const before = await readAlong();

  const finished = await until('the metrics are current', async () =>
    (await metrics('orders')).find((sample) => /FINISHED"} [1-9]/.test(sample)),
  );

  expect(Number(finished.split(' ').at(-1))).toBeGreaterThan(29_000);
  expect(Number(finished.split(' ').at(-1))).toBeLessThan(31_000);
  const after = await until('the statistics include a scrape', async () => {
    await metrics('orders');
    const now = await readAlong();
    return now.orders_status - before.orders_status >= 10_000 && now;
  });
  // Along the primary key, each status would cost the history of the others.
  expect(after.orders_pkey - before.orders_pkey).toBeLessThan(1000);
});

/** How many entries of each index PostgreSQL has read. */
async function readAlong(): Promise<{ orders_status: number; orders_pkey: number }> {
  const rows = await service.database.sql<{ name: string; entries: number }>(
    `select indexrelname as name, idx_tup_read::int as entries from pg_stat_user_indexes where relname = 'orders'`,
  );
  return Object.fromEntries(rows.map(({ name, entries }) => [name, entries])) as Awaited<ReturnType<typeof readAlong>>;
}

async function requestOf(orderId: string): Promise<string> {
  return (await service.aCustomer('ada').get(`/orders/${orderId}`)).body.payment.paymentRequestId;
}
