import { randomUUID } from 'node:crypto';
import { expectProblem } from '@twinbox/test-support';
import { v7 as uuidv7 } from 'uuid';
import { aCart, aLine, type OrderServiceHarness, startOrderService } from './order-service.harness.js';

let service: OrderServiceHarness;
beforeAll(async () => {
  service = await startOrderService();
});
afterAll(() => service.stop());

type Headers = Readonly<Record<string, string>>;

const facts = { name: 'Green tea, 100 g', price: 950, currency: 'EUR', stock: 20 };
const anOperator = (headers: Headers = {}) => service.aCustomer('olga', { 'x-roles': 'operator', ...headers });

/** A cart with tea and its customer. */
async function anOrder(draft = true) {
  const { userId, post } = service.aCustomer();
  const { body } = await post('/orders', { ...aCart(), draft });
  const path = `/orders/${body.id}`;
  const as = (headers: Headers) => service.aCustomer(userId, headers);
  return { id: String(body.id), path, as, get: (headers: Headers = {}) => as(headers).get(path) };
}

/** The answer to a GET or HEAD. */
async function headersOf(method: string, path: string, headers: Headers) {
  const response = await fetch(new URL(path, service.url), { method, headers });
  const text = await response.text();
  const names = ['etag', 'vary', 'cache-control'];
  return { status: response.status, text, headers: names.map((name) => response.headers.get(name)) };
}

it('the date of an order is evaluated if there is no ETag', async () => {
  const order = await anOrder();
  const longAgo = new Date(0).toUTCString();
  await service.database.sql(`update orders.orders set updated_at = '2026-11-20T10:00:05.900Z' where id = $1`, [
    order.id,
  ]);
  const modified = (await order.get()).headers.get('last-modified') ?? '';
  const add = (headers: Headers) => order.as(headers).post(`${order.path}/items`, aLine({ productId: 'mug' }));

  const reads = [
    await order.get({ 'if-modified-since': modified }),
    await order.get({ 'if-unmodified-since': longAgo }),
  ];
  const changes = [await add({ 'if-unmodified-since': longAgo }), await add({ 'if-unmodified-since': modified })];
  const again = await add({ 'if-unmodified-since': modified });

  expect(modified).toBe('Fri, 20 Nov 2026 10:00:05 GMT');
  expect(reads.map(({ status }) => status)).toEqual([304, 412]);
  expect(changes.map(({ status }) => status)).toEqual([412, 200]);
  expectProblem(again, 412, 'version-conflict', { actual: 3 });
});

it('the date of a product is evaluated for a change but not for a GET, because its stock has none', async () => {
  const id = await service.aProduct();
  const longAgo = new Date(0).toUTCString();
  const path = `/products/${id}`;

  const read = await anOperator({ 'if-modified-since': new Date().toUTCString() }).get(path);
  const change = await anOperator({ 'if-unmodified-since': longAgo }).send('PUT', path, facts);

  expect(read.status).toBe(200);
  expect(read.headers.get('last-modified')).toBeNull();
  expectProblem(change, 412, 'version-conflict', { actual: expect.any(Number) });
});

describe('a GET of an order', () => {
  it('is a 304 for a client that has it, until it changes', async () => {
    const order = await anOrder();
    const { headers } = await order.get();
    const etag = headers.get('etag') ?? '';

    const known = [
      await order.get({ 'if-none-match': etag }),
      await order.get({ 'if-none-match': `W/${etag}` }),
      await order.get({ 'if-none-match': `"x", ${etag}` }),
      await order.get({ 'if-none-match': '*' }),
    ];
    await order.as({}).post(`${order.path}/items`, aLine({ productId: 'mug' }));
    const changed = await order.get({ 'if-none-match': etag });

    expect(known.map(({ status, body }) => [status, body])).toEqual(known.map(() => [304, '']));
    expect(changed).toMatchObject({ status: 200, body: { version: 3 } });
    expect(changed.headers.get('etag')).toBe('"3"');
  });

  it.each(['GET', 'HEAD'])('has the headers of the 200 with the 304: %s', async (method) => {
    const order = await anOrder();
    const [{ customer_id: userId } = {}] = await service.database.sql('select * from orders.orders where id = $1', [
      order.id,
    ]);
    const caller = { 'x-user-id': String(userId) };

    const full = await headersOf(method, order.path, caller);
    const known = await headersOf(method, order.path, { ...caller, 'if-none-match': '"2"' });

    expect(full.headers).toEqual(['"2"', 'X-User-Id, X-Roles', 'no-store']);
    expect(known).toEqual({ status: 304, text: '', headers: full.headers });
  });

  it('is a 200 once the order is late, although its version is the same', async () => {
    const order = await anOrder(false);
    const etag = (await order.get()).headers.get('etag') ?? '';
    await service.database.sql(`update orders.orders set due_at = due_at - interval '1 hour' where id = $1`, [
      order.id,
    ]);

    const late = await order.get({ 'if-none-match': etag });
    const known = await order.get({ 'if-none-match': late.headers.get('etag') ?? '' });
    const changed = await order
      .as({ 'if-match': late.headers.get('etag') ?? '' })
      .post(`${order.path}/cancel`, { reason: 'late' });

    expect(late).toMatchObject({ status: 200, body: { late: true, version: 1 } });
    expect(known.status).toBe(304);
    expect(changed).toMatchObject({ status: 200, body: { status: 'CANCELLED' } });
  });

  it('is a 412 for another version in If-Match', async () => {
    const order = await anOrder();

    expectProblem(await order.get({ 'if-match': '"1"' }), 412, 'version-conflict', { expected: 1, actual: 2 });
    expect((await order.get({ 'if-match': '"2"' })).status).toBe(200);
    expectProblem(await order.get({ 'if-match': '"1"', 'if-none-match': '*' }), 412, 'version-conflict');
  });

  it('P10 does not reveal to other customers whether it exists', async () => {
    const { path } = await anOrder();
    const other = service.aCustomer('somebody else', { 'if-none-match': '*', 'if-match': '"1"' });

    expectProblem(await other.get(path), 404, 'order-not-found');
    expectProblem(await other.get(`/orders/${uuidv7()}`), 404, 'order-not-found');
  });
});

describe('a change of an order', () => {
  const changes: [string, string, string, object | undefined][] = [
    ['adds', 'POST', '/items', aLine()],
    ['changes', 'PATCH', '/items/tea', { quantity: 7 }],
    ['removes', 'DELETE', '/items/tea', undefined],
    ['places', 'POST', '/place', undefined],
    ['cancels', 'POST', '/cancel', { reason: 'no more' }],
  ];

  it.each(changes)('that %s is rejected if its precondition fails and made if it holds', async (...change) => {
    const [, method, path, body] = change;
    const order = await anOrder();
    const send = (headers: Headers) => order.as(headers).send(method, order.path + path, body);
    const before = await service.counts();

    const refused: [Headers, object][] = [
      [{ 'if-match': '"1"' }, { expected: 1 }],
      [{ 'if-match': '"1", "3"' }, { expected: [1, 3] }],
      [{ 'if-match': 'W/"2"' }, { expected: [] }],
      [{ 'if-none-match': '*' }, { unexpected: '*' }],
      [{ 'if-none-match': '"2"' }, { unexpected: 2 }],
      [{ 'if-none-match': '"1", W/"2"' }, { unexpected: [1, 2] }],
      [{ 'if-match': '"2"', 'if-none-match': '*' }, { unexpected: '*' }],
    ];
    for (const [headers, members] of refused)
      expectProblem(await send(headers), 412, 'version-conflict', { actual: 2, ...members });
    for (const headers of [{ 'if-match': '2' }, { 'if-none-match': '"2' }])
      expectProblem(await send(headers), 400, 'validation');
    expect(await service.counts()).toEqual(before);

    const made = await send({ 'if-match': '"1", "2"', 'if-none-match': '"1"' });
    expect(made.status).toBe(200);
    expect(made.headers.get('etag')).toBe(`"${made.body.version}"`);
  });

  it.each([
    [{ 'if-match': '"1"' }, { 'if-none-match': '*' }],
    [{ 'if-match': '*' }, { 'if-match': 'W/"2"' }],
  ])(
    'of a missing order is a 404 and a forbidden one is a 403, whatever the precondition: %j, %j',
    async (...headers) => {
      const order = await anOrder();

      for (const each of headers) {
        for (const path of [`${order.path}/items/mug`, `/orders/${uuidv7()}/items/tea`])
          for (const [method, body] of [['PATCH', { quantity: 1 }] as const, ['DELETE', undefined] as const])
            expect((await order.as(each).send(method, path, body)).status).toBe(404);
        expectProblem(await order.as(each).post(`/orders/${uuidv7()}/place`), 404, 'order-not-found');
        expectProblem(await anOperator(each).post(`${order.path}/place`), 403, 'order-not-yours');
        expectProblem(await order.as(each).post(`${order.path}/finish`), 403, 'role-required');
        expectProblem(await order.as(each).post(`${order.path}/cancel`, {}), 400, 'validation');
      }
    },
  );

  it('that is repeated with its key gets the stored answer, although its precondition no longer holds', async () => {
    const order = await anOrder();
    const customer = order.as({ 'if-match': '"2"', 'idempotency-key': uuidv7() });

    const first = await customer.post(`${order.path}/items`, aLine());
    const again = await customer.post(`${order.path}/items`, aLine());

    expect(first).toMatchObject({ status: 200, body: { version: 3 } });
    expect(again).toMatchObject({ status: 200, body: first.body });
    expect(again.headers.get('etag')).toBe('"3"');
  });
});

describe('a product', () => {
  const newId = () => `p-${randomUUID()}`;
  const put = (id: string, headers: Headers = {}, fields: object = {}) =>
    anOperator(headers).send('PUT', `/products/${id}`, { ...facts, ...fields });

  it('is added, and not overwritten, with If-None-Match: *', async () => {
    const id = newId();

    const added = await put(id, { 'if-none-match': '*' });
    const refused = await put(id, { 'if-none-match': '*' }, { price: 1 });

    expect(added).toMatchObject({ status: 201, body: { version: 1 } });
    expectProblem(refused, 412, 'version-conflict', { unexpected: '*', actual: 1 });
    expect((await service.aCustomer().get(`/products/${id}`)).body).toMatchObject({ price: 950, version: 1 });
  });

  it('is added once by concurrent requests with If-None-Match: *', async () => {
    const id = newId();

    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, n) => put(id, { 'if-none-match': '*' }, { price: n + 1 })),
    );

    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, ...Array(7).fill(412)]);
  });

  it.each<[Headers, number]>([
    [{ 'if-match': '"1", "2"' }, 200],
    [{ 'if-match': '*' }, 200],
    [{ 'if-none-match': '"1"' }, 200],
    [{ 'if-match': '"1"' }, 412],
    [{ 'if-match': 'W/"2"' }, 412],
    [{ 'if-match': '"two"' }, 412],
    [{ 'if-none-match': '"2"' }, 412],
    [{ 'if-none-match': 'W/"2"' }, 412],
    [{ 'if-match': '2' }, 400],
    [{ 'if-none-match': '2' }, 400],
  ])('in version 2 is put with %j: %i', async (headers, status) => {
    const id = newId();
    await put(id);
    await put(id);

    expect((await put(id, headers)).status).toBe(status);
  });

  it('that does not exist is not put with If-Match', async () => {
    for (const ifMatch of ['*', '"1"', '"0"'])
      expectProblem(await put(newId(), { 'if-match': ifMatch }), 412, 'version-conflict', { actual: 0 });
  });

  it('is a 304 for a client that has it, until it is changed or sold', async () => {
    const id = newId();
    await put(id);
    const path = `/products/${id}`;
    const has = (etag: string | null) => service.caller({ 'if-none-match': etag ?? '' }).get(path);
    const first = await service.caller({}).get(path);

    const known = await has(first.headers.get('etag'));
    await service.aCustomer().post('/orders', { items: [{ productId: id, quantity: 3 }] });
    const sold = await has(first.headers.get('etag'));
    const knownAgain = await has(sold.headers.get('etag'));
    await put(id);
    const changed = await has(sold.headers.get('etag'));

    expect([known.status, knownAgain.status]).toEqual([304, 304]);
    expect(sold).toMatchObject({ status: 200, body: { available: 17, version: 1 } });
    expect(changed).toMatchObject({ status: 200, body: { version: 2 } });
    expectProblem(await service.caller({ 'if-none-match': '*' }).get('/products/unicorn'), 404, 'product-not-found');
  });

  it('has another representation for operators, who see more', async () => {
    const id = newId();
    const { headers } = await put(id);
    const etag = headers.get('etag') ?? '';

    expect((await anOperator({ 'if-none-match': etag }).get(`/products/${id}`)).status).toBe(304);
    expect((await service.aCustomer('olga', { 'if-none-match': etag }).get(`/products/${id}`)).status).toBe(200);
  });

  it('is put with an ETag from before a sale', async () => {
    const id = newId();
    await put(id);
    const { headers } = await service.caller({}).get(`/products/${id}`);
    await service.aCustomer().post('/orders', { items: [{ productId: id, quantity: 1 }] });

    expect((await put(id, { 'if-match': headers.get('etag') ?? '' })).status).toBe(200);
  });
});

it('the OpenAPI document describes every response of these tests', () => {
  expect(service.undocumented()).toEqual([]);
});
