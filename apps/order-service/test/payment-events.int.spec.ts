import { produce, until } from '@twinbox/messaging/testing';
import { v7 as uuidv7 } from 'uuid';
import { aCart, type OrderServiceHarness, startOrderService } from './order-service.harness.js';

let service: OrderServiceHarness;
beforeAll(async () => {
  service = await startOrderService();
});
afterAll(() => service.stop());

/** The ids of a placed order and of its future payment request. */
async function anOrder() {
  const { body } = await service.aCustomer().post('/orders', aCart());
  return { orderId: String(body.id), paymentRequestId: uuidv7() };
}

/** Publishes a message as the relay of payment-service does. */
async function publish(type: string, key: string, data: object): Promise<string> {
  const id = uuidv7();
  const headers = {
    ce_id: id,
    ce_source: '/payment-service',
    ce_type: type,
    ce_specversion: '1.0',
    ce_dataschema: `urn:event:${type}:1`,
    'content-type': 'application/json',
  };
  await produce(service.topics.brokers, service.topics.paymentEvents, [{ key, value: JSON.stringify(data), headers }]);
  return id;
}

const untilOrder = ({ orderId }: { readonly orderId: string }, status: string) =>
  until(`the order is ${status}`, async () => {
    const { order } = await service.stored(orderId);
    return order?.['status'] === status && order;
  });

describe('P5 a message that violates its contract becomes a dead letter at once', () => {
  it.each([
    ['PaymentRequested', 'an invalid time', 'expiresAt', 'soon'],
    ['PaymentRequested', 'a day that does not exist', 'expiresAt', '2026-02-30T00:00:00Z'],
    ['PaymentRequested', 'the latest time of a Date', 'expiresAt', '+275760-09-13T00:00:00.000Z'],
    ['PaymentRequested', 'null for the payment request', 'paymentRequestId', null],
    ['PaymentSucceeded', 'U+0000 in the actor', 'actor', 'a\0b'],
    ['PaymentFailed', 'half of a surrogate pair in the reason', 'reason', 'half \ud83d'],
    ['PaymentFailed', 'a reason of 600 characters', 'reason', '❤️'.repeat(300)],
    ['PaymentFailed', 'null for the reason', 'reason', null],
  ])('%s with %s', async (type, _, field, value) => {
    const ids = await anOrder();

    const id = await publish(type, ids.orderId, {
      ...ids,
      ...(type === 'PaymentFailed' && { reason: 'declined' }),
      [field]: value,
    });

    const parked = await until('the message is parked', async () => {
      const [row] = await service.database.sql(
        'select attempts, dead_at, error from orders.inbox_parked where message_id = $1',
        [id],
      );
      return row;
    });
    expect(parked).toMatchObject({ attempts: 0, dead_at: expect.any(Date), error: expect.stringContaining(field) });
    expect((await service.stored(ids.orderId)).order).toMatchObject({ status: 'PLACED', version: 1 });
  });
});

describe('whatever a contract allows is stored', () => {
  it('PaymentRequested with a null time is like one without a time', async () => {
    const ids = await anOrder();

    await publish('PaymentRequested', ids.orderId, { ...ids, expiresAt: null });

    const order = await untilOrder(ids, 'PAYMENT_PENDING');
    expect((order['due_at'] as Date).getTime()).toBeGreaterThan((order['created_at'] as Date).getTime());
  });

  it('the latest time and the longest reason', async () => {
    const [requested, failed] = [await anOrder(), await anOrder()];

    await publish('PaymentRequested', requested.orderId, { ...requested, expiresAt: '9999-12-31T23:59:59.999Z' });
    await publish('PaymentFailed', failed.orderId, { ...failed, reason: '😀'.repeat(500), actor: null });

    expect(await untilOrder(requested, 'PAYMENT_PENDING')).toMatchObject({
      due_at: new Date('9999-12-31T23:59:59.999Z'),
    });
    expect(await untilOrder(failed, 'CANCELLED')).toMatchObject({ payment: { reason: '😀'.repeat(500) } });
    expect((await service.steps(failed.orderId)).at(-1)).toMatchObject({
      type: 'OrderCancelled',
      actor: 'payment-service',
    });
  });

  it('P4 two spellings of the ids mean the same payment of the same order', async () => {
    const ids = await anOrder();
    const inCapitals = { orderId: ids.orderId.toUpperCase(), paymentRequestId: ids.paymentRequestId.toUpperCase() };

    await publish('PaymentRequested', ids.orderId, inCapitals);
    await publish('PaymentSucceeded', ids.orderId, ids);

    expect(await untilOrder(ids, 'COMPLETED')).toMatchObject({
      payment: { paymentRequestId: ids.paymentRequestId, status: 'SUCCEEDED' },
    });
    expect(
      await service.database.sql('select from orders.inbox_parked where key = $1', [Buffer.from(ids.orderId)]),
    ).toEqual([]);
  });
});
