import { cancelOrder, evolve, finishOrder, isLate, type Order, ORDER_STATUSES } from './order.js';
import { accepted, aDraft, aPlacedOrder, at, later, payment } from '../../test/order.fixtures.js';
import { applyPaymentEvent } from './payment.js';

const apply = (order: Order, ...events: (typeof payment)[keyof typeof payment][]) =>
  events.reduce<Order>((state, event) => accepted(applyPaymentEvent(state, event, later)), order);
const pending = apply(aPlacedOrder(), payment.requested);
const completed = apply(pending, payment.succeeded);

describe('cancelling', () => {
  it.each([
    ['a placed order', aPlacedOrder()],
    ['an order whose payment is pending', pending],
  ])('publishes the cancellation of %s, with the reason and the actor', (_, order) => {
    const decision = cancelOrder(order, 'ordered twice', 'customer:ada', later);

    expect(decision).toMatchObject({
      state: { status: 'CANCELLED', cancelReason: 'ordered twice', dueAt: null, updatedAt: later },
      steps: [
        {
          event: {
            type: 'OrderCancelled',
            data: { orderId: order.id, customerId: 'ada', reason: 'ordered twice', actor: 'customer:ada' },
          },
        },
      ],
    });
  });

  it('discards a draft without publishing anything', () => {
    const decision = cancelOrder(aDraft(), 'changed my mind', 'customer:ada', later);

    expect(decision).toMatchObject({
      state: { status: 'CANCELLED', cancelReason: 'changed my mind', items: aDraft().items },
      steps: [{ event: { type: 'OrderDiscarded', data: { reason: 'changed my mind' } } }],
    });
  });

  it.each([
    ['paid', completed],
    ['finished', accepted(finishOrder(completed, later))],
    ['cancelled', accepted(cancelOrder(pending, 'once', 'customer:ada', later))],
  ])('is too late for an order that is %s', (_, order) => {
    expect(cancelOrder(order, 'twice', 'customer:ada', later)).toMatchObject({
      rejection: { code: 'order-wrong-status', actual: order.status },
    });
  });
});

describe('finishing', () => {
  it('ends a paid order and publishes it', () => {
    expect(finishOrder(completed, later)).toMatchObject({
      state: { status: 'FINISHED', payment: { status: 'SUCCEEDED' } },
      steps: [{ event: { type: 'OrderFinished', data: { orderId: completed.id, customerId: 'ada' } } }],
    });
  });

  it.each([
    ['a draft', aDraft()],
    ['a placed order', aPlacedOrder()],
    ['an order whose payment is pending', pending],
    ['a cancelled order', accepted(cancelOrder(pending, 'once', 'customer:ada', later))],
    ['a finished order', accepted(finishOrder(completed, later))],
  ])('rejects %s', (_, order) => {
    expect(finishOrder(order, later)).toMatchObject({
      rejection: { code: 'order-wrong-status', actual: order.status },
    });
  });
});

it('the state of an order follows from its history', () => {
  const placed = aPlacedOrder();
  const done = { orderId: placed.id, customerId: 'ada' };

  const order = [
    payment.requested,
    payment.succeeded,
    { type: 'OrderCompleted', data: done } as const,
    { type: 'OrderFinished', data: done } as const,
  ].reduce<Order>((state, change) => evolve(state, change, later), placed);

  expect(order).toEqual(accepted(finishOrder(completed, later)));
});

const after = (ms: number) => new Date(at.getTime() + ms);

it.each([
  ['PLACED', 30_000, false],
  ['PLACED', 30_001, true],
  ['PAYMENT_PENDING', -900_000, false],
  ['PAYMENT_PENDING', 60_000, false],
  ['PAYMENT_PENDING', 60_001, true],
] as const)('an order that is %s is late %i ms past its due time: %s', (status, ms, late) => {
  expect(isLate({ status, dueAt: at }, after(ms), 30_000)).toBe(late);
});

it.each(ORDER_STATUSES)('an order that is %s and waits for nothing is never late', (status) => {
  expect(isLate({ status, dueAt: null }, after(1e12), 0)).toBe(false);
});
