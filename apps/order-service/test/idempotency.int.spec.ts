import { expectProblem } from '@twinbox/test-support';
import { v7 as uuidv7 } from 'uuid';
import { aCart, aLine, type OrderServiceHarness, startOrderService } from './order-service.harness.js';

let service: OrderServiceHarness;
beforeAll(async () => {
  service = await startOrderService();
});
afterAll(() => service.stop());

const withKey = (userId: string, key: string, headers: Record<string, string> = {}) =>
  service.aCustomer(userId, { 'idempotency-key': key, ...headers });

/** A caller with an unused key. */
function aKeyHolder(userId = `ada ${uuidv7()}`) {
  const key = uuidv7();
  return { key, ...withKey(userId, key) };
}

describe('the same request with the same Idempotency-Key', () => {
  it('returns the stored answer with its headers and places nothing more', async () => {
    const { post } = aKeyHolder();
    const first = await post('/orders', aCart());
    const before = await service.counts();

    const second = await post('/orders', aCart());

    expect(second).toMatchObject({ status: 201, body: first.body });
    for (const name of ['location', 'etag']) expect(second.headers.get(name)).toBe(first.headers.get(name));
    expect(first.headers.get('idempotent-replayed')).toBeNull();
    expect(second.headers.get('idempotent-replayed')).toBe('true');
    expect(await service.counts()).toEqual(before);
  });

  it('sent 50 times at once makes one order with one message', async () => {
    const { post } = aKeyHolder();
    const before = await service.counts();

    const answers = await Promise.all(Array.from({ length: 50 }, () => post('/orders', aCart())));

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect(await service.counts()).toEqual({
      orders: before.orders + 1,
      items: before.items + 1,
      steps: before.steps + 1,
      messages: before.messages + 1,
      available: String(Number(before.available) - 2),
      releases: 0,
    });
  });

  it.each([
    ['adds an item', 'items', aLine(), 1],
    ['places', 'place', undefined, 1],
    ['cancels', 'cancel', { reason: 'changed my mind' }, 1],
  ] as const)('%s once', async (_, what, body, steps) => {
    const { userId, post } = aKeyHolder();
    const cart = await service.aCustomer(userId).post('/orders', { ...aCart(), draft: true });
    const path = `/orders/${cart.body.id}/${what}`;
    const before = await service.counts();

    const answers = await Promise.all([post(path, body), post(path, body), post(path, body)]);

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(answers[1]?.body).toEqual(answers[0]?.body);
    expect((await service.counts()).steps).toBe(before.steps + steps);
  });

  it('finishes once', async () => {
    const { body } = await service.aCustomer().post('/orders', aCart());
    await service.receives({ type: 'PaymentSucceeded', data: { orderId: body.id, paymentRequestId: uuidv7() } });
    const operator = withKey('olga', uuidv7(), { 'x-roles': 'operator' });

    const first = await operator.post(`/orders/${body.id}/finish`);
    const second = await operator.post(`/orders/${body.id}/finish`);

    expect([first.status, second.status]).toEqual([200, 200]);
    expect(second.body).toEqual(first.body);
  });
});

describe('an Idempotency-Key', () => {
  it('P4 covers every spelling of the id in the path', async () => {
    const { userId, post } = aKeyHolder();
    const { body: cart } = await service.aCustomer(userId).post('/orders', { ...aCart(), draft: true });
    const spellings = [cart.id.toUpperCase(), cart.id, `%30${cart.id.slice(1)}`];

    const answers = await Promise.all(spellings.map((id) => post(`/orders/${id}/items`, aLine({ quantity: 1 }))));
    const again = await post(`/orders/${cart.id}/items`, aLine({ quantity: 1 }));

    for (const answer of [...answers, again]) expect(answer).toMatchObject({ status: 200, body: { version: 3 } });
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect((await service.stored(cart.id)).items).toMatchObject([{ quantity: 3 }]);
  });

  it('is valid for one body', async () => {
    const { post } = aKeyHolder();
    await post('/orders', aCart());
    const before = await service.counts();

    const other = await post('/orders', aCart({ description: 'another' }));

    expectProblem(other, 422, 'idempotency-key-reused');
    expect(await service.counts()).toEqual(before);
  });

  it('P10 belongs to one caller and one path', async () => {
    const holder = aKeyHolder();
    const first = await holder.post('/orders', aCart());

    const stranger = await withKey('somebody else', holder.key).post('/orders', aCart());
    const elsewhere = await holder.post(`/orders/${first.body.id}/cancel`, { reason: 'no more' });

    expect(stranger).toMatchObject({ status: 201, body: { customerId: 'somebody else' } });
    expect(elsewhere).toMatchObject({ status: 200, body: { status: 'CANCELLED' } });
  });

  it('P10 does not show an order that an operator saw to the same user without the role', async () => {
    const { body } = await service.aCustomer('ada').post('/orders', aCart());
    const key = uuidv7();
    const cancel = (headers: Record<string, string>) =>
      withKey('olga', key, headers).post(`/orders/${body.id}/cancel`, { reason: 'no more' });

    const asOperator = await cancel({ 'x-roles': 'operator' });
    const asCustomer = await cancel({});
    const again = await cancel({ 'x-roles': 'operator' });

    expect(asOperator).toMatchObject({ status: 200, body: { customerId: 'ada', status: 'CANCELLED' } });
    expectProblem(asCustomer, 403, 'role-required', { roles: ['operator'] });
    expect(JSON.stringify(asCustomer.body)).not.toContain('ada');
    expect(again).toMatchObject({ status: 200, body: asOperator.body });
  });

  it('shows an order of their own to a user who no longer has the role', async () => {
    const key = uuidv7();
    const both = withKey('olga', key, { 'x-roles': 'customer,operator' });
    const placed = await both.post('/orders', aCart());
    const plain = withKey('olga', key, { 'x-roles': 'customer' });

    const again = await plain.post('/orders', aCart());
    const cancelled = await both.post(`/orders/${placed.body.id}/cancel`, { reason: 'no more' });
    const cancelledAgain = await plain.post(`/orders/${placed.body.id}/cancel`, { reason: 'no more' });

    expect(again).toMatchObject({ status: 201, body: placed.body });
    expect(cancelledAgain).toMatchObject({ status: 200, body: cancelled.body });
  });

  it('P4 covers every spelling of the id and of the key', async () => {
    const { userId, key, post } = aKeyHolder();
    const cart = await service.aCustomer(userId).post('/orders', { ...aCart(), draft: true });
    const id = String(cart.body.id);
    const items = (spelled: string) => `/orders/${spelled}/items`;

    const first = await post(items(id), aLine());
    const again = [
      await post(items(id.toUpperCase()), aLine()),
      await post(items(`%30${id.slice(1)}`), aLine()),
      await withKey(userId, `"${key}"`).post(items(id.toUpperCase()), aLine()),
    ];

    expect(first).toMatchObject({ status: 200, body: { version: 3 } });
    for (const answer of again) {
      expect(answer).toMatchObject({ status: 200, body: first.body });
      expect(answer.headers.get('idempotent-replayed')).toBe('true');
    }
  });

  it('treats no body and an empty one as the same', async () => {
    const { userId, post } = aKeyHolder();
    const cart = await service.aCustomer(userId).post('/orders', { ...aCart(), draft: true });
    const path = `/orders/${cart.body.id}/place`;

    const first = await post(path);
    const again = [await post(path, {}), await post(path)];
    const other = await post(path, { items: [] });

    expect(first.status).toBe(200);
    for (const answer of again) expect(answer).toMatchObject({ status: 200, body: first.body });
    expectProblem(other, 422, 'idempotency-key-reused');
  });

  it('of a rejected request can be used again, even with another body', async () => {
    const productId = await service.aProduct({ stock: 1 });
    const { post } = aKeyHolder();
    const items = [{ productId, quantity: 2 }];

    const short = await post('/orders', { items });
    const invalid = await post('/orders', { items: [] });
    const fewer = await post('/orders', { items: [{ productId, quantity: 1 }] });

    expectProblem(short, 409, 'insufficient-stock');
    expectProblem(invalid, 400, 'validation');
    expect(fewer.status).toBe(201);
  });

  it('P1 is not used up by a failed request', async () => {
    const { post } = aKeyHolder();

    const failed = await service.withoutOutbox(() => post('/orders', aCart()));
    const second = await post('/orders', aCart());

    expectProblem(failed, 500, 'internal-error');
    expect(second.status).toBe(201);
    expect(second.headers.get('idempotent-replayed')).toBeNull();
  });

  it.each([
    ['an empty key', ''],
    ['a blank', 'a b'],
    ['256 characters', 'x'.repeat(256)],
    ['an accent', 'clé'],
    ['nothing between quotes', '""'],
    ['one quote', '"key'],
  ])('is rejected: %s', async (_, key) => {
    expectProblem(await withKey('ada', key).post('/orders', aCart()), 400, 'idempotency-key-invalid');
  });
});

it('the OpenAPI document describes every response of these tests', () => {
  expect(service.undocumented()).toEqual([]);
});
