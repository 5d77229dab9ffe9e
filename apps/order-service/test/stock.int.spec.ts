import { randomInt, randomUUID } from 'node:crypto';
import { type PaymentEvent } from '@twinbox/contracts';
import { type Answer, expectProblem } from '@twinbox/test-support';
import { until } from '@twinbox/messaging/testing';
import { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { ApplyPaymentEvent } from '../src/application/apply-payment-event.js';
import { PutProduct } from '../src/application/put-product.js';
import { type OrderServiceHarness, startOrderService } from './order-service.harness.js';

let service: OrderServiceHarness;
beforeAll(async () => {
  service = await startOrderService();
});
afterAll(() => service.stop());

const order = (...items: [productId: string, quantity: number][]) => ({
  items: items.map(([productId, quantity]) => ({ productId, quantity })),
});

/** What is available, what was released but not yet added to it, and what live orders have reserved. */
async function stockOf(productId: string) {
  const [stock] = await service.database.sql<{ available: number; released: number; reserved: number }>(
    `select available,
            (select coalesce(sum(quantity), 0)::int from orders.stock_releases where product_id = p.id) as released,
            (select coalesce(sum(i.quantity), 0)::int
               from orders.order_items i join orders.orders o on o.id = i.order_id
              where i.product_id = p.id and o.status in ('PLACED', 'PAYMENT_PENDING')) as reserved
       from orders.products p where id = $1`,
    [productId],
  );
  if (!stock) throw new Error(`no product ${productId}`);
  return { ...stock, total: stock.available + stock.released + stock.reserved };
}

async function available(productId: string): Promise<number> {
  return (await service.aCustomer().get(`/products/${productId}`)).body.available;
}

/** Whether one transaction waits for the lock of a product that another holds. */
async function isSomebodyWaiting(): Promise<boolean> {
  const waiting = await service.database.sql(`select from pg_stat_activity where wait_event_type = 'Lock'
    and datname = current_database() and query like '%orders.products%for no key update%'`);
  return waiting.length === 1;
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: randomInt(1_000_000) }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

describe('placing', () => {
  it('reserves what is ordered', async () => {
    const productId = await service.aProduct({ stock: 10 });

    const { status } = await service.aCustomer().post('/orders', order([productId, 3], [productId, 1]));

    expect(status).toBe(201);
    expect(await stockOf(productId)).toMatchObject({ available: 6, reserved: 4 });
    expect(await available(productId)).toBe(6);
  });

  it('sells the last piece, then names what is short and changes nothing', async () => {
    const [few, none] = [await service.aProduct({ stock: 2 }), await service.aProduct({ stock: 0 })];
    const { post } = service.aCustomer();
    const last = await post('/orders', order([few, 2]));
    const before = await service.counts();

    const answer = await post('/orders', order([few, 1], ['tea', 5], [none, 7]));

    expect(last.status).toBe(201);
    expectProblem(answer, 409, 'insufficient-stock', {
      short: [
        { productId: few, requested: 1, available: 0 },
        { productId: none, requested: 7, available: 0 },
      ],
    });
    expect(await service.counts()).toEqual(before);
  });

  it('sells again what a cancelled order released', async () => {
    const productId = await service.aProduct({ stock: 3 });
    const { post } = service.aCustomer();
    const { body } = await post('/orders', order([productId, 3]));
    await post(`/orders/${body.id}/cancel`, { reason: 'too much' });

    expect(await available(productId)).toBe(3);
    expect((await post('/orders', order([productId, 2]))).status).toBe(201);
    expect(await stockOf(productId)).toMatchObject({ available: 1, released: 0, reserved: 2 });
  });

  it('reserves nothing for a draft until it is placed', async () => {
    const productId = await service.aProduct({ stock: 3 });
    const { post } = service.aCustomer();

    const { body } = await post('/orders', { draft: true, ...order([productId, 3]) });
    expect(await available(productId)).toBe(3);
    await post(`/orders/${body.id}/place`);

    expect(await available(productId)).toBe(0);
  });
});

describe('50 concurrent orders', () => {
  const statuses = (answers: readonly Answer[]) =>
    Object.fromEntries(
      [...Map.groupBy(answers, ({ status }) => status)].map(([status, { length }]) => [status, length]),
    );

  /** Retries with a key after a 503, as a client does when the machine is busy. */
  const patiently = async (path: string, body?: object, userId?: string): Promise<Answer> => {
    const client = service.aCustomer(userId, { 'idempotency-key': randomUUID() });
    for (;;) {
      const answer = await client.post(path, body);
      if (answer.status !== 503) return answer;
    }
  };

  it('sell 10 pieces to exactly 10 customers', async () => {
    const productId = await service.aProduct({ stock: 10 });

    const answers = await Promise.all(
      Array.from({ length: 50 }, async () => patiently('/orders', order([productId, 1]))),
    );

    expect(statuses(answers)).toEqual({ 201: 10, 409: 40 });
    for (const answer of answers.filter(({ status }) => status === 409))
      expectProblem(answer, 409, 'insufficient-stock', { short: [{ productId, requested: 1, available: 0 }] });
    expect(await stockOf(productId)).toEqual({ available: 0, released: 0, reserved: 10, total: 10 });
  });

  it('of several products in random order sell each piece once and never deadlock', async () => {
    const productIds = await Promise.all([10, 60, 60, 60].map((stock) => service.aProduct({ stock })));
    const [scarce = ''] = productIds;

    const answers = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const items = shuffled(productIds).map((productId): [string, number] => [productId, 1]);
        return patiently('/orders', order(...items));
      }),
    );

    expect(statuses(answers)).toEqual({ 201: 10, 409: 40 });
    expect(await stockOf(scarce)).toMatchObject({ available: 0, reserved: 10 });
    for (const productId of productIds.slice(1))
      expect(await stockOf(productId)).toMatchObject({ available: 50, reserved: 10, total: 60 });
  });

  it('of drafts sell 10 pieces to exactly 10 customers', async () => {
    const productId = await service.aProduct({ stock: 10 });
    const { userId } = service.aCustomer();
    const drafts = await Promise.all(
      Array.from({ length: 50 }, async () => patiently('/orders', { draft: true, ...order([productId, 1]) }, userId)),
    );

    const answers = await Promise.all(
      drafts.map(async ({ body }) => patiently(`/orders/${body.id}/place`, undefined, userId)),
    );

    expect(statuses(answers)).toEqual({ 200: 10, 409: 40 });
    expect(await stockOf(productId)).toMatchObject({ available: 0, reserved: 10, total: 10 });
  });

  it.each([
    ['are cancelled or fail, and the stock is set', 'fails'],
    ['are cancelled, fail or are paid', 'succeeds'],
  ] as const)('conserve stock while others %s', async (_, result) => {
    const productIds = await Promise.all(Array.from({ length: 3 }, () => service.aProduct({ stock: 20 })));
    const customer = service.aCustomer();
    const payments = new Payments();
    const live = async (): Promise<Answer[]> => {
      const items = shuffled(productIds)
        .slice(0, randomInt(1, 4))
        .map((productId): [string, number] => [productId, randomInt(1, 4)]);
      const placed = await customer.post('/orders', order(...items));
      if (placed.status !== 201) return [placed];
      const { id } = placed.body;
      const ending = randomInt(4);
      if (ending === 1) payments.publish(id, 'fails');
      if (ending === 2) payments.publish(id, result);
      return ending === 0 ? [placed, await customer.post(`/orders/${id}/cancel`, { reason: 'no more' })] : [placed];
    };
    const count = async (): Promise<Answer[]> => {
      const facts = { name: 'Thing', price: 100, currency: 'EUR', stock: 20 };
      return [await service.anOperator().send('PUT', `/products/${productIds[randomInt(3)]}`, facts)];
    };

    const acting = Promise.all(
      Array.from({ length: 6 }, async (_, n) => {
        const answers: Answer[] = [];
        const act = n === 0 && result === 'fails' ? count : live;
        for (let times = 0; times < 25; times++) answers.push(...(await act()));
        return answers;
      }),
    );
    const [answers] = await Promise.all([acting, payments.deliverUntil(acting)]);

    expect(answers.flat().filter(({ status }) => ![200, 201, 409, 503].includes(status))).toEqual([]);
    expect(answers.flat().some(({ status }) => status === 409)).toBe(true);
    for (const productId of productIds) {
      const [{ sold } = { sold: 0 }] = await service.database.sql<{ sold: number }>(
        `select coalesce(sum(i.quantity), 0)::int as sold from orders.order_items i join orders.orders o on o.id = i.order_id
          where i.product_id = $1 and o.status = 'COMPLETED'`,
        [productId],
      );
      expect((await stockOf(productId)).total + sold).toBe(20);
    }
  });

  it('met no deadlock', async () => {
    // A client would only see a 503. A connection reports its statistics when it ends, at the latest.
    const others = `from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`;
    await service.database.sql(`select pg_terminate_backend(pid, 5000) ${others} and application_name <> ''`);
    const [stats] = await service.database.sql(
      'select deadlocks::int from pg_stat_database where datname = current_database()',
    );

    expect(stats).toEqual({ deadlocks: 0 });
  });
});

/** Handles payment events as the inbox's group commit does, with all that are pending in one transaction. */
class Payments {
  private pending: PaymentEvent[] = [];

  publish(orderId: string, result: 'succeeds' | 'fails'): void {
    const data = { orderId, paymentRequestId: uuidv7() };
    this.pending.push({ type: 'PaymentRequested', data });
    this.pending.push(
      result === 'fails'
        ? { type: 'PaymentFailed', data: { ...data, reason: 'declined' } }
        : { type: 'PaymentSucceeded', data },
    );
  }

  async deliverUntil(ended: Promise<unknown>): Promise<void> {
    const acting = { continues: true };
    const end = ended.finally(() => {
      acting.continues = false;
    });
    while (acting.continues || this.pending.length > 0) {
      const group = this.pending;
      this.pending = [];
      await service.app.get(DataSource).transaction(async (tx) => {
        for (const event of group) await service.app.get(ApplyPaymentEvent).execute(tx, event, randomUUID());
        await tx.query('select pg_sleep(0.02)');
      });
    }
    await end;
  }
}

it('PaymentFailed in a group commit neither waits for a sale nor delays one', async () => {
  const productIds = await Promise.all([service.aProduct(), service.aProduct()]);
  const customer = service.aCustomer();
  const placed = await Promise.all(productIds.map((productId) => customer.post('/orders', order([productId, 1]))));
  const dataSource = service.app.get(DataSource);

  await dataSource.transaction(async (sale) => {
    // Like a sale that locks both products and outlasts the group.
    await sale.query('select from orders.products where id = any($1) order by id for no key update', [productIds]);
    await dataSource.transaction(async (group) => {
      for (const { body } of placed) {
        const data = { orderId: body.id, paymentRequestId: uuidv7(), reason: 'declined' };
        await service.app.get(ApplyPaymentEvent).execute(group, { type: 'PaymentFailed', data }, randomUUID());
      }
    });
  });

  for (const productId of productIds) expect(await stockOf(productId)).toMatchObject({ reserved: 0, total: 10 });
});

it('an order that read enough stock is rejected if another one took it first, and leaves nothing behind', async () => {
  const productId = await service.aProduct({ stock: 1 });
  const { post } = service.aCustomer();
  let second: Promise<Answer> | undefined;

  await service.app.get(DataSource).transaction(async (first) => {
    await first.query('update orders.products set available = 0 where id = $1', [productId]);
    second = post('/orders', order([productId, 1]));
    // It has read a stock of one and waits for the lock.
    await until('the second waits', isSomebodyWaiting);
  });

  expectProblem((await second)!, 409, 'insufficient-stock', { short: [{ productId, requested: 1, available: 0 }] });
  expect((await service.aCustomer().get('/products/' + productId)).body).toMatchObject({ available: 0 });
});

describe('an order that has read the old price', () => {
  const facts = { name: 'Thing', currency: 'EUR', stock: 10 };
  const items = (productId: string, unitPrice?: number) => [
    { productId, quantity: 2, ...(unitPrice && { unitPrice }) },
  ];

  it.each<[string, (productId: string) => Promise<() => Promise<Answer>>]>([
    ['a client that named no price', async (id) => () => service.aCustomer().post('/orders', { items: items(id) })],
    ['a client that named it', async (id) => () => service.aCustomer().post('/orders', { items: items(id, 100) })],
    [
      'a cart',
      async (id) => {
        const customer = service.aCustomer();
        const { body } = await customer.post('/orders', { draft: true, items: items(id) });
        return () => customer.post(`/orders/${body.id}/place`);
      },
    ],
  ])('and waits for the lock while the price changes is rejected with the current price: %s', async (_, prepare) => {
    const productId = await service.aProduct({ price: 100 });
    const place = await prepare(productId);
    const before = await service.counts();
    let waiting: Promise<Answer> | undefined;

    await service.app.get(DataSource).transaction(async (tx) => {
      const decision = await service.app
        .get(PutProduct)
        .execute(tx, { ...facts, productId, price: 150 }, {}, 'operator:olga');
      expect(decision.accepted).toBe(true);
      waiting = place();
      await until('it has read the old price, and waits for the lock', isSomebodyWaiting);
    });

    expectProblem((await waiting)!, 409, 'price-changed', {
      changed: [{ productId, expected: 100, actual: 150, currency: 'EUR' }],
    });
    expect(await service.counts()).toEqual(before);
    expect((await service.aCustomer().post('/orders', { items: items(productId, 150) })).status).toBe(201);
  });

  it('is also rejected if the currency changes', async () => {
    const productId = await service.aProduct({ price: 100 });
    let waiting: Promise<Answer> | undefined;

    await service.app.get(DataSource).transaction(async (tx) => {
      await service.app
        .get(PutProduct)
        .execute(tx, { ...facts, currency: 'USD', productId, price: 100 }, {}, 'operator:olga');
      waiting = service.aCustomer().post('/orders', { items: items(productId) });
      await until('it has read the old currency, and waits for the lock', isSomebodyWaiting);
    });

    expectProblem((await waiting)!, 409, 'price-changed', {
      changed: [{ productId, expected: 100, actual: 100, currency: 'USD' }],
    });
  });
});

describe('setting the stock', () => {
  const facts = { name: 'Thing', price: 100, currency: 'EUR' };

  it('scans the live orders before it takes the lock, and accounts for concurrent sales and payments', async () => {
    const productId = await service.aProduct({ stock: 20 });
    const customer = service.aCustomer();
    const paid = await customer.post('/orders', order([productId, 4]));
    const cancelled = await customer.post('/orders', order([productId, 5]));
    const dataSource = service.app.get(DataSource);
    let counting: Promise<Answer> | undefined;

    await dataSource.transaction(async (sale) => {
      await sale.query('select from orders.products where id = $1 for no key update', [productId]);
      counting = service.anOperator().send('PUT', `/products/${productId}`, { ...facts, stock: 20 });
      await until('it has counted, and waits for the lock', isSomebodyWaiting);
      await service.receives({ type: 'PaymentSucceeded', data: { orderId: paid.body.id, paymentRequestId: uuidv7() } });
      await customer.post(`/orders/${cancelled.body.id}/cancel`, { reason: 'no more' });
      // Like a sale of three pieces.
      await sale.query('update orders.products set available = available - 3 where id = $1', [productId]);
    });

    // It saw 20 pieces. Four of them, which were reserved then, have been paid since.
    expect((await counting)!.body).toMatchObject({ stock: 20, available: 13, reserved: 7 });
    expect(await stockOf(productId)).toMatchObject({ available: 13, released: 0 });
  });

  it('starts over if the stock was set concurrently', async () => {
    const productId = await service.aProduct({ stock: 20 });
    await service.aCustomer().post('/orders', order([productId, 4]));
    let second: Promise<Answer> | undefined;

    await service.app.get(DataSource).transaction(async (tx) => {
      await service.app.get(PutProduct).execute(tx, { ...facts, productId, stock: 30 }, {}, 'operator:olga');
      second = service.anOperator().send('PUT', `/products/${productId}`, { ...facts, stock: 40 });
      await until('it has counted, and waits for the lock', isSomebodyWaiting);
    });

    expect((await second)!.body).toMatchObject({ stock: 40, available: 36, reserved: 4 });
    expect(await stockOf(productId)).toMatchObject({ total: 40 });
  });
});

it('the OpenAPI document describes every response of these tests', () => {
  expect(service.undocumented()).toEqual([]);
});
