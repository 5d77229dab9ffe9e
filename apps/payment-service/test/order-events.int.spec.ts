import { until } from '@twinbox/messaging/testing';
import { v7 as uuidv7 } from 'uuid';
import { anOrder, type PaymentServiceHarness, startPaymentService } from './payment-service.harness.js';

let service: PaymentServiceHarness;
beforeAll(async () => {
  service = await startPaymentService({ config: { PAYMENT_TTL: 60_000 } });
});
afterAll(() => service.stop());

const messagesOf = ({ orderId }: { readonly orderId: string }) =>
  service.database.sql<{ id: string; type: string; payload: string; sequence: string }>(
    'select * from payments.outbox where aggregateid = $1 order by position',
    [orderId],
  );
const requestsOf = ({ orderId }: { readonly orderId: string }) =>
  service.database.sql<{ id: string; status: string; created_at: Date; expires_at: Date }>(
    'select * from payments.payment_requests where order_id = $1',
    [orderId],
  );
/** Waits until the message is processed. So are earlier ones of its order, because they share a key. */
async function processed(id: string): Promise<void> {
  await until('the message is processed', async () => {
    const [known] = await service.database.sql('select from payments.inbox where message_id = $1', [id]);
    return known;
  });
}

describe('OrderPlaced', () => {
  it.each(['ANG', 'ZWL', 'XCG', 'ZWG', 'XTS', 'XXX'])(
    'requests a payment in %s, whether or not prices may still use it',
    async (currency) => {
      const order = anOrder({ currency });

      await processed(await service.receives('OrderPlaced', order));

      expect(await requestsOf(order)).toMatchObject([{ status: 'PENDING', currency }]);
    },
  );

  it('requests the payment once, with its time to live and its first step', async () => {
    const order = anOrder({ customerId: 'ada' });

    const messageId = await service.receives('OrderPlaced', order);
    await processed(messageId);

    const [request, ...others] = await requestsOf(order);
    expect(request).toMatchObject({
      status: 'PENDING',
      amount: '900',
      currency: 'EUR',
      customer_id: 'ada',
      version: 1,
    });
    expect(others).toEqual([]);
    expect(request!.expires_at.getTime() - request!.created_at.getTime()).toBe(60_000);
    // Ids sort by creation time.
    expect(Number.parseInt(request!.id.replaceAll('-', '').slice(0, 12), 16)).toBe(request!.created_at.getTime());
    const expiresAt = request!.expires_at.toISOString();
    const messages = await messagesOf(order);
    expect(messages).toMatchObject([{ type: 'PaymentRequested', sequence: '1' }]);
    expect(JSON.parse(messages[0]!.payload)).toEqual({
      orderId: order.orderId,
      paymentRequestId: request!.id,
      expiresAt,
    });
    expect(await service.steps(order)).toMatchObject([
      {
        type: 'PaymentRequested',
        status: 'PENDING',
        version: 1,
        actor: 'customer:ada',
        cause: 'OrderPlaced',
        message_id: messageId,
        detail: { expiresAt },
      },
    ]);
  });

  it('P2 P4 in version 1, which has no items, requests the payment once', async () => {
    const { items, ...order } = anOrder();

    const id = await service.receives('OrderPlaced', order, undefined, undefined, 1);
    await processed(id);
    // Redelivered by a producer of version 2, with the items.
    await service.receives('OrderPlaced', { ...order, items }, id);
    await processed(await service.receives('OrderCancelled', { ...order, reason: 'ordered twice' }));

    expect(await requestsOf(order)).toMatchObject([{ status: 'CANCELLED', amount: '900', version: 2 }]);
    expect((await service.steps(order)).map(({ type }) => type)).toEqual(['PaymentRequested', 'PaymentCancelled']);
  });

  it('P4 redelivered changes nothing; repeated by another message it adds a step', async () => {
    const order = anOrder();
    const id = await service.receives('OrderPlaced', order);
    await processed(id);

    await service.receives('OrderPlaced', order, id);
    const distinct = await service.receives('OrderPlaced', { ...order, total: 17 });
    await processed(distinct);

    expect(await requestsOf(order)).toMatchObject([{ amount: '900', version: 1 }]);
    expect(await messagesOf(order)).toHaveLength(1);
    expect(await service.steps(order)).toMatchObject([
      { type: 'PaymentRequested' },
      {
        type: 'MessagePassedOver',
        cause: 'OrderPlaced',
        message_id: distinct,
        detail: { type: 'OrderPlaced', reason: 'The order already has a payment request.' },
      },
    ]);
  });

  it('P4 for many orders at once requests each payment once', async () => {
    const orders = Array.from({ length: 40 }, () => anOrder());

    await Promise.all(orders.map((order) => service.receives('OrderPlaced', order)));

    await until('all payments are requested', async () => {
      const found = await Promise.all(orders.map(async (order) => (await requestsOf(order)).length));
      return found.every((count) => count === 1);
    });
    for (const order of orders) {
      expect(await messagesOf(order)).toHaveLength(1);
      expect(await service.steps(order)).toHaveLength(1);
    }
  });
});

describe('OrderCancelled', () => {
  it('cancels a pending payment', async () => {
    const request = await service.aRequest();

    const messageId = await service.receivesCancelled(request);

    const { request: row, messages } = await service.stored(request);
    expect(row).toMatchObject({ status: 'CANCELLED', reason: 'changed my mind', decided_by: null, version: 2 });
    expect(messages).toMatchObject([{ type: 'PaymentCancelled', sequence: '2' }]);
    expect(JSON.parse(String(messages[0]!['payload']))).toEqual({
      orderId: request.orderId,
      paymentRequestId: request.id,
      reason: 'changed my mind',
      actor: 'customer:ada',
    });
    expect((await service.steps(request)).at(-1)).toMatchObject({
      type: 'PaymentCancelled',
      status: 'CANCELLED',
      version: 2,
      actor: 'customer:ada',
      cause: 'OrderCancelled',
      message_id: messageId,
      detail: { reason: 'changed my mind' },
    });
  });

  it('refunds a paid payment, and publishes an event when done', async () => {
    const request = await service.aRequest();
    await service.anOperator('olga').post(`/payment-requests/${request.id}/succeed`);

    await service.receivesCancelled(request);
    await service.untilStatus(request, 'REFUNDED');

    const { request: row, messages } = await service.stored(request);
    expect(row).toMatchObject({ reason: 'changed my mind', decided_by: 'olga', version: 4 });
    expect(messages.map(({ type, sequence }) => [type, sequence])).toEqual([
      ['PaymentSucceeded', '2'],
      // Intermediate steps are not published, so the sequence has a gap.
      ['PaymentRefunded', '4'],
    ]);
    const steps = await service.steps(request);
    expect(steps.map(({ type, status, actor, cause }) => [type, status, actor, cause])).toEqual([
      ['PaymentRequested', 'PENDING', `customer:${request.customerId}`, 'OrderPlaced'],
      ['PaymentSucceeded', 'SUCCEEDED', 'operator:olga', 'POST /payment-requests/:paymentRequestId/succeed'],
      ['RefundRequested', 'REFUND_PENDING', 'customer:ada', 'OrderCancelled'],
      ['PaymentRefunded', 'REFUNDED', 'system', 'refund'],
    ]);
    expect(steps.at(-1)!['message_id']).toBe(messages.at(-1)!['id']);
    expect(await service.database.sql('select from payments.jobs')).toEqual([]);
  });

  it('changes nothing after a failed payment; repeated by another message it adds a step', async () => {
    const request = await service.aRequest();
    await service.anOperator().post(`/payment-requests/${request.id}/fail`, { reason: 'declined' });

    const echo = await service.receivesCancelled(request, { reason: 'declined' });
    const again = await service.receivesCancelled(request);

    expect(await service.stored(request)).toMatchObject({
      request: { status: 'FAILED', version: 2 },
      messages: [{ type: 'PaymentFailed' }],
    });
    expect((await service.steps(request)).slice(-2)).toMatchObject([
      { type: 'OrderCancelled', status: 'FAILED', version: 2, message_id: echo, detail: { reason: 'declined' } },
      {
        type: 'MessagePassedOver',
        message_id: again,
        detail: { type: 'OrderCancelled', reason: 'A cancellation of the order arrived before.' },
      },
    ]);
  });

  it.each(['CANCELLED', 'REFUNDED'])(
    'repeated when the payment is %s changes nothing but adds a step',
    async (status) => {
      const request = await service.aRequest();
      if (status === 'REFUNDED') await service.anOperator().post(`/payment-requests/${request.id}/succeed`);
      const first = await service.receivesCancelled(request);
      await service.untilStatus(request, status);
      const before = await service.stored(request);

      await service.receives('OrderCancelled', { ...request, reason: 'x' }, first);
      const again = await service.receivesCancelled(request);

      expect(await service.stored(request)).toEqual(before);
      const lines = (await service.steps(request)).filter(({ type }) => type === 'MessagePassedOver');
      expect(lines).toMatchObject([{ message_id: again, status, detail: { type: 'OrderCancelled' } }]);
    },
  );

  it('for an order without a request is recorded, and a later request is cancelled at once', async () => {
    const order = anOrder();
    await service.receivesCancelled(order);

    await processed(await service.receives('OrderPlaced', order));

    expect(await requestsOf(order)).toMatchObject([{ status: 'CANCELLED' }]);
    expect((await messagesOf(order)).map(({ type }) => type)).toEqual(['PaymentRequested', 'PaymentCancelled']);
    expect((await service.steps(order)).map(({ type }) => type)).toEqual([
      'MessagePassedOver',
      'PaymentRequested',
      'PaymentCancelled',
    ]);
  });

  it('from before 0.3, without an actor, is attributed to order-service', async () => {
    const request = await service.aRequest();

    const { orderId, customerId } = request;
    await processed(await service.receives('OrderCancelled', { orderId, customerId, reason: 'old' }));

    expect((await service.steps(request)).at(-1)).toMatchObject({ type: 'PaymentCancelled', actor: 'order-service' });
  });

  it.each(['succeed', 'fail'])('concurrent with an operator’s "%s" has exactly one winner', async (action) => {
    const requests = await service.someRequests(15);

    await Promise.all(
      requests.map(async (request) => {
        const decided = service
          .anOperator()
          .post(`/payment-requests/${request.id}/${action}`, action === 'fail' ? { reason: 'declined' } : undefined);
        const [answer] = await Promise.all([decided, service.receivesCancelled(request)]);
        expect([200, 409]).toContain(answer.status);
        const final = answer.status === 409 ? 'CANCELLED' : action === 'fail' ? 'FAILED' : 'REFUNDED';
        await service.untilStatus(request, final);
        const { messages } = await service.stored(request);
        const published = {
          CANCELLED: ['PaymentCancelled'],
          FAILED: ['PaymentFailed'],
          REFUNDED: ['PaymentSucceeded', 'PaymentRefunded'],
        };
        expect(messages.map(({ type }) => type)).toEqual(published[final]);
      }),
    );
  });
});

it('other messages of order-service are ignored', async () => {
  const request = await service.aRequest();
  await service.anOperator().post(`/payment-requests/${request.id}/succeed`);
  const before = await service.stored(request);
  const { orderId, customerId } = request;

  await service.receives('OrderCompleted', { orderId, customerId });
  await service.receives('OrderFinished', { orderId, customerId });
  // Queued after them under the same key.
  await processed(await service.receives('OrderPlaced', { ...request, total: 1 }));

  expect(await service.stored(request)).toEqual(before);
});

it('P4 a message about an unknown order does not stop the others', async () => {
  const unknown = anOrder({ orderId: uuidv7() });
  await service.receivesCancelled(unknown);
  const request = await service.aRequest();

  await service.receivesCancelled(request);

  await service.untilStatus(request, 'CANCELLED');
  expect(await service.database.sql('select from payments.inbox_parked')).toEqual([]);
});

describe('P5 a message that violates its contract becomes a dead letter at once', () => {
  const letterOf = async (id: string) => {
    const [letter] = await service.database.sql<{ attempts: number; dead_at: Date | null; error: string }>(
      'select attempts, dead_at, error from payments.inbox_parked where message_id = $1',
      [id],
    );
    return letter;
  };

  it.each([
    ['a total that no bigint holds', 'total', 1e19],
    ['a total that is not exact', 'total', Number.MAX_SAFE_INTEGER + 1],
    ['null for the total', 'total', null],
    ['U+0000 in the customer', 'customerId', 'a\0b'],
    ['half of a surrogate pair in the customer', 'customerId', 'half \ud83d'],
    ['a customer of 400 characters', 'customerId', '❤️'.repeat(200)],
    ['an unknown currency', 'currency', 'EURO'],
    ['null for the currency', 'currency', null],
    ['null for the order', 'orderId', null],
    ['no items', 'items', []],
    ['null for the items', 'items', null],
    ['an item without its price', 'items', [{ productId: 'tea', name: 'Tea', quantity: 2 }]],
  ])('OrderPlaced with %s', async (_, field, value) => {
    const order = anOrder();

    const id = await service.receives('OrderPlaced', { ...order, [field]: value }, undefined, order.orderId);

    const letter = await until('the message is parked', () => letterOf(id));
    expect(letter).toMatchObject({ attempts: 0, dead_at: expect.any(Date), error: expect.stringContaining(field) });
    expect(await requestsOf(order)).toEqual([]);
  });

  it('OrderPlaced of version 1 with a total of null', async () => {
    const order = { ...anOrder(), total: null };

    const id = await service.receives('OrderPlaced', order, undefined, undefined, 1);

    expect(await until('the message is parked', () => letterOf(id))).toMatchObject({
      dead_at: expect.any(Date),
      error: expect.stringContaining('total'),
    });
  });

  it.each([
    ['U+0000 in the reason', 'reason', 'a\0b'],
    ['a reason of 600 characters', 'reason', '❤️'.repeat(300)],
    ['null for the reason', 'reason', null],
    ['an actor of 301 characters', 'actor', 'x'.repeat(301)],
  ])('OrderCancelled with %s', async (_, field, value) => {
    const request = await service.aRequest();
    const cancelled = { orderId: request.orderId, customerId: request.customerId, reason: 'ordered twice' };

    const id = await service.receives('OrderCancelled', { ...cancelled, [field]: value });

    const letter = await until('the message is parked', () => letterOf(id));
    expect(letter).toMatchObject({ attempts: 0, dead_at: expect.any(Date), error: expect.stringContaining(field) });
    await service.untilStatus(request, 'PENDING');
  });
});

describe('everything that a contract allows is stored', () => {
  it.each([
    ['the largest amount', { total: Number.MAX_SAFE_INTEGER }, { amount: String(Number.MAX_SAFE_INTEGER) }],
    ['the longest name', { customerId: '😀'.repeat(255) }, { customer_id: '😀'.repeat(255) }],
    ['a currency in small letters', { currency: 'chf' }, { currency: 'CHF' }],
  ])('OrderPlaced with %s', async (_, fields, stored) => {
    const order = anOrder(fields);

    await processed(await service.receives('OrderPlaced', order));

    expect(await requestsOf(order)).toMatchObject([stored]);
  });

  it('P3 OrderPlaced with upper-case ids shares the key of all messages about the order', async () => {
    const order = anOrder();

    await processed(await service.receives('OrderPlaced', { ...order, orderId: order.orderId.toUpperCase() }));

    const [message] = await messagesOf(order);
    expect(JSON.parse(message!.payload)).toMatchObject({ orderId: order.orderId });
  });

  it('OrderCancelled with a null actor is treated as if it had none', async () => {
    const request = await service.aRequest();
    const { orderId, customerId } = request;

    await processed(
      await service.receives('OrderCancelled', { orderId, customerId, reason: '😀'.repeat(500), actor: null }),
    );

    expect((await service.steps(request)).at(-1)).toMatchObject({ type: 'PaymentCancelled', actor: 'order-service' });
    expect((await service.stored(request)).request).toMatchObject({ reason: '😀'.repeat(500) });
  });
});
