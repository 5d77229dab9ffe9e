import { randomUUID } from 'node:crypto';
import { type Answer, createServiceDatabase, expectProblem } from '@twinbox/test-support';
import { type TestDatabase, until } from '@twinbox/messaging/testing';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { DRAFTS, HOLDINGS } from '../src/adapters/postgres/postgres-quota-store.js';
import { aCart, aLine, type OrderServiceHarness, startOrderService } from './order-service.harness.js';

const QUOTAS = { MAX_DRAFTS: '4', MAX_UNPAID_ORDERS: '5', MAX_HELD_PIECES: '200', MAX_HELD_SHARE: '0.5' };
const AT_ONCE = 50;
const paymentRequestId = uuidv7();

let database: TestDatabase;
/** Two replicas. */
let service: OrderServiceHarness;
let other: OrderServiceHarness;
beforeAll(async () => {
  database = await createServiceDatabase();
  service = await startOrderService(QUOTAS, Promise.resolve(database));
  other = await startOrderService(QUOTAS, Promise.resolve(database));
});
afterAll(async () => {
  await other.app.close();
  await service.stop();
});

type Customer = ReturnType<OrderServiceHarness['aCustomer']>;

/** Repeats a request that did not get its turn in time, and changed nothing. */
async function decided(ask: () => Promise<Answer>): Promise<Answer> {
  const answer = await ask();
  return answer.status === 503 ? decided(ask) : answer;
}

const place = (customer: Customer, quantity = 1, productId = 'tea'): Promise<Answer> =>
  decided(() => customer.post('/orders', aCart({ items: [aLine({ productId, quantity })] })));
const openCart = (customer: Customer): Promise<Answer> =>
  decided(() => customer.post('/orders', aCart({ draft: true })));

async function times<T>(count: number, run: (n: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, n) => run(n)));
}

const withStatus = (answers: readonly Answer[], status: number) => answers.filter((answer) => answer.status === status);

async function countOf(customerId: string, statuses: readonly string[]): Promise<number> {
  const [row] = await database.sql<{ count: number }>(
    'select count(*)::int from orders.orders where customer_id = $1 and status = any($2)',
    [customerId, statuses],
  );
  return row?.count ?? 0;
}
const unpaid = (customerId: string) => countOf(customerId, ['PLACED', 'PAYMENT_PENDING']);

describe('unpaid orders', () => {
  it('are limited for each customer, with a problem that says what to do', async () => {
    const ada = service.aCustomer();
    await times(5, () => place(ada));

    const refused = await place(ada);

    expectProblem(refused, 409, 'too-many-unpaid-orders', { most: 5 });
    expect(refused.body.detail).toBe(
      'A customer may have at most 5 unpaid orders. Pay for one of them or cancel it first.',
    );
    expect((await place(service.aCustomer())).status).toBe(201);
  });

  it.each([
    ['in one group', (ada: Customer) => times(AT_ONCE, () => place(ada))],
    [
      'with idempotency keys',
      ({ userId }: Customer) =>
        times(AT_ONCE, (n) => place(service.aCustomer(userId, { 'idempotency-key': `key-${n}` }))),
    ],
    [
      'at two replicas, with and without keys',
      ({ userId }: Customer) =>
        times(AT_ONCE, (n) => {
          const replica = n % 2 === 0 ? service : other;
          const key: Record<string, string> = n % 4 < 2 ? {} : { 'idempotency-key': `key-${n}` };
          return place(replica.aCustomer(userId, key));
        }),
    ],
  ])('are exactly as many as allowed after concurrent requests %s', async (_, placeAll) => {
    const ada = service.aCustomer();

    const answers = await placeAll(ada);

    expect(withStatus(answers, 201)).toHaveLength(5);
    for (const answer of withStatus(answers, 409)) expectProblem(answer, 409, 'too-many-unpaid-orders', { most: 5 });
    expect(withStatus(answers, 409)).toHaveLength(AT_ONCE - 5);
    expect(await unpaid(ada.userId)).toBe(5);
  });

  it('are exactly as many as allowed if carts are placed concurrently', async () => {
    const ada = service.aCustomer();
    await times(3, () => place(ada));
    const carts = await times(4, () => openCart(ada));

    const answers = await times(4, (n) => {
      const replica = n % 2 === 0 ? service : other;
      return decided(() => replica.aCustomer(ada.userId).post(`/orders/${carts[n]?.body.id}/place`, {}));
    });

    expect(withStatus(answers, 200)).toHaveLength(2);
    for (const answer of withStatus(answers, 409)) expectProblem(answer, 409, 'too-many-unpaid-orders', { most: 5 });
    expect(await unpaid(ada.userId)).toBe(5);
    expect(await countOf(ada.userId, ['DRAFT'])).toBe(2);
  });

  it.each([
    ['is cancelled', (ada: Customer, id: string) => ada.post(`/orders/${id}/cancel`, { reason: 'no more' })],
    [
      'is paid',
      (_: Customer, orderId: string) =>
        service.receives({ type: 'PaymentSucceeded', data: { orderId, paymentRequestId } }),
    ],
    [
      'fails or expires',
      (_: Customer, orderId: string) =>
        service.receives({
          type: 'PaymentFailed',
          data: { orderId, paymentRequestId, reason: 'expired', actor: 'system' },
        }),
    ],
  ])('make room when one %s', async (_, end) => {
    const ada = service.aCustomer();
    const answers = await times(5, () => place(ada));
    await service.receives({
      type: 'PaymentRequested',
      data: { orderId: answers[0]?.body.id, paymentRequestId, expiresAt: new Date().toISOString() },
    });
    expectProblem(await place(ada), 409, 'too-many-unpaid-orders', { most: 5 });

    await end(ada, answers[0]?.body.id);

    expect((await place(ada)).status).toBe(201);
    expectProblem(await place(ada), 409, 'too-many-unpaid-orders', { most: 5 });
  });

  it('beyond the quota, from a replica of the previous version, are counted and stay valid', async () => {
    const ada = service.aCustomer();
    const [first] = await times(5, () => place(ada));
    await database.sql(
      `insert into orders.orders select * from jsonb_populate_record(
         (select o from orders.orders o where id = $1), jsonb_build_object('id', $2::text))`,
      [first?.body.id, uuidv7()],
    );

    expectProblem(await place(ada), 409, 'too-many-unpaid-orders', { most: 5 });
    await ada.post(`/orders/${first?.body.id}/cancel`, { reason: 'no more' });

    expectProblem(await place(ada), 409, 'too-many-unpaid-orders', { most: 5 });
  });
});

describe('held pieces', () => {
  it('are limited over all products', async () => {
    const ada = service.aCustomer();
    await place(ada, 150);
    const productId = await service.aProduct({ stock: 1000 });

    const refused = await place(ada, 51, productId);

    expectProblem(refused, 409, 'too-many-pieces-held', { most: 200, held: 150, requested: 51 });
    expect((await place(ada, 50, productId)).status).toBe(201);
  });

  it('are at most half of what others do not hold, above ten', async () => {
    const [ada, bob] = [service.aCustomer(), service.aCustomer()];
    const productId = await service.aProduct({ stock: 100 });
    await place(ada, 40, productId);

    const refused = await place(ada, 11, productId);
    const answers = [await place(ada, 10, productId), await place(bob, 26, productId), await place(bob, 25, productId)];

    expectProblem(refused, 409, 'too-large-share-held', {
      over: [{ productId, most: 50, held: 40, requested: 11 }],
    });
    expect(answers.map(({ status }) => status)).toEqual([201, 409, 201]);
    const rest = await service.aProduct({ stock: 10 });
    expect((await place(bob, 10, rest)).status).toBe(201);
  });

  it('leave something of a product, however many orders a customer places at once', async () => {
    const { userId } = service.aCustomer();
    const productId = await service.aProduct({ stock: 60 });

    await times(AT_ONCE, (n) =>
      place(
        (n % 2 === 0 ? service : other).aCustomer(userId, n % 4 < 2 ? {} : { 'idempotency-key': randomUUID() }),
        7,
        productId,
      ),
    );

    const [product] = await database.sql('select available from orders.products where id = $1', [productId]);
    expect(product).toEqual({ available: 60 - 4 * 7 });
  });

  it('do not include the pieces in carts', async () => {
    const ada = service.aCustomer();
    await ada.post('/orders', aCart({ draft: true, items: [aLine({ quantity: 1000 })] }));

    expect((await place(ada, 200)).status).toBe(201);
  });
});

describe('carts', () => {
  it('are exactly as many as allowed after concurrent requests at two replicas', async () => {
    const ada = service.aCustomer();

    const answers = await times(AT_ONCE, (n) => openCart((n % 2 === 0 ? service : other).aCustomer(ada.userId)));

    expect(withStatus(answers, 201)).toHaveLength(4);
    const [refused] = withStatus(answers, 409);
    expectProblem(refused!, 409, 'too-many-drafts', { most: 4 });
    expect(refused?.body.detail).toBe('A customer may have at most 4 carts. Place or discard one of them first.');
    expect(await countOf(ada.userId, ['DRAFT'])).toBe(4);
    expect((await place(ada)).status).toBe(201);
  });

  it('make room when one is placed or discarded', async () => {
    const ada = service.aCustomer();
    const [first, second] = await times(4, () => openCart(ada));
    await ada.post(`/orders/${first?.body.id}/place`, {});
    await ada.post(`/orders/${second?.body.id}/cancel`, { reason: 'no more' });

    const answers = [await openCart(ada), await openCart(ada), await openCart(ada)];

    expect(answers.map(({ status }) => status)).toEqual([201, 201, 409]);
  });

  it('apply to operators as to everyone else', async () => {
    const olga = service.anOperator();
    await times(4, () => olga.post('/orders', aCart({ draft: true })));

    expectProblem(await olga.post('/orders', aCart({ draft: true })), 409, 'too-many-drafts', { most: 4 });
  });
});

describe('a customer whose lock is held', () => {
  async function waiters(): Promise<number> {
    const rows = await database.sql(`
      select from pg_stat_activity
       where wait_event_type = 'Lock' and wait_event = 'advisory' and datname = current_database()`);
    return rows.length;
  }

  it('P8 occupies few connections, and other customers are served meanwhile', async () => {
    const ada = service.aCustomer();
    const client = new pg.Client({ connectionString: database.directUrl });
    await client.connect();
    try {
      await client.query('begin');
      await client.query('select pg_advisory_xact_lock(hashtextextended($1, 1))', [ada.userId]);

      const waiting = times(AT_ONCE, () => place(service.aCustomer(ada.userId, { 'idempotency-key': randomUUID() })));
      await until('one of the requests waits for the lock', async () => (await waiters()) === 1);
      const seen: number[] = [];
      for (let others = 0; others < 10; others++) {
        await place(service.aCustomer(undefined, { 'idempotency-key': randomUUID() }));
        seen.push(await waiters());
      }
      await client.query('rollback');

      // None at the moment when one has given up and the next has not asked yet.
      expect(seen.filter((count) => count > 1)).toEqual([]);
      await waiting;
      expect(await unpaid(ada.userId)).toBeLessThanOrEqual(5);
    } finally {
      await client.end();
    }
  });
});

describe('plans', () => {
  it('P7 count by orders_open, however many finished orders a customer has', async () => {
    await database.sql(`
      insert into orders.orders (id, customer_id, status, total, currency, version, created_at, updated_at)
      select uuidv7(n * interval '-1 minute'), case when n % 10 < 8 then 'regular' else 'customer-' || n end,
             case n % 100 when 99 then 'PLACED' when 98 then 'DRAFT' else 'FINISHED' end, 100, 'EUR', 1, now(), now()
        from generate_series(1, 20000) as n`);
    await database.sql(`
      insert into orders.order_items (order_id, product_id, name, quantity, unit_price)
      select id, 'tea', 'Tea', 1, 100 from orders.orders on conflict do nothing`);
    await database.sql('analyze orders.orders, orders.order_items');
    const explain = async (statement: string) => {
      const rows = await database.sql<{ 'QUERY PLAN': string }>(`explain (generic_plan) ${statement}`);
      return rows.map((row) => row['QUERY PLAN']).join('\n');
    };

    const plans = [await explain(HOLDINGS), await explain(DRAFTS)];

    for (const plan of plans) {
      expect(plan).toContain('orders_open');
      expect(plan).not.toMatch(/Seq Scan|orders_customer|orders_status/);
    }
    expect(plans[0]).toContain('order_items_pkey');
  });
});

it('the OpenAPI document describes every response of these tests', () => {
  expect([...service.undocumented(), ...other.undocumented()]).toEqual([]);
});
