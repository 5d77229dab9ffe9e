import { randomUUID } from 'node:crypto';
import { type PaymentEvent } from '@twinbox/contracts';
import { expectProblem } from '@twinbox/test-support';
import { v7 as uuidv7 } from 'uuid';
import { aCart, type OrderServiceHarness, startOrderService } from './order-service.harness.js';

let service: OrderServiceHarness;
beforeAll(async () => {
  service = await startOrderService();
});
afterAll(() => service.stop());

/** A placed order, its customer, and the events of its payment. */
async function anOrder(customer = service.aCustomer()) {
  const { body } = await customer.post('/orders', aCart());
  const orderId: string = body.id;
  const data = { orderId, paymentRequestId: uuidv7() };
  const events = {
    requested: { type: 'PaymentRequested', data: { ...data, expiresAt: '2100-01-01T00:00:00.000Z' } },
    succeeded: { type: 'PaymentSucceeded', data: { ...data, actor: 'operator:olga' } },
    failed: { type: 'PaymentFailed', data: { ...data, reason: 'card declined', actor: 'gateway' } },
    cancelled: { type: 'PaymentCancelled', data: { ...data, reason: 'ordered twice', actor: 'customer:ada' } },
    refunded: { type: 'PaymentRefunded', data: { ...data, reason: 'ordered twice', actor: 'gateway' } },
  } as const satisfies Record<string, PaymentEvent>;
  return {
    customer,
    id: orderId,
    path: `/orders/${orderId}`,
    placed: body,
    paymentRequestId: data.paymentRequestId,
    /** Handles the events and returns the ids of their messages. */
    async receives(...names: (keyof typeof events)[]): Promise<string[]> {
      const ids: string[] = [];
      for (const each of names) {
        const id = randomUUID();
        await service.receives(events[each], id);
        ids.push(id);
      }
      return ids;
    },
    cancel: (reason = 'ordered twice') => customer.post(`/orders/${orderId}/cancel`, { reason }),
    finish: () => service.anOperator('olga').post(`/orders/${orderId}/finish`),
    show: async () => (await customer.get(`/orders/${orderId}`)).body,
    history: async () =>
      (await service.steps(orderId)).map(({ type, status, actor, cause, message_id: messageId, detail }) => ({
        type,
        status,
        actor,
        cause,
        messageId,
        detail,
      })),
    messages: async () => (await service.stored(orderId)).messages,
  };
}

describe('an order', () => {
  it('shows its payment as last reported, and when it expires', async () => {
    const order = await anOrder();
    const { paymentRequestId } = order;

    await order.receives('requested');
    const pending = await order.customer.get(order.path);
    await order.receives('failed');
    const failed = await order.customer.get(order.path);

    expect(pending.body).toMatchObject({
      status: 'PAYMENT_PENDING',
      payment: { paymentRequestId, status: 'PENDING', reason: null },
      dueAt: '2100-01-01T00:00:00.000Z',
      late: false,
      cancelReason: null,
    });
    expect(pending.headers.get('etag')).toBe(`"${pending.body.version}"`);
    expect(failed.body).toMatchObject({
      status: 'CANCELLED',
      payment: { paymentRequestId, status: 'FAILED', reason: 'card declined' },
      cancelReason: 'payment failed: card declined',
      dueAt: null,
    });
    expect(failed.body.version).toBeGreaterThan(pending.body.version);
  });

  it('P10 of another customer looks as if it did not exist', async () => {
    const order = await anOrder();
    const unknownId = uuidv7();
    const { get } = service.aCustomer();

    const others = await get(order.path);
    const none = await get(`/orders/${unknownId}`);

    expectProblem(others, 404, 'order-not-found', { orderId: order.id });
    expectProblem(none, 404, 'order-not-found', { orderId: unknownId });
    const differing = { instance: '', orderId: '' };
    expect({ ...none.body, ...differing }).toEqual({ ...others.body, ...differing });
    expect([...none.headers.keys()]).toEqual([...others.headers.keys()]);
  });

  it('P10 is shown to operators and admins', async () => {
    const order = await anOrder();

    const operator = await service.anOperator().get(order.path);
    const admin = await service.aCustomer('root', { 'x-roles': 'admin' }).get(order.path);

    for (const answer of [operator, admin]) expect(answer).toMatchObject({ status: 200, body: order.placed });
  });

  it.each([
    ['a number', '17'],
    ['a UUID that lacks a digit', '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3'],
    ['a UUID of version 4', randomUUID()],
    ['the nil UUID', '00000000-0000-0000-0000-000000000000'],
    ['SQL', `'%20or%20'1'='1`],
    ['U+0000', '%00'],
    ['a very long text', 'x'.repeat(5000)],
  ])('cannot be requested by %s', async (_, id) => {
    const { get } = service.aCustomer();

    const answer = await get(`/orders/${id}`);

    expectProblem(answer, 400, 'validation', { errors: [{ parameter: 'orderId', detail: expect.any(String) }] });
  });

  it('is found by any spelling of its id', async () => {
    const order = await anOrder();

    const path = `/orders/${order.id.toUpperCase()}`;

    expect((await order.customer.get(path)).body).toMatchObject({ id: order.id });
    expect((await order.customer.post(`${path}/cancel`, { reason: 'ordered twice' })).body).toMatchObject({
      id: order.id,
      status: 'CANCELLED',
    });
  });

  it('has an id that contains the time of its creation', async () => {
    const { id, placed } = await anOrder();

    expect(Number.parseInt(id.replace('-', '').slice(0, 12), 16)).toBe(Date.parse(placed.createdAt));
  });

  it('has its whole life in its timeline, with actor, cause and message', async () => {
    const order = await anOrder();
    const received = await order.receives('requested', 'succeeded');
    const finished = await order.finish();

    const [placed, completed, ended] = await order.messages();
    const customer = `customer:${order.customer.userId}`;
    expect(finished).toMatchObject({ status: 200, body: { status: 'FINISHED', version: 5 } });
    expect(await order.history()).toEqual([
      {
        type: 'OrderPlaced',
        status: 'PLACED',
        actor: customer,
        cause: 'POST /orders',
        messageId: placed?.id,
        detail: { total: 900, currency: 'EUR' },
      },
      {
        type: 'PaymentRequested',
        status: 'PAYMENT_PENDING',
        actor: 'payment-service',
        cause: 'PaymentRequested',
        messageId: received[0],
        detail: { paymentRequestId: order.paymentRequestId, expiresAt: '2100-01-01T00:00:00.000Z' },
      },
      {
        type: 'PaymentSucceeded',
        status: 'PAYMENT_PENDING',
        actor: 'operator:olga',
        cause: 'PaymentSucceeded',
        messageId: received[1],
        detail: { paymentRequestId: order.paymentRequestId },
      },
      {
        type: 'OrderCompleted',
        status: 'COMPLETED',
        actor: 'operator:olga',
        cause: 'PaymentSucceeded',
        messageId: completed?.id,
        detail: null,
      },
      {
        type: 'OrderFinished',
        status: 'FINISHED',
        actor: 'operator:olga',
        cause: 'POST /orders/:orderId/finish',
        messageId: ended?.id,
        detail: null,
      },
    ]);
    expect([placed, completed, ended].map((message) => `${message?.type} ${message?.sequence}`)).toEqual([
      'OrderPlaced 1',
      'OrderCompleted 4',
      'OrderFinished 5',
    ]);
  });
});

describe('cancelling', () => {
  it.each([
    ['placed', []],
    ['waiting for its payment', ['requested']],
  ] as const)('ends an order that is %s and publishes the actor and the reason', async (_, received) => {
    const order = await anOrder();
    await order.receives(...received);

    const answer = await order.cancel();

    expect(answer).toMatchObject({
      status: 200,
      body: { status: 'CANCELLED', cancelReason: 'ordered twice', dueAt: null, items: order.placed.items },
    });
    expect(answer.headers.get('etag')).toBe(`"${answer.body.version}"`);
    expect(answer.body).toEqual(await order.show());
    const message = (await order.messages()).at(-1);
    expect(message).toMatchObject({ type: 'OrderCancelled', sequence: String(answer.body.version) });
    const actor = `customer:${order.customer.userId}`;
    expect(JSON.parse(message?.payload ?? '')).toEqual({
      orderId: order.id,
      customerId: order.customer.userId,
      reason: 'ordered twice',
      actor,
    });
    expect((await order.history()).at(-1)).toEqual({
      type: 'OrderCancelled',
      status: 'CANCELLED',
      actor,
      cause: 'POST /orders/:orderId/cancel',
      messageId: message?.id,
      detail: { reason: 'ordered twice' },
    });
  });

  it('is allowed to operators, who are named', async () => {
    const order = await anOrder();

    const answer = await service.anOperator('olga').post(`${order.path}/cancel`, { reason: 'fraud' });

    expect(answer).toMatchObject({ status: 200, body: { customerId: order.customer.userId, cancelReason: 'fraud' } });
    expect((await order.history()).at(-1)).toMatchObject({ actor: 'operator:olga' });
  });

  it.each([
    ['paid', ['requested', 'succeeded']],
    ['cancelled after a failed payment', ['requested', 'failed']],
  ] as const)('is too late for an order that is %s', async (_, received) => {
    const order = await anOrder();
    await order.receives(...received);
    const before = await service.counts();

    const answer = await order.cancel();

    expectProblem(answer, 409, 'order-wrong-status', { orderId: order.id, actual: (await order.show()).status });
    expect(await service.counts()).toEqual(before);
  });

  it('happens once among ten concurrent requests and releases the stock once', async () => {
    const order = await anOrder();
    const before = await service.counts();

    const answers = await Promise.all(Array.from({ length: 10 }, () => order.cancel()));

    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, ...Array(9).fill(409)]);
    const after = await service.counts();
    expect(after).toEqual({
      ...before,
      steps: before.steps + 1,
      messages: before.messages + 1,
      releases: before.releases + 1,
    });
  });

  it('P1 does not happen if its message cannot be written', async () => {
    const order = await anOrder();
    const before = await service.counts();

    const answer = await service.withoutOutbox(() => order.cancel());

    expectProblem(answer, 500, 'internal-error');
    expect(await service.counts()).toEqual(before);
    expect(await order.show()).toEqual(order.placed);
  });
});

describe('finishing', () => {
  it('P10 is for operators only', async () => {
    const order = await anOrder();
    await order.receives('requested', 'succeeded');

    expectProblem(await order.customer.post(`${order.path}/finish`), 403, 'role-required', { roles: ['operator'] });
    expect(await order.show()).toMatchObject({ status: 'COMPLETED' });
  });

  it.each([
    ['placed', []],
    ['waiting for its payment', ['requested']],
    ['cancelled', ['requested', 'failed']],
  ] as const)('is rejected for an order that is %s', async (_, received) => {
    const order = await anOrder();
    await order.receives(...received);

    expectProblem(await order.finish(), 409, 'order-wrong-status', { actual: (await order.show()).status });
  });

  it('is rejected a second time, with a body, for an unknown order and with a stale version', async () => {
    const order = await anOrder();
    await order.receives('requested', 'succeeded');
    const operator = service.anOperator();
    const path = `${order.path}/finish`;
    const stale = service.aCustomer('olga', { 'x-roles': 'operator', 'if-match': '"3"' });

    expectProblem(await operator.post(path, { why: 'done' }), 400, 'validation');
    expectProblem(await operator.post(`/orders/${uuidv7()}/finish`), 404, 'order-not-found');
    expectProblem(await stale.post(path), 412, 'version-conflict', { expected: 3, actual: 4 });
    expect((await operator.post(path)).status).toBe(200);
    expectProblem(await operator.post(path), 409, 'order-wrong-status', { actual: 'FINISHED' });
  });
});

describe('a late, duplicate or contradictory message', () => {
  it.each([
    ['a second request', ['requested'], 'requested', 'PAYMENT_PENDING', 'PENDING'],
    ['a second success', ['requested', 'succeeded'], 'succeeded', 'COMPLETED', 'SUCCEEDED'],
    ['a failure after the success', ['requested', 'succeeded'], 'failed', 'COMPLETED', 'SUCCEEDED'],
    ['a success after the failure', ['requested', 'failed'], 'succeeded', 'CANCELLED', 'FAILED'],
    ['a second failure', ['requested', 'failed'], 'failed', 'CANCELLED', 'FAILED'],
    ['a request after its result', ['succeeded'], 'requested', 'COMPLETED', 'SUCCEEDED'],
  ] as const)('is ignored with a step in the timeline: %s', async (_, before, late, status, payment) => {
    const order = await anOrder();
    await order.receives(...before);
    const steps = await order.history();
    const messages = await order.messages();

    const [messageId] = await order.receives(late);

    expect(await order.show()).toMatchObject({ status, payment: { status: payment } });
    expect(await order.messages()).toEqual(messages);
    const history = await order.history();
    expect(history.slice(0, -1)).toEqual(steps);
    expect(history.at(-1)).toMatchObject({
      type: 'MessagePassedOver',
      status,
      messageId,
      detail: { type: expect.stringMatching(/^Payment/), reason: expect.stringMatching(/\S/) },
    });
  });

  it('updates the payment of an order that was cancelled meanwhile: paid, then refunded', async () => {
    const order = await anOrder();
    await order.receives('requested');
    await order.cancel();

    await order.receives('succeeded');
    const paid = await order.show();
    await order.receives('refunded', 'refunded');

    expect(paid).toMatchObject({ status: 'CANCELLED', payment: { status: 'SUCCEEDED' } });
    expect(await order.show()).toMatchObject({
      status: 'CANCELLED',
      payment: { status: 'REFUNDED', reason: 'ordered twice' },
      cancelReason: 'ordered twice',
    });
    expect((await order.history()).map(({ type }) => type)).toEqual([
      'OrderPlaced',
      'PaymentRequested',
      'OrderCancelled',
      'MessagePassedOver',
      'PaymentRefunded',
      'MessagePassedOver',
    ]);
  });

  it('updates a payment that was never made', async () => {
    const order = await anOrder();
    await order.cancel();

    await order.receives('requested', 'cancelled');

    expect(await order.show()).toMatchObject({ status: 'CANCELLED', payment: { status: 'CANCELLED' } });
    expect((await order.history()).map(({ type }) => type)).toEqual([
      'OrderPlaced',
      'OrderCancelled',
      'MessagePassedOver',
      'PaymentCancelled',
    ]);
  });

  it('releases no stock twice', async () => {
    const productId = await service.aProduct({ stock: 10 });
    const { post, get } = service.aCustomer();
    const { body } = await post('/orders', aCart({ items: [{ productId, quantity: 4 }] }));
    const data = { orderId: body.id, paymentRequestId: uuidv7(), reason: 'card declined' };
    await service.receives({ type: 'PaymentFailed', data });

    await service.receives({ type: 'PaymentFailed', data });
    const cancelled = await post(`/orders/${body.id}/cancel`, { reason: 'again' });

    expectProblem(cancelled, 409, 'order-wrong-status');
    expect((await get(`/products/${productId}`)).body).toMatchObject({ available: 10 });
  });
});

it('the OpenAPI document describes every response of these tests', () => {
  expect(service.undocumented()).toEqual([]);
});
