import { type Answer, expectProblem } from '@twinbox/test-support';
import { until } from '@twinbox/messaging/testing';
import { DataSource } from 'typeorm';
import { aCart, aLine, type OrderServiceHarness, startOrderService } from './order-service.harness.js';

let service: OrderServiceHarness;
beforeAll(async () => {
  service = await startOrderService();
});
afterAll(() => service.stop());

const AT_ONCE = 24;

/** Places an order for each of these customers at the same time. */
const placeAll = (customers: readonly string[], cart: object = aCart()): Promise<Answer[]> =>
  Promise.all(customers.map((userId) => service.aCustomer(userId).post('/orders', cart)));

const customers = (): string[] => Array.from({ length: AT_ONCE }, () => service.aCustomer().userId);

const transactionsOf = async (answers: readonly Answer[]): Promise<number> => {
  const rows = await service.database.sql('select distinct xid from orders.order_timeline where order_id = any($1)', [
    answers.map(({ body }) => body.id),
  ]);
  return rows.length;
};

describe('concurrent orders', () => {
  it('share transactions, and each has its own items, steps and message', async () => {
    let answers: Answer[] = [];
    await until('some orders share a transaction', async () => {
      answers = await placeAll(customers());
      return (await transactionsOf(answers)) < AT_ONCE;
    });

    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(AT_ONCE);
    for (const { status, body } of answers) {
      const { order, items, messages } = await service.stored(body.id);
      expect(status).toBe(201);
      expect(order).toMatchObject({ customer_id: body.customerId, status: 'PLACED', total: '900' });
      expect(items).toMatchObject([{ product_id: 'tea', quantity: 2 }]);
      expect(messages).toMatchObject([{ type: 'OrderPlaced', sequence: '1' }]);
      expect(JSON.parse(messages[0]!.payload)).toMatchObject({ customerId: body.customerId, items: body.items });
      expect(await service.steps(body.id)).toMatchObject([
        { type: 'OrderPlaced', customer_id: body.customerId, message_id: messages[0]?.id },
      ]);
    }
  });

  it('P1 are accepted although one of them cannot be written, which leaves nothing behind', async () => {
    const [broken = '', ...sound] = customers();
    await service.database.sql(`
      alter table orders.orders add constraint breaks check (customer_id <> '${broken}') not valid`);

    const [failed, ...answers] = await placeAll([broken, ...sound]);

    await service.database.sql('alter table orders.orders drop constraint breaks');
    expectProblem(failed!, 500, 'internal-error');
    expect(answers.map(({ status }) => status)).toEqual(sound.map(() => 201));
    expect(await service.database.sql('select from orders.orders where customer_id = $1', [broken])).toEqual([]);
    expect(await service.database.sql('select from orders.order_timeline where customer_id = $1', [broken])).toEqual(
      [],
    );
  });

  it('are each rejected for their own reason', async () => {
    const short = await service.aProduct({ stock: 1 });
    const carts = [
      aCart({ items: [aLine({ productId: short })] }),
      aCart({ items: [aLine({ productId: 'unknown' })] }),
      aCart({ items: [aLine({ unitPrice: 1 })] }),
      aCart(),
    ];

    const answers = await Promise.all(carts.map((cart) => service.aCustomer().post('/orders', cart)));

    expectProblem(answers[0]!, 409, 'insufficient-stock', {
      short: [{ productId: short, requested: 2, available: 1 }],
    });
    expectProblem(answers[1]!, 422, 'product-unknown', { productIds: ['unknown'] });
    expectProblem(answers[2]!, 409, 'price-changed', {
      changed: [{ productId: 'tea', expected: 1, actual: 450, currency: 'EUR' }],
    });
    expect(answers[3]?.status).toBe(201);
  });

  it('sell the pieces that are left to as many of them, one after the other', async () => {
    const productId = await service.aProduct({ stock: 10 });

    const answers = await placeAll(customers(), aCart({ items: [aLine({ productId, quantity: 3 })] }));

    expect(answers.filter(({ status }) => status === 201)).toHaveLength(3);
    const [product] = await service.database.sql('select available from orders.products where id = $1', [productId]);
    expect(product).toEqual({ available: 1 });
  });

  it('for a locked product are placed once it is free, and others meanwhile', async () => {
    const productId = await service.aProduct({ stock: 100 });
    const locked: Promise<Answer[]>[] = [];
    const dataSource = service.app.get(DataSource);

    await dataSource.transaction(async (sale) => {
      await sale.query('select from orders.products where id = $1 for no key update', [productId]);
      locked.push(placeAll(customers().slice(0, 2), aCart({ items: [aLine({ productId })] })));
      expect((await placeAll(customers())).map(({ status }) => status)).toEqual(customers().map(() => 201));
    });

    expect((await locked[0]!).map(({ status }) => status)).toEqual([201, 201]);
  });
});

it('the OpenAPI document describes every response of these tests', () => {
  expect(service.undocumented()).toEqual([]);
});
