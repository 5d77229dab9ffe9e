import { randomUUID } from 'node:crypto';
import { type Answer, expectProblem, INVALID_LIMITS } from '@twinbox/test-support';
import { QUOTAS_FOR_LOAD } from '@twinbox/tools';
import { v7 as uuidv7 } from 'uuid';
import { type OrderServiceHarness, startOrderService } from './order-service.harness.js';

let service: OrderServiceHarness;
beforeAll(async () => {
  service = await startOrderService(QUOTAS_FOR_LOAD);
});
afterAll(() => service.stop());

const facts = { name: 'Green tea, 100 g', price: 950, currency: 'EUR', stock: 20 };

function put(productId: string, fields: object = {}, headers: Record<string, string> = {}): Promise<Answer> {
  const operator = service.aCustomer('olga', { 'x-roles': 'operator', ...headers });
  return operator.send('PUT', `/products/${productId}`, { ...facts, ...fields });
}

const newId = () => `p-${randomUUID()}`;

async function order(productId: string, quantity: number): Promise<string> {
  const { status, body } = await service.aCustomer('ada').post('/orders', { items: [{ productId, quantity }] });
  expect(status).toBe(201);
  return body.id;
}

/** Returns the ids on each page of a list. */
async function pages(path: string): Promise<string[][]> {
  const { get } = service.aCustomer();
  const found: string[][] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const { status, body } = await get(path + (cursor && `&cursor=${cursor}`));
    expect(status).toBe(200);
    found.push(body.items.map(({ id }: { id: string }) => id));
    cursor = body.nextCursor;
  }
  return found;
}

describe('putting a product', () => {
  it('adds it with its stock and returns its version', async () => {
    const id = newId();

    const answer = await put(id);

    expect(answer).toMatchObject({ status: 201 });
    expect(answer.body).toEqual({
      id,
      name: 'Green tea, 100 g',
      price: 950,
      currency: 'EUR',
      available: 20,
      stock: 20,
      reserved: 0,
      version: 1,
      updatedAt: expect.any(String),
    });
    expect(answer.headers.get('etag')).toBe('"1-20-0"');
  });

  it('changes it and keeps what orders have reserved', async () => {
    const id = newId();
    await put(id);
    await order(id, 3);

    const answer = await put(id, { name: 'Sencha', price: 1000, stock: 5 });

    expect(answer).toMatchObject({
      status: 200,
      body: { name: 'Sencha', price: 1000, stock: 5, reserved: 3, available: 2, version: 2 },
    });
    expect(answer.headers.get('etag')).toBe('"2-2-3"');
  });

  it('is rejected if orders have reserved more than the new stock, and changes nothing', async () => {
    const id = newId();
    const { body } = await put(id);
    await order(id, 3);

    const answer = await put(id, { name: 'Sencha', stock: 2 });

    expectProblem(answer, 409, 'stock-reserved', { productId: id, stock: 2, reserved: 3 });
    expect((await service.anOperator().get(`/products/${id}`)).body).toEqual({ ...body, reserved: 3, available: 17 });
    expect((await put(id, { stock: 3 })).body).toMatchObject({ reserved: 3, available: 0 });
  });

  it('includes what cancelled orders released, but not what was paid', async () => {
    const id = newId();
    await put(id);
    const [cancelled, paid] = [await order(id, 4), await order(id, 6)];
    await service.aCustomer('ada').post(`/orders/${cancelled}/cancel`, { reason: 'too much' });
    const shown = await service.anOperator().get(`/products/${id}`);
    await service.receives({ type: 'PaymentSucceeded', data: { orderId: paid, paymentRequestId: uuidv7() } });
    const confirmed = await service.anOperator().get(`/products/${id}`);

    const answer = await put(id, { stock: 14 });

    expect(shown.body).toMatchObject({ stock: 20, reserved: 6, available: 14 });
    expect(confirmed.body).toMatchObject({ stock: 14, reserved: 0, available: 14 });
    expect(answer.body).toMatchObject({ stock: 14, reserved: 0, available: 14 });
    await order(id, 14);
  });

  it('changes only the expected version', async () => {
    const id = newId();
    await put(id);
    await put(id, { price: 1 });

    const stale = await put(id, { price: 2 }, { 'if-match': '"1"' });
    const none = await put(newId(), {}, { 'if-match': '"1"' });
    const nothing = await put(newId(), {}, { 'if-match': '*' });
    const garbled = await put(id, {}, { 'if-match': '1' });
    const fresh = await put(id, { price: 3 }, { 'if-match': '"2"' });
    const any = await put(id, { price: 4 }, { 'if-match': '*' });

    expectProblem(stale, 412, 'version-conflict', { expected: 1, actual: 2 });
    expectProblem(none, 412, 'version-conflict', { expected: 1, actual: 0 });
    expectProblem(nothing, 412, 'version-conflict', { expected: '*', actual: 0 });
    expectProblem(garbled, 400, 'validation', { errors: [{ parameter: 'If-Match', detail: expect.any(String) }] });
    expect([fresh.body.price, any.body.price]).toEqual([3, 4]);
  });

  it('is not rejected because of a sale', async () => {
    const id = newId();
    const { headers } = await put(id);
    await order(id, 1);

    expect((await put(id, {}, { 'if-match': headers.get('etag') ?? '' })).status).toBe(200);
  });

  it('by concurrent requests adds it once and applies all of them', async () => {
    const id = newId();

    const answers = await Promise.all(Array.from({ length: 8 }, (_, n) => put(id, { price: n + 1 })));

    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([...Array(7).fill(200), 201]);
    expect(answers.map(({ body }) => Number(body.version)).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('P10 is for operators and admins only', async () => {
    const id = newId();

    expectProblem(await put(id, {}, { 'x-roles': 'customer' }), 403, 'role-required', { roles: ['operator'] });
    expectProblem(await service.anOperator().get(`/products/${id}`), 404, 'product-not-found', { productId: id });
    expect((await put(id, {}, { 'x-roles': 'admin' })).status).toBe(201);
  });

  it.each([
    ['no name', { name: undefined }, '#/name'],
    ['a blank name', { name: ' ' }, '#/name'],
    ['a name of 201 letters', { name: 'x'.repeat(201) }, '#/name'],
    ['no price', { price: undefined }, '#/price'],
    ['a price of zero', { price: 0 }, '#/price'],
    ['half a cent', { price: 0.5 }, '#/price'],
    ['a price in quotes', { price: '950' }, '#/price'],
    ['a price beyond a safe integer', { price: 2 ** 53 }, '#/price'],
    ['no currency', { currency: undefined }, '#/currency'],
    ['an unknown currency', { currency: 'XYZ' }, '#/currency'],
    ['a currency in lower case', { currency: 'eur' }, '#/currency'],
    ...['ANG', 'ZWL', 'HRK', 'SLL', 'CUC', 'BGN', 'XTS', 'XXX', 'XAU', 'XDR', 'CHW', 'XAD'].map(
      (currency): [string, object, string] => [`the currency ${currency}`, { currency }, '#/currency'],
    ),
    ['no stock', { stock: undefined }, '#/stock'],
    ['a negative stock', { stock: -1 }, '#/stock'],
    ['half a piece', { stock: 1.5 }, '#/stock'],
    ['a stock that is too large', { stock: 1_000_000_001 }, '#/stock'],
    ['a computed field', { available: 3 }, '#/available'],
  ])('is rejected with %s', async (_, fields, pointer) => {
    expectProblem(await put('tea', fields), 400, 'validation', {
      errors: expect.arrayContaining([{ pointer, detail: expect.any(String) }]),
    });
  });

  it.each(['XCG', 'ZWG', 'SLE', 'VED', 'VES', 'XOF', 'JPY'])('accepts the currency %s', async (currency) => {
    expect(await put(newId(), { currency })).toMatchObject({ status: 201, body: { currency } });
  });

  it('does not affect a product whose currency was withdrawn: it is shown, sold and released', async () => {
    const id = await service.aProduct({ currency: 'ANG', stock: 5 });

    const orderId = await order(id, 2);

    const customer = service.aCustomer('ada');
    expect((await customer.get(`/products/${id}`)).body).toMatchObject({ currency: 'ANG', available: 3 });
    expect((await service.stored(orderId)).messages).toMatchObject([{ type: 'OrderPlaced' }]);
    expect(await customer.post(`/orders/${orderId}/cancel`, { reason: 'too much' })).toMatchObject({
      status: 200,
      body: { currency: 'ANG' },
    });
  });

  it.each(['ANG', 'ZWL', 'BGN', 'XAU'])('keeps a price in %s while its name and stock change', async (currency) => {
    const id = await service.aProduct({ currency, price: 950, stock: 5 });

    const kept = await put(id, { currency, name: 'Black tea, 100 g', stock: 7 });

    expect(kept).toMatchObject({ status: 200, body: { currency, name: 'Black tea, 100 g', available: 7 } });
    const errors = [{ pointer: '#/currency', detail: expect.stringContaining(currency) }];
    expectProblem(await put(id, { currency, price: 951 }), 400, 'validation', { errors });
    expectProblem(await put(newId(), { currency }), 400, 'validation', { errors });
    expect(await put(id, { currency: 'EUR' })).toMatchObject({ status: 200, body: { currency: 'EUR' } });
    expectProblem(await put(id, { currency }), 400, 'validation', { errors });
  });

  it.each(['XTS', 'XXX'])('does not keep a price in %s, which earlier versions accepted', async (currency) => {
    const id = await service.aProduct({ currency, price: 950, stock: 5 });

    expectProblem(await put(id, { currency }), 400, 'validation', {
      errors: [{ pointer: '#/currency', detail: expect.any(String) }],
    });
  });

  it.each(['Tea', 'green tea', 'x'.repeat(65), 'tee%C3%A9'])('is rejected for the id %s', async (id) => {
    expectProblem(await put(encodeURI(id)), 400, 'validation', {
      errors: [{ parameter: 'productId', detail: expect.any(String) }],
    });
  });

  it('accepts a billion pieces and sells them', async () => {
    const id = newId();
    await put(id, { stock: 1_000_000_000 });

    await order(id, 10_000);

    expect((await service.aCustomer().get(`/products/${id}`)).body).toMatchObject({ available: 999_990_000 });
  });
});

describe('a product', () => {
  it('is shown to customers with what is available, and to operators with what is in stock', async () => {
    const customer = await service.aCustomer().get('/products/tea');
    const operator = await service.anOperator().get('/products/tea');

    expect(customer).toMatchObject({ status: 200 });
    expect(customer.body).toEqual({
      id: 'tea',
      name: 'Tea',
      price: 450,
      currency: 'EUR',
      available: 1_000_000_000,
      version: 1,
      updatedAt: expect.any(String),
    });
    expect(customer.headers.get('etag')).toBe('"1-1000000000"');
    expect(operator.body).toEqual({ ...customer.body, stock: 1_000_000_000, reserved: 0 });
  });

  it('that does not exist is not found', async () => {
    expectProblem(await service.aCustomer().get('/products/unicorn'), 404, 'product-not-found', {
      productId: 'unicorn',
    });
  });
});

describe('products', () => {
  let prefix: string;
  beforeAll(async () => {
    prefix = `s${randomUUID().slice(0, 8)}`;
    await Promise.all([
      put(`${prefix}-earl-grey`, { name: 'Earl Grey, 100 g (loose)' }),
      put(`${prefix}-grey-mug`, { name: 'Mug, grey.Matte' }),
      put(`${prefix}-espresso`, { name: "Crème d'Espresso 2.0" }),
    ]);
  });
  const found = async (words: string) =>
    (await pages(`/products?limit=100&q=${encodeURIComponent(`${prefix} ${words}`)}`)).flat();

  it('are listed by id, each the same as when read alone', async () => {
    const { get } = service.aCustomer();

    const { body } = await get('/products?limit=100');

    const ids = body.items.map(({ id }: { id: string }) => id);
    expect(ids).toEqual([...ids].sort((a: string, b: string) => (a < b ? -1 : 1)));
    expect(ids).toEqual(expect.arrayContaining(['book', 'mug', 'tea']));
    for (const product of body.items.slice(0, 3)) expect(product).toEqual((await get(`/products/${product.id}`)).body);
  });

  it('are listed for operators with their stock', async () => {
    const id = newId();
    await put(id);
    await order(id, 3);

    const { body } = await service.anOperator().get(`/products?q=${id}`);

    expect(body.items).toEqual([expect.objectContaining({ id, stock: 20, reserved: 3, available: 17 })]);
  });

  it.each([1, 2, 3, 100])('come in pages of %i, each once', async (limit) => {
    const all = await pages('/products?limit=100');
    const found = await pages(`/products?limit=${limit}`);

    expect(found.flat()).toEqual(all.flat());
    expect(found.length).toBe(Math.ceil(all.flat().length / limit));
  });

  it.each([
    ['a word', 'espresso', ['espresso']],
    ['the beginning of a word', 'ear', ['earl-grey']],
    ['beginnings of several words', 'gre ear', ['earl-grey']],
    ['a common word', 'grey', ['earl-grey', 'grey-mug']],
    ['capitals', 'EARL', ['earl-grey']],
    ['an accent', 'crè', ['espresso']],
    ['a number', '100', ['earl-grey']],
    ['a word after a dot', 'matte', ['grey-mug']],
    ['an unknown word', 'unicorn', []],
    ['the middle of a word', 'press', []],
    ['search operators', "grey & !mug | 'x':* \\", []],
    ['the prefix alone', '', ['earl-grey', 'espresso', 'grey-mug']],
  ])('are found by %s', async (_, words, names) => {
    expect(await found(words)).toEqual(names.map((name) => `${prefix}-${name}`));
  });

  it('are not found by text without words', async () => {
    expect(await pages(`/products?limit=10&q=${encodeURIComponent('!&|:*()\\\'"')}`)).toEqual([[]]);
  });

  it('are found page by page with a cursor that is valid for the same words only', async () => {
    const { get } = service.aCustomer();
    const { body } = await get(`/products?limit=1&q=${prefix}`);

    expect(await pages(`/products?limit=1&q=${prefix}`)).toEqual([
      [`${prefix}-earl-grey`],
      [`${prefix}-espresso`],
      [`${prefix}-grey-mug`],
    ]);
    for (const path of [`/products?cursor=${body.nextCursor}`, `/products?q=tea&cursor=${body.nextCursor}`])
      expectProblem(await get(path), 400, 'validation', {
        errors: [{ parameter: 'cursor', detail: expect.any(String) }],
      });
  });

  it.each([
    ...INVALID_LIMITS,
    ['cursor=', 'cursor'],
    ['cursor=mug', 'cursor'],
    ['cursor=%00', 'cursor'],
    ['cursor=a&cursor=b', 'cursor'],
    ['q=', 'q'],
    ['q=%00', 'q'],
    [`q=${'x'.repeat(101)}`, 'q'],
    ['q=a&q=b', 'q'],
    ['sort=price', 'sort'],
  ])('are not listed for %s', async (query, parameter) => {
    expectProblem(await service.aCustomer().get(`/products?${query}`), 400, 'validation', {
      errors: expect.arrayContaining([{ parameter, detail: expect.any(String) }]),
    });
  });
});

describe('P10 a caller', () => {
  it.each([`/orders/${uuidv7()}`, '/orders/17'])('that is not identified learns nothing about %s', async (path) => {
    const nobody = await service.caller({}).get(path);
    const king = await service.aCustomer('ada', { 'x-roles': 'king' }).get(path);

    expectProblem(nobody, 401, 'caller-unknown');
    expectProblem(king, 401, 'caller-unknown');
  });
});

it('the OpenAPI document describes every response of these tests', () => {
  expect(service.undocumented()).toEqual([]);
});

describe('the history of a product', () => {
  const historyOf = (id: string) =>
    service.database.sql(
      `select version, actor, old_price::int, old_currency, old_stock, price::int, currency, stock, at
         from orders.product_history where product_id = $1 order by position`,
      [id],
    );

  it('P10 shows who changed price and stock, and from what to what, reserved pieces included', async () => {
    const id = newId();
    await put(id);
    await order(id, 3);
    const { body } = await put(id, { price: 990, stock: 15 });

    const history = await historyOf(id);

    const added = { price: 950, currency: 'EUR', stock: 20 };
    const before = { old_price: 950, old_currency: 'EUR', old_stock: 20 };
    expect(history).toEqual([
      {
        version: 1,
        actor: 'operator:olga',
        old_price: null,
        old_currency: null,
        old_stock: null,
        ...added,
        at: expect.any(Date),
      },
      {
        version: 2,
        actor: 'operator:olga',
        ...before,
        price: 990,
        currency: 'EUR',
        stock: 15,
        at: new Date(body.updatedAt),
      },
    ]);
  });

  it('does not contain another name, nor a change that was rejected', async () => {
    const id = newId();
    await put(id);
    await put(id, { name: 'Greener tea' });
    await order(id, 3);
    const rejected = await put(id, { stock: 2 });

    const history = await historyOf(id);

    expectProblem(rejected, 409, 'stock-reserved', { productId: id, stock: 2, reserved: 3 });
    expect(history).toHaveLength(1);
  });

  it('P1 and the change are written together or not at all', async () => {
    const id = newId();
    await put(id);
    await service.database.sql('revoke insert on orders.product_history from orders');

    const { status } = await put(id, { price: 1 });

    await service.database.sql('grant insert on orders.product_history to orders');
    expect(status).toBe(500);
    expect(await service.aCustomer().get(`/products/${id}`)).toMatchObject({ body: { price: 950, version: 1 } });
  });
});
