import { expectProblem } from '@twinbox/test-support';
import { QUOTAS_FOR_LOAD } from '@twinbox/tools';
import { aCart, aLine, type OrderServiceHarness, startOrderService } from './order-service.harness.js';

let service: OrderServiceHarness;
beforeAll(async () => {
  service = await startOrderService(QUOTAS_FOR_LOAD);
});
afterAll(() => service.stop());

describe('placing an order', () => {
  it("returns the order at the catalogue's prices, with its location", async () => {
    const customer = service.aCustomer();

    const answer = await customer.post(
      '/orders',
      aCart({ items: [aLine({ quantity: 3 }), aLine({ productId: 'mug', quantity: 1 })], description: 'Ring twice.' }),
    );

    expect(answer).toMatchObject({ status: 201, body: { id: expect.stringMatching(/^[\da-f-]{13}-7/) } });
    expect(answer.headers.get('location')).toBe(`/orders/${answer.body.id}`);
    expect(answer.headers.get('etag')).toBe('"1"');
    expect(answer.body).toEqual({
      id: answer.body.id,
      customerId: customer.userId,
      status: 'PLACED',
      description: 'Ring twice.',
      items: [
        { productId: 'tea', name: 'Tea', quantity: 3, unitPrice: 450 },
        { productId: 'mug', name: 'Mug', quantity: 1, unitPrice: 1800 },
      ],
      total: 3150,
      currency: 'EUR',
      payment: null,
      cancelReason: null,
      dueAt: answer.body.createdAt,
      late: false,
      version: 1,
      createdAt: expect.any(String),
      updatedAt: answer.body.createdAt,
    });
    expect(Math.abs(Date.now() - Date.parse(answer.body.createdAt))).toBeLessThan(60_000);
  });

  it('P1 stores the order, its items and its message', async () => {
    const customer = service.aCustomer();

    const { body } = await customer.post(
      '/orders',
      aCart({ items: [aLine({ quantity: 3 }), aLine({ productId: 'mug', quantity: 1 })], description: 'Ring twice.' }),
    );

    const { order, items, messages } = await service.stored(body.id);
    expect(order).toEqual({
      id: body.id,
      customer_id: customer.userId,
      status: 'PLACED',
      description: 'Ring twice.',
      total: '3150',
      currency: 'EUR',
      payment: null,
      cancel_reason: null,
      due_at: new Date(body.createdAt),
      version: 1,
      created_at: new Date(body.createdAt),
      updated_at: new Date(body.createdAt),
    });
    expect(items).toEqual([
      { order_id: body.id, product_id: 'mug', name: 'Mug', quantity: 1, unit_price: '1800' },
      { order_id: body.id, product_id: 'tea', name: 'Tea', quantity: 3, unit_price: '450' },
    ]);
    expect(messages).toEqual([
      expect.objectContaining({
        aggregatetype: 'order',
        aggregateid: body.id,
        type: 'OrderPlaced',
        dataschema: 'urn:event:OrderPlaced:2',
        sequence: '1',
        payload: JSON.stringify({
          orderId: body.id,
          customerId: customer.userId,
          total: 3150,
          currency: 'EUR',
          items: body.items,
        }),
      }),
    ]);
  });

  it('P1 stores the message of the largest order that a customer can place', async () => {
    // JSON writes a control character with six bytes.
    const name = '\u0001'.repeat(200);
    await service.database.sql(
      `insert into orders.products (id, name, price, currency, available, version, updated_at)
       select lpad(n::text, 64, 'p'), $1, 90000000, 'EUR', 1000000, 1, now() from generate_series(1, 100) as n`,
      [name],
    );
    const items = Array.from({ length: 100 }, (_, n) => aLine({ productId: String(n + 1).padStart(64, 'p') }));

    const { status, body } = await service.aCustomer().post('/orders', aCart({ items }));

    expect(status).toBe(201);
    const [message] = (await service.stored(body.id)).messages;
    expect(JSON.parse(message!.payload)).toMatchObject({ items: body.items });
    expect(message!.payload.length).toBeGreaterThan(100_000);
  });

  it('returns the same order as a later read', async () => {
    const { post, get } = service.aCustomer();

    const placed = await post('/orders', aCart());
    const found = await get(placed.headers.get('location') ?? '');

    expect(found).toMatchObject({ status: 200, body: placed.body });
  });

  it('merges the lines of a product', async () => {
    const { post } = service.aCustomer();

    const answer = await post('/orders', aCart({ items: [aLine({ quantity: 2 }), aLine({ quantity: 5 })] }));

    expect(answer).toMatchObject({ status: 201, body: { items: [{ productId: 'tea', quantity: 7 }], total: 3150 } });
    expect((await service.stored(answer.body.id)).items).toMatchObject([{ product_id: 'tea', quantity: 7 }]);
  });

  it.each([
    ['no description', undefined, null],
    ['a description of null', null, null],
    ['an empty description', '', ''],
    ['500 letters', 'x'.repeat(500), 'x'.repeat(500)],
    ['500 characters beyond the basic plane', '😀'.repeat(500), '😀'.repeat(500)],
    ['quotes and markup', `'; drop table orders; -- <b>"`, `'; drop table orders; -- <b>"`],
  ])('accepts %s', async (_, description, expected) => {
    const { post } = service.aCustomer();

    const answer = await post('/orders', aCart({ description }));

    expect(answer).toMatchObject({ status: 201, body: { description: expected } });
    expect((await service.stored(answer.body.id)).order).toMatchObject({ description: expected });
  });

  it.each([
    ['one of a product', [aLine({ quantity: 1 })], 450],
    ['10,000 of a product', [aLine({ quantity: 10_000 })], 4_500_000],
    ['100 lines', Array.from({ length: 100 }, () => aLine({ quantity: 10_000 })), 450_000_000],
  ])('accepts %s', async (_, items, total) => {
    const { post } = service.aCustomer();

    const answer = await post('/orders', aCart({ items }));

    expect(answer).toMatchObject({ status: 201, body: { total } });
  });

  it('accepts any JSON notation of a number', async () => {
    const { post } = service.aCustomer();

    const answer = await post('/orders', '{"items":[{"productId":"tea","quantity":1.0e1}]}');

    expect(answer).toMatchObject({ status: 201, body: { items: [{ quantity: 10 }] } });
  });

  it('keeps the price it was placed at', async () => {
    const { post, get } = service.aCustomer();
    const productId = await service.aProduct({ price: 300 });
    const { body } = await post('/orders', aCart({ items: [aLine({ productId })] }));

    const facts = { name: 'Old soap', price: 1, currency: 'USD', stock: 10 };
    const put = await service.anOperator().send('PUT', `/products/${productId}`, facts);

    expect(put.status).toBe(200);

    expect((await get(`/orders/${body.id}`)).body).toEqual(body);
  });

  it('is exact up to the largest safe integer and rejects more', async () => {
    const { post } = service.aCustomer();
    const productId = await service.aProduct({ price: Number.MAX_SAFE_INTEGER });
    const moons = (quantity: number) => aCart({ items: [aLine({ productId, quantity })] });

    const one = await post('/orders', moons(1));
    const two = await post('/orders', moons(2));

    expect(one).toMatchObject({ status: 201, body: { total: Number.MAX_SAFE_INTEGER } });
    expect((await service.stored(one.body.id)).order).toMatchObject({ total: String(Number.MAX_SAFE_INTEGER) });
    expectProblem(two, 422, 'order-total-too-large');
  });
});

describe('an invalid request', () => {
  it.each<[string, unknown, string]>([
    ['no items', {}, '#/items'],
    ['items of null', { items: null }, '#/items'],
    ['items that are a text', { items: 'tea' }, '#/items'],
    ['items that are a number', { items: 1 }, '#/items'],
    ['items that are an object', { items: aLine() }, '#/items'],
    ['items that look like a list', { items: { 0: aLine(), length: 1 } }, '#/items'],
    ['an empty list of items', { items: [] }, '#/items'],
    ['101 items', { items: Array.from({ length: 101 }, () => aLine()) }, '#/items'],
    ['an item of null', { items: [null] }, '#/items/0'],
    ['an item that is a text', { items: [aLine(), 'tea'] }, '#/items/1'],
    ['an item that is a number', { items: [7] }, '#/items/0'],
    ['a list in the list', { items: [[aLine()]] }, '#/items/0'],
    ['an empty list in the list', { items: [[]] }, '#/items/0'],
    ['an empty item', { items: [{}] }, '#/items/0/productId'],
    ['an item without a product', { items: [{ quantity: 1 }] }, '#/items/0/productId'],
    ['a product that is a number', { items: [aLine({ productId: 7 })] }, '#/items/0/productId'],
    ['a product of null', { items: [aLine({ productId: null })] }, '#/items/0/productId'],
    ['a product that is a list', { items: [aLine({ productId: ['tea'] })] }, '#/items/0/productId'],
    ['a product that is an object', { items: [aLine({ productId: { $ne: '' } })] }, '#/items/0/productId'],
    ['an empty product', { items: [aLine({ productId: '' })] }, '#/items/0/productId'],
    ['a product with a blank', { items: [aLine({ productId: 'green tea' })] }, '#/items/0/productId'],
    ['a product with a line break', { items: [aLine({ productId: 'tea\n' })] }, '#/items/0/productId'],
    ['a product of 65 letters', { items: [aLine({ productId: 'x'.repeat(65) })] }, '#/items/0/productId'],
    ['an item without a quantity', { items: [{ productId: 'tea' }] }, '#/items/0/quantity'],
    ['a quantity of null', { items: [aLine({ quantity: null })] }, '#/items/0/quantity'],
    ['a quantity in quotes', { items: [aLine({ quantity: '2' })] }, '#/items/0/quantity'],
    ['a quantity that is true', { items: [aLine({ quantity: true })] }, '#/items/0/quantity'],
    ['a quantity that is a list', { items: [aLine({ quantity: [2] })] }, '#/items/0/quantity'],
    ['a quantity called NaN', { items: [aLine({ quantity: 'NaN' })] }, '#/items/0/quantity'],
    ['a quantity of zero', { items: [aLine({ quantity: 0 })] }, '#/items/0/quantity'],
    ['a negative zero', '{"items":[{"productId":"tea","quantity":-0}]}', '#/items/0/quantity'],
    ['a negative quantity', { items: [aLine({ quantity: -1 })] }, '#/items/0/quantity'],
    ['half a piece', { items: [aLine({ quantity: 0.5 })] }, '#/items/0/quantity'],
    ['one and a half', { items: [aLine({ quantity: 1.5 })] }, '#/items/0/quantity'],
    ['a quantity of 10,001', { items: [aLine({ quantity: 10_001 })] }, '#/items/0/quantity'],
    ['a quantity beyond 32 bits', { items: [aLine({ quantity: 2 ** 31 })] }, '#/items/0/quantity'],
    ['a quantity beyond a safe integer', { items: [aLine({ quantity: 2 ** 53 })] }, '#/items/0/quantity'],
    ['an infinite quantity', '{"items":[{"productId":"tea","quantity":1e400}]}', '#/items/0/quantity'],
    ['the second of two items', { items: [aLine(), aLine({ quantity: 0 })] }, '#/items/1/quantity'],
    ['a description that is a number', aCart({ description: 7 }), '#/description'],
    ['a description that is a list', aCart({ description: ['x'] }), '#/description'],
    ['a description that is an object', aCart({ description: { length: 1 } }), '#/description'],
    ['a description of 501 letters', aCart({ description: 'x'.repeat(501) }), '#/description'],
    ['a description longer than its column', aCart({ description: '❤️'.repeat(251) }), '#/description'],
    ['U+0000 in the description', aCart({ description: 'a\0b' }), '#/description'],
    ['half a surrogate pair', aCart({ description: '\ud83d' }), '#/description'],
    ['an unknown field', aCart({ status: 'COMPLETED' }), '#/status'],
    ['a customer id', aCart({ customerId: 'bob' }), '#/customerId'],
    ['a price of zero', { items: [aLine({ unitPrice: 0 })] }, '#/items/0/unitPrice'],
    ['a price in quotes', { items: [aLine({ unitPrice: '450' })] }, '#/items/0/unitPrice'],
    ['half a cent', { items: [aLine({ unitPrice: 450.5 })] }, '#/items/0/unitPrice'],
    ['an unknown field of an item', { items: [aLine({ name: 'Tea' })] }, '#/items/0/name'],
    ['a draft that is a text', aCart({ draft: 'yes' }), '#/draft'],
    ['a draft with items of null', { draft: true, items: null }, '#/items'],
    ['a draft with an invalid item', { draft: true, items: [7] }, '#/items/0'],
    ['a field that every object inherits', aCart({ constructor: { name: 'x' } }), '#/constructor'],
    ['a list for a body', [aCart()], '#'],
    ['null for a body', 'null', '#'],
    ['a text for a body', '"tea"', '#'],
  ])('is rejected for %s with a pointer to it, and writes nothing', async (_, body, pointer) => {
    const { post } = service.aCustomer();
    const before = await service.counts();

    const answer = await post('/orders', body);

    expectProblem(answer, 400, 'validation', {
      errors: expect.arrayContaining([{ pointer, detail: expect.stringMatching(/\S/) }]),
    });
    expect(await service.counts()).toEqual(before);
  });

  it('is rejected without a body', async () => {
    const { post } = service.aCustomer();

    expectProblem(await post('/orders'), 400, 'validation');
  });

  it.each(['{', '{"items":[{"productId":"tea","quantity":NaN}]}', "{'items':[]}", '{"items":[],"__proto__":{}}'])(
    'is rejected for the malformed body %j',
    async (body) => {
      const { post } = service.aCustomer();

      expectProblem(await post('/orders', body), 400, 'malformed-body');
    },
  );

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'application/xml', 'multipart/form-data; boundary=x'])(
    'is rejected as %s',
    async (type) => {
      const { post } = service.aCustomer('ada', { 'content-type': type });
      const before = await service.counts();

      expectProblem(await post('/orders', aCart()), 415, 'unsupported-media-type');
      expect(await service.counts()).toEqual(before);
    },
  );

  it('may name its character set', async () => {
    const { post } = service.aCustomer(undefined, { 'content-type': 'application/json; charset=utf-8' });

    expect((await post('/orders', aCart())).status).toBe(201);
  });

  it('is rejected if it is larger than any order', async () => {
    const { post } = service.aCustomer();

    expectProblem(await post('/orders', aCart({ description: 'x'.repeat(200_000) })), 413, 'payload-too-large');
  });
});

describe('an order that the rules reject', () => {
  it('names the unknown products', async () => {
    const { post } = service.aCustomer();
    const items = [aLine(), aLine({ productId: 'unicorn' }), aLine({ productId: '-' })];
    const before = await service.counts();

    const answer = await post('/orders', aCart({ items }));

    expectProblem(answer, 422, 'product-unknown', {
      productIds: ['unicorn', '-'],
      detail: expect.stringContaining('unicorn'),
    });
    expect(await service.counts()).toEqual(before);
  });

  it('names the currencies that it mixes', async () => {
    const { post } = service.aCustomer();
    const before = await service.counts();

    const answer = await post('/orders', aCart({ items: [aLine(), aLine({ productId: 'book' })] }));

    expectProblem(answer, 422, 'mixed-currencies', { currencies: ['EUR', 'USD'] });
    expect(await service.counts()).toEqual(before);
  });
});

describe('a client that names the price it expects', () => {
  it('gets the product at that price', async () => {
    const { post } = service.aCustomer();

    const answer = await post('/orders', aCart({ items: [aLine({ unitPrice: 450 })] }));

    expect(answer).toMatchObject({ status: 201, body: { total: 900 } });
  });

  it('gets the current price if it differs, and nothing is written', async () => {
    const { post } = service.aCustomer();
    const before = await service.counts();

    const items = [aLine({ unitPrice: 449 }), aLine({ productId: 'mug' }), aLine({ productId: 'mug', unitPrice: 1 })];
    const answer = await post('/orders', aCart({ items }));

    expectProblem(answer, 409, 'price-changed', {
      changed: [
        { productId: 'tea', expected: 449, actual: 450, currency: 'EUR' },
        { productId: 'mug', expected: 1, actual: 1800, currency: 'EUR' },
      ],
    });
    expect(await service.counts()).toEqual(before);
  });
});

describe('P10 placing an order', () => {
  it.each<[string, Record<string, string>, string]>([
    ['has no name', {}, 'X-User-Id'],
    ['has a blank name', { 'x-user-id': ' \t ' }, 'X-User-Id'],
    ['has a name of 256 characters', { 'x-user-id': 'x'.repeat(256) }, '255'],
    ['has an unknown role', { 'x-user-id': 'ada', 'x-roles': 'king' }, 'king'],
    ['has an unknown role beside a known one', { 'x-user-id': 'ada', 'x-roles': 'customer, king' }, 'king'],
  ])('is rejected for a caller who %s, and nothing is written', async (_, headers, detail) => {
    const { post } = service.caller(headers);
    const before = await service.counts();

    const answer = await post('/orders', aCart());

    expectProblem(answer, 401, 'caller-unknown', { detail: expect.stringContaining(detail) });
    expect(answer.headers.get('www-authenticate')).toContain('X-User-Id');
    expect(await service.counts()).toEqual(before);
  });

  it.each([
    ['255 characters', 'x'.repeat(255), 'x'.repeat(255)],
    ['UTF-8', Buffer.from('Zoë 😀').toString('latin1'), 'Zoë 😀'],
  ])('is open to a caller with a name of %s', async (_, sent, userId) => {
    const { post } = service.aCustomer(sent);

    const answer = await post('/orders', aCart());

    expect(answer).toMatchObject({ status: 201, body: { customerId: userId } });
    expect((await service.stored(answer.body.id)).order).toMatchObject({ customer_id: userId });
  });
});

it('P1 leaves neither order nor message behind when the outbox cannot be written', async () => {
  const { post, get } = service.aCustomer();
  const before = await service.counts();

  const answer = await service.withoutOutbox(() => post('/orders', aCart()));

  expectProblem(answer, 500, 'internal-error');
  expect(JSON.stringify(answer.body)).not.toMatch(/permission|denied|outbox|insert|42501/i);
  expect(await service.counts()).toEqual(before);
  expect((await get('/orders')).body).toEqual({ items: [], nextCursor: null });
  expect((await post('/orders', aCart())).status).toBe(201);
});

it('the OpenAPI document describes every response of these tests', () => {
  expect(service.undocumented()).toEqual([]);
});
