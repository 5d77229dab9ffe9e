import { type Answer, expectProblem } from '@twinbox/test-support';
import { v7 as uuidv7 } from 'uuid';
import { aLine, type OrderServiceHarness, startOrderService } from './order-service.harness.js';

let service: OrderServiceHarness;
beforeAll(async () => {
  service = await startOrderService();
});
afterAll(() => service.stop());

/** A cart, its customer, and the requests on it. */
async function aCart(items: object[] = [aLine()], customer = service.aCustomer()) {
  const opened = await customer.post('/orders', { draft: true, items });
  expect(opened.status).toBe(201);
  const path = `/orders/${opened.body.id}`;
  return {
    customer,
    id: opened.body.id as string,
    path,
    etag: opened.headers.get('etag') ?? '',
    opened,
    add: (body: object) => customer.post(`${path}/items`, body),
    change: (productId: string, body: object) => customer.send('PATCH', `${path}/items/${productId}`, body),
    remove: (productId: string) => customer.send('DELETE', `${path}/items/${productId}`),
    place: (body?: object) => customer.post(`${path}/place`, body),
    cancel: (reason = 'changed my mind') => customer.post(`${path}/cancel`, { reason }),
    show: () => customer.get(path),
    /** The same caller with If-Match. */
    seen: (etag: string) => service.aCustomer(customer.userId, { 'if-match': etag }),
  };
}

const contents = ({ body }: Answer) =>
  Object.fromEntries(
    body.items.map(({ productId, quantity }: { productId: string; quantity: number }) => [productId, quantity]),
  );

describe('a cart', () => {
  it.each([{ draft: true }, { draft: true, items: [] }])(
    'is opened empty by %j, and nothing is published',
    async (body) => {
      const customer = service.aCustomer();

      const answer = await customer.post('/orders', { ...body, description: 'for later' });

      expect(answer).toMatchObject({
        status: 201,
        body: {
          status: 'DRAFT',
          items: [],
          total: 0,
          currency: null,
          dueAt: null,
          version: 1,
          description: 'for later',
        },
      });
      expect(answer.headers.get('location')).toBe(`/orders/${answer.body.id}`);
      expect(answer.headers.get('etag')).toBe('"1"');
      expect(await customer.get(`/orders/${answer.body.id}`)).toMatchObject({ status: 200, body: answer.body });
      expect((await service.stored(answer.body.id)).messages).toEqual([]);
    },
  );

  it("is opened with items at the catalogue's prices", async () => {
    const { opened } = await aCart([aLine(), aLine({ quantity: 1, unitPrice: 450 })]);

    expect(opened.body).toMatchObject({
      status: 'DRAFT',
      items: [{ productId: 'tea', name: 'Tea', quantity: 3, unitPrice: 450 }],
      total: 1350,
      currency: 'EUR',
    });
  });

  it('is filled, changed and emptied, and each response shows its new state', async () => {
    const cart = await aCart([]);

    const added = await cart.add(aLine({ quantity: 2 }));
    const more = await cart.add(aLine({ quantity: 3 }));
    const other = await cart.add(aLine({ productId: 'mug', quantity: 1 }));
    const changed = await cart.change('tea', { quantity: 4 });
    const same = await cart.change('tea', { quantity: 4 });
    const removed = await cart.remove('mug');
    const emptied = await cart.remove('tea');

    expect([added, more, other, changed, same, removed, emptied].map(({ status }) => status)).toEqual(
      Array(7).fill(200),
    );
    expect([added, more, other, changed, same, removed, emptied].map(contents)).toEqual([
      { tea: 2 },
      { tea: 5 },
      { tea: 5, mug: 1 },
      { tea: 4, mug: 1 },
      { tea: 4, mug: 1 },
      { tea: 4 },
      {},
    ]);
    expect([added, more, other, changed, same, removed, emptied].map(({ body }) => body.total)).toEqual([
      900, 2250, 4050, 3600, 3600, 1800, 0,
    ]);
    expect([changed, same].map(({ headers }) => headers.get('etag'))).toEqual(['"5"', '"5"']);
    expect(emptied.body).toEqual((await cart.show()).body);
    expect(emptied.body).toMatchObject({ currency: null, version: 7 });
    expect((await service.stored(cart.id)).items).toEqual([]);
  });

  it('has the request that added an item as the cause in its timeline', async () => {
    const cart = await aCart([]);

    await cart.add(aLine());

    const [, added] = await service.steps(cart.id);
    expect(added).toMatchObject({ type: 'ItemAdded', cause: 'POST /orders/:orderId/items' });
  });

  it('has every addition and removal in its timeline', async () => {
    const cart = await aCart();
    await cart.change('tea', { quantity: 5 });
    await cart.change('tea', { quantity: 1 });
    await cart.remove('tea');

    const steps = await service.steps(cart.id);

    expect(
      steps.map(({ type, version, cause, detail }: Record<string, unknown>) => ({ type, version, cause, detail })),
    ).toEqual([
      { type: 'OrderOpened', version: 1, cause: 'POST /orders', detail: null },
      {
        type: 'ItemAdded',
        version: 2,
        cause: 'POST /orders',
        detail: { productId: 'tea', quantity: 2, unitPrice: 450 },
      },
      {
        type: 'ItemAdded',
        version: 3,
        cause: 'PATCH /orders/:orderId/items/:productId',
        detail: { productId: 'tea', quantity: 3, unitPrice: 450 },
      },
      {
        type: 'ItemRemoved',
        version: 4,
        cause: 'PATCH /orders/:orderId/items/:productId',
        detail: { productId: 'tea', quantity: 4 },
      },
      {
        type: 'ItemRemoved',
        version: 5,
        cause: 'DELETE /orders/:orderId/items/:productId',
        detail: { productId: 'tea', quantity: 1 },
      },
    ]);
    for (const step of steps)
      expect(step).toMatchObject({ status: 'DRAFT', actor: `customer:${cart.customer.userId}`, message_id: null });
  });

  it('is placed at the prices of that moment, which its message contains', async () => {
    const productId = await service.aProduct({ price: 300, stock: 5 });
    const cart = await aCart([{ productId, quantity: 2 }]);
    await service.anOperator().send('PUT', `/products/${productId}`, {
      name: 'Dear thing',
      price: 400,
      currency: 'EUR',
      stock: 5,
    });
    expect((await cart.show()).body).toMatchObject({ total: 600, items: [{ name: 'Thing', unitPrice: 300 }] });

    const placed = await cart.place();

    expect(placed).toMatchObject({
      status: 200,
      body: {
        status: 'PLACED',
        items: [{ productId, name: 'Dear thing', quantity: 2, unitPrice: 400 }],
        total: 800,
        version: 3,
        dueAt: expect.any(String),
      },
    });
    expect(placed.body).toEqual((await cart.show()).body);
    const [message, ...others] = (await service.stored(cart.id)).messages;
    expect(others).toEqual([]);
    expect(message).toMatchObject({ type: 'OrderPlaced', sequence: '3' });
    const { items } = placed.body;
    expect(JSON.parse(message?.payload ?? '')).toMatchObject({ orderId: cart.id, total: 800, currency: 'EUR', items });
    expect((await service.steps(cart.id)).at(-1)).toMatchObject({
      type: 'OrderPlaced',
      status: 'PLACED',
      version: 3,
      cause: 'POST /orders/:orderId/place',
      message_id: message?.id,
      detail: { total: 800, currency: 'EUR' },
    });
  });

  it('is placed at the prices that the client expects, or not at all', async () => {
    const cart = await aCart();

    const mispriced = await cart.place({ items: [{ productId: 'tea', unitPrice: 449 }] });
    const strange = await cart.place({ items: [{ productId: 'mug', unitPrice: 1800 }] });
    const placed = await cart.place({ items: [{ productId: 'tea', unitPrice: 450 }] });

    expectProblem(mispriced, 409, 'price-changed', {
      changed: [{ productId: 'tea', expected: 449, actual: 450, currency: 'EUR' }],
    });
    expectProblem(strange, 404, 'item-not-found', { orderId: cart.id, productId: 'mug' });
    expect(placed.status).toBe(200);
  });

  it('is discarded by its customer without publishing or releasing anything', async () => {
    const cart = await aCart();
    const before = await service.counts();

    const answer = await cart.cancel('changed my mind');

    expect(answer).toMatchObject({
      status: 200,
      body: { status: 'CANCELLED', cancelReason: 'changed my mind', items: [{ productId: 'tea' }] },
    });
    expect(await service.counts()).toEqual({ ...before, steps: before.steps + 1 });
    expect((await service.steps(cart.id)).at(-1)).toMatchObject({
      type: 'OrderDiscarded',
      status: 'CANCELLED',
      message_id: null,
      detail: { reason: 'changed my mind' },
    });
  });
});

describe('the rules of a cart', () => {
  it.each<[string, number, string, (cart: Awaited<ReturnType<typeof aCart>>) => Promise<Answer>]>([
    ['an unknown product', 422, 'product-unknown', (cart) => cart.add(aLine({ productId: 'unicorn' }))],
    ['another currency', 422, 'mixed-currencies', (cart) => cart.add(aLine({ productId: 'book' }))],
    ['an unexpected price', 409, 'price-changed', (cart) => cart.add(aLine({ unitPrice: 1 }))],
    ['a change of an item it does not have', 404, 'item-not-found', (cart) => cart.change('mug', { quantity: 1 })],
    [
      'a change at an unexpected price',
      409,
      'price-changed',
      (cart) => cart.change('tea', { quantity: 1, unitPrice: 1 }),
    ],
    ['a removal of an item it does not have', 404, 'item-not-found', (cart) => cart.remove('mug')],
    ['an empty change', 400, 'validation', (cart) => cart.change('tea', {})],
    ['a quantity of zero', 400, 'validation', (cart) => cart.change('tea', { quantity: 0 })],
    ['a quantity that is too large', 400, 'validation', (cart) => cart.change('tea', { quantity: 1_000_001 })],
    ['an item without a quantity', 400, 'validation', (cart) => cart.add({ productId: 'tea' })],
    ['more of one product than a line takes', 400, 'validation', (cart) => cart.add(aLine({ quantity: 10_001 }))],
    ['a product in capitals', 400, 'validation', (cart) => cart.remove('TEA')],
    ['a cancellation without a reason', 400, 'validation', (cart) => cart.customer.post(`${cart.path}/cancel`, {})],
    ['an empty reason', 400, 'validation', (cart) => cart.cancel('')],
    ['a blank reason', 400, 'validation', (cart) => cart.cancel(' \n')],
    ['a reason of 501 letters', 400, 'validation', (cart) => cart.cancel('x'.repeat(501))],
    ['an unknown field in a placement', 400, 'validation', (cart) => cart.place({ price: 1 })],
  ])('reject %s and leave the cart unchanged', async (_, status, code, edit) => {
    const cart = await aCart();
    const before = await service.counts();

    const answer = await edit(cart);

    expectProblem(answer, status, code);
    expect(await service.counts()).toEqual(before);
    expect((await cart.show()).body).toEqual(cart.opened.body);
  });

  it('allow 1,000,000 pieces of a product and no more', async () => {
    const cart = await aCart();

    const most = await cart.change('tea', { quantity: 1_000_000 });
    const more = await cart.add(aLine({ quantity: 1 }));

    expect(most).toMatchObject({ status: 200, body: { total: 450_000_000 } });
    expectProblem(more, 422, 'quantity-too-large', { orderId: cart.id, productId: 'tea', most: 1_000_000 });
  });

  it('allow 100 different products and no more', async () => {
    const products = await Promise.all(Array.from({ length: 101 }, () => service.aProduct()));
    const [last = '', ...hundred] = products;
    const cart = await aCart(hundred.map((productId) => ({ productId, quantity: 1 })));

    const answer = await cart.add({ productId: last, quantity: 1 });

    expectProblem(answer, 422, 'too-many-products', { orderId: cart.id, most: 100 });
  });

  it('do not place an empty cart', async () => {
    const cart = await aCart([]);

    expectProblem(await cart.place(), 422, 'order-empty', { orderId: cart.id });
  });

  it.each<[string, (cart: Awaited<ReturnType<typeof aCart>>) => Promise<Answer>]>([
    ['placed', (cart) => cart.place()],
    ['discarded', (cart) => cart.cancel()],
  ])('do not change a cart once it is %s', async (_, end) => {
    const cart = await aCart();
    const { body } = await end(cart);

    const answers = await Promise.all([
      cart.add(aLine()),
      cart.change('tea', { quantity: 1 }),
      cart.remove('tea'),
      cart.place(),
    ]);

    for (const answer of answers)
      expectProblem(answer, 409, 'order-wrong-status', { orderId: cart.id, actual: body.status });
  });
});

describe('a cart with concurrent edits', () => {
  it.each<[string, string, string, object | undefined]>([
    ['adds', 'POST', '/items', aLine()],
    ['changes', 'PATCH', '/items/tea', { quantity: 7 }],
    ['removes', 'DELETE', '/items/tea', undefined],
    ['places', 'POST', '/place', undefined],
    ['cancels', 'POST', '/cancel', { reason: 'no more' }],
  ])('rejects a client that %s based on another version', async (_, method, path, body) => {
    const cart = await aCart();
    const { headers } = await cart.add(aLine({ productId: 'mug' }));
    const now = headers.get('etag') ?? '';
    const before = await service.counts();

    const stale = await cart.seen(cart.etag).send(method, cart.path + path, body);
    const garbled = await cart.seen('seven').send(method, cart.path + path, body);
    expect(await service.counts()).toEqual(before);
    const fresh = await cart.seen(now).send(method, cart.path + path, body);

    expectProblem(stale, 412, 'version-conflict', { expected: 2, actual: 3 });
    expectProblem(garbled, 400, 'validation', { errors: [{ parameter: 'If-Match', detail: expect.any(String) }] });
    expect(fresh.status).toBe(200);
  });

  it('accepts one of ten edits based on the same version and rejects the others', async () => {
    const cart = await aCart();

    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        cart.seen(cart.etag).post(`${cart.path}/items`, aLine({ productId: 'mug', quantity: n + 1 })),
      ),
    );

    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 412)).toHaveLength(9);
  });

  it('loses none of ten concurrent additions', async () => {
    const cart = await aCart([]);

    await Promise.all(Array.from({ length: 10 }, () => cart.add(aLine({ quantity: 1 }))));

    const { body } = await cart.show();
    expect(body).toMatchObject({ items: [{ quantity: 10 }], total: 4500, version: 11 });
    expect((await service.steps(cart.id)).map(({ version }) => version)).toEqual(
      Array.from({ length: 11 }, (_, n) => n + 1),
    );
  });

  it('is placed once by ten concurrent requests', async () => {
    const cart = await aCart();

    const answers = await Promise.all(Array.from({ length: 10 }, () => cart.place()));

    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, ...Array(9).fill(409)]);
    expect((await service.stored(cart.id)).messages).toHaveLength(1);
  });
});

describe("P10 another customer's cart", () => {
  const edits: [string, string, string, object | undefined][] = [
    ['is not filled', 'POST', '/items', aLine()],
    ['is not changed', 'PATCH', '/items/tea', { quantity: 7 }],
    ['is not emptied', 'DELETE', '/items/tea', undefined],
    ['is not placed', 'POST', '/place', undefined],
  ];

  it.each([...edits, ['is not cancelled', 'POST', '/cancel', { reason: 'mine' }] as const])(
    '%s and looks as if it did not exist',
    async (_, method, path, body) => {
      const cart = await aCart();
      const unknownId = uuidv7();
      const before = await service.counts();
      const stranger = service.aCustomer();

      const others = await stranger.send(method, cart.path + path, body);
      const none = await stranger.send(method, `/orders/${unknownId}${path}`, body);

      expectProblem(others, 404, 'order-not-found', { orderId: cart.id });
      expectProblem(none, 404, 'order-not-found', { orderId: unknownId });
      expect(await service.counts()).toEqual(before);
    },
  );

  it.each(edits)('%s by an operator, who may see it', async (_, method, path, body) => {
    const cart = await aCart();
    const operator = service.anOperator();

    const answer = await operator.send(method, cart.path + path, body);

    expectProblem(answer, 403, 'order-not-yours', { orderId: cart.id });
    expect((await operator.get(cart.path)).body).toEqual(cart.opened.body);
  });

  it('can be discarded by an operator', async () => {
    const cart = await aCart();

    expect(await service.anOperator().post(`${cart.path}/cancel`, { reason: 'stale' })).toMatchObject({
      status: 200,
      body: { status: 'CANCELLED', cancelReason: 'stale' },
    });
  });
});

it('P1 a cart is not placed if its message cannot be written', async () => {
  const cart = await aCart();
  const before = await service.counts();

  const answer = await service.withoutOutbox(() => cart.place());

  expectProblem(answer, 500, 'internal-error');
  expect(await service.counts()).toEqual(before);
  expect((await cart.show()).body).toEqual(cart.opened.body);
});

it('the OpenAPI document describes every response of these tests', () => {
  expect(service.undocumented()).toEqual([]);
});
