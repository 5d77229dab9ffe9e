import { randomUUID } from 'node:crypto';
import { expectProblem } from '@twinbox/test-support';
import { v7 as uuidv7 } from 'uuid';
import { aCart, aLine, type OrderServiceHarness, startOrderService } from './order-service.harness.js';

let service: OrderServiceHarness;
beforeAll(async () => {
  service = await startOrderService();
});
afterAll(() => service.stop());

type Customer = ReturnType<OrderServiceHarness['aCustomer']>;

/** Places so many orders, one after another, and gives their ids, newest first. */
async function place({ post }: Customer, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 1; n <= count; n++) {
    const { body } = await post('/orders', aCart({ items: [aLine({ quantity: n })] }));
    ids.unshift(body.id);
  }
  return ids;
}

/** The pages of a list from its first to its last, as ids. */
async function pages({ get }: Customer, path: string): Promise<string[][]> {
  const found: string[][] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const { status, body } = await get(path + (cursor && `&cursor=${cursor}`));
    expect(status).toBe(200);
    found.push(body.items.map(({ id }: { id: string }) => id));
    cursor = body.nextCursor;
  }
  return found;
}

describe('an order', () => {
  it('shows its payment as last heard', async () => {
    const customer = service.aCustomer();
    const [orderId = ''] = await place(customer, 1);
    const paymentRequestId = uuidv7();

    await service.hears({ type: 'PaymentRequested', data: { orderId, paymentRequestId } });
    const pending = await customer.get(`/orders/${orderId}`);
    await service.hears({ type: 'PaymentFailed', data: { orderId, paymentRequestId, reason: 'card declined' } });
    const failed = await customer.get(`/orders/${orderId}`);

    expect(pending.body).toMatchObject({
      status: 'PAYMENT_PENDING',
      payment: { paymentRequestId, status: 'PENDING', reason: null },
      cancelReason: null,
    });
    expect(failed.body).toMatchObject({
      status: 'CANCELLED',
      payment: { paymentRequestId, status: 'FAILED', reason: 'card declined' },
      cancelReason: 'payment failed: card declined',
    });
    expect(failed.body.version).toBeGreaterThan(pending.body.version);
  });

  it("P10 of another customer's looks like no order at all", async () => {
    const [orderId = ''] = await place(service.aCustomer(), 1);
    const nobodys = uuidv7();
    const { get } = service.aCustomer();

    const others = await get(`/orders/${orderId}`);
    const none = await get(`/orders/${nobodys}`);

    expectProblem(others, 404, 'order-not-found', { orderId });
    expectProblem(none, 404, 'order-not-found', { orderId: nobodys });
    const told = { instance: '', orderId: '' };
    expect({ ...none.body, ...told }).toEqual({ ...others.body, ...told });
    expect([...none.headers.keys()]).toEqual([...others.headers.keys()]);
  });

  it("P10 is its customer's alone: no role opens it", async () => {
    const [orderId = ''] = await place(service.aCustomer(), 1);
    const operator = service.aCustomer('ops', { 'x-roles': 'operator, admin' });

    expectProblem(await operator.get(`/orders/${orderId}`), 404, 'order-not-found');
  });

  it.each([
    ['a number', '17'],
    ['a UUID that lacks a digit', '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3'],
    ['a UUID of version 4', randomUUID()],
    ['the nil UUID', '00000000-0000-0000-0000-000000000000'],
    ['SQL', `'%20or%20'1'='1`],
    ['U+0000', '%00'],
    ['words beyond measure', 'x'.repeat(5000)],
  ])('is not looked for by %s', async (_, id) => {
    const { get } = service.aCustomer();

    const answer = await get(`/orders/${id}`);

    expectProblem(answer, 400, 'validation', { errors: [{ parameter: 'orderId', detail: expect.any(String) }] });
  });

  it('is found however its id is spelled', async () => {
    const customer = service.aCustomer();
    const [orderId = ''] = await place(customer, 1);

    expect((await customer.get(`/orders/${orderId.toUpperCase()}`)).body).toMatchObject({ id: orderId });
  });
});

describe("a customer's orders", () => {
  it('are none at first', async () => {
    const { get } = service.aCustomer();

    expect(await get('/orders')).toMatchObject({ status: 200, body: { items: [], nextCursor: null } });
  });

  it("P10 are the customer's own, newest first, each with its own items", async () => {
    const customer = service.aCustomer();
    const other = service.aCustomer();
    const own = await place(customer, 3);
    await place(other, 2);

    const { body } = await customer.get('/orders');

    expect(body.items.map(({ id }: { id: string }) => id)).toEqual(own);
    expect(body.items.map(({ items: [{ quantity }] }: { items: [{ quantity: number }] }) => quantity)).toEqual([
      3, 2, 1,
    ]);
    expect(body.items[0]).toEqual((await customer.get(`/orders/${own[0]}`)).body);
    expect(body.nextCursor).toBeNull();
  });

  it.each([1, 2, 3, 5, 6, 100])('come in pages of %i, each order once', async (limit) => {
    const customer = service.aCustomer();
    const own = await place(customer, 5);

    const found = await pages(customer, `/orders?limit=${limit}`);

    expect(found.flat()).toEqual(own);
    expect(found.length).toBe(Math.ceil(5 / limit));
  });

  it('come each once although another is placed between two pages', async () => {
    const customer = service.aCustomer();
    const own = await place(customer, 4);

    const first = await customer.get('/orders?limit=2');
    await place(customer, 1);
    const second = await customer.get(`/orders?limit=2&cursor=${first.body.nextCursor}`);

    const ids = [...first.body.items, ...second.body.items].map(({ id }: { id: string }) => id);
    expect(ids).toEqual(own);
    expect(second.body.nextCursor).toBeNull();
  });

  it('come 20 to a page unless the caller says otherwise', async () => {
    const customer = service.aCustomer();
    const own = await place(customer, 21);

    const { body } = await customer.get('/orders');

    expect(body.items).toHaveLength(20);
    expect(body.nextCursor).toBe(own[19]);
  });

  it("P10 are not reached through another customer's cursor", async () => {
    const customer = service.aCustomer();
    const other = service.aCustomer();
    const own = await place(customer, 1);
    const [newest] = await place(other, 1);

    expect((await customer.get(`/orders?cursor=${newest}`)).body.items).toMatchObject([{ id: own[0] }]);
  });
});

describe('products', () => {
  it('are listed by id, with their prices', async () => {
    const { get } = service.aCustomer();

    const answer = await get('/products');

    expect(answer).toMatchObject({ status: 200 });
    expect(answer.body).toEqual({
      items: [
        { id: 'book', name: 'Book', price: 2500, currency: 'USD' },
        { id: 'mug', name: 'Mug', price: 1800, currency: 'EUR' },
        { id: 'tea', name: 'Tea', price: 450, currency: 'EUR' },
      ],
      nextCursor: null,
    });
  });

  it.each([1, 2, 3, 100])('come in pages of %i, each once', async (limit) => {
    const found = await pages(service.aCustomer(), `/products?limit=${limit}`);

    expect(found.flat()).toEqual(['book', 'mug', 'tea']);
    expect(found.length).toBe(Math.ceil(3 / limit));
  });
});

describe('a list', () => {
  it.each([
    ['/orders', 'limit=0', 'limit'],
    ['/orders', 'limit=101', 'limit'],
    ['/orders', 'limit=-1', 'limit'],
    ['/orders', 'limit=1.5', 'limit'],
    ['/orders', 'limit=abc', 'limit'],
    ['/orders', 'limit=', 'limit'],
    ['/orders', 'limit=Infinity', 'limit'],
    ['/orders', 'limit=1&limit=2', 'limit'],
    ['/orders', 'cursor=', 'cursor'],
    ['/orders', 'cursor=17', 'cursor'],
    ['/orders', `cursor=${randomUUID()}`, 'cursor'],
    ['/orders', `cursor=${uuidv7()}&cursor=${uuidv7()}`, 'cursor'],
    ['/orders', 'cursor=%00', 'cursor'],
    ['/orders', 'customerId=ada', 'customerId'],
    ['/orders', 'offset=1', 'offset'],
    ['/orders', 'constructor=1', 'constructor'],
    ['/products', 'limit=0', 'limit'],
    ['/products', 'limit=101', 'limit'],
    ['/products', 'limit=abc', 'limit'],
    ['/products', 'cursor=', 'cursor'],
    ['/products', `cursor=${'x'.repeat(65)}`, 'cursor'],
    ['/products', 'cursor=%00', 'cursor'],
    ['/products', 'cursor=a&cursor=b', 'cursor'],
    ['/products', 'sort=price', 'sort'],
  ])('of %s is refused for %s', async (path, query, parameter) => {
    const { get } = service.aCustomer();

    const answer = await get(`${path}?${query}`);

    expectProblem(answer, 400, 'validation', {
      errors: expect.arrayContaining([{ parameter, detail: expect.any(String) }]),
    });
  });
});

describe('P10 a caller', () => {
  it.each(['/orders', `/orders/${uuidv7()}`, '/orders/17', '/products', '/products?limit=0'])(
    'who is not known is told nothing of %s',
    async (path) => {
      const nobody = await service.caller({}).get(path);
      const king = await service.aCustomer('ada', { 'x-roles': 'king' }).get(path);

      expectProblem(nobody, 401, 'caller-unknown');
      expectProblem(king, 401, 'caller-unknown');
    },
  );
});

it('the documentation tells every answer that these tests got', () => {
  expect(service.undocumented()).toEqual([]);
});
