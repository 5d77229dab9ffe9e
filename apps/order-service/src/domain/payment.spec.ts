import { type PaymentEvent } from '@twinbox/contracts';
import fc from 'fast-check';
import { cancelOrder, finishOrder, isLive, type Order } from './order.js';
import { accepted, aDraft, aPlacedOrder, at, later, payment } from '../../test/order.fixtures.js';
import { type PaymentSnapshot } from './payment-snapshot.js';
import { actorOfPayment, applyPaymentEvent } from './payment.js';

const { requested, succeeded, failed, cancelled, refunded } = payment;
const all = [requested, succeeded, failed, cancelled, refunded];

const apply = (order: Order, ...events: PaymentEvent[]): Order =>
  events.reduce((state, event) => accepted(applyPaymentEvent(state, event, later)), order);
const pending = () => apply(aPlacedOrder(), requested);
const cancel = (order: Order) => accepted(cancelOrder(order, 'ordered twice', 'customer:ada', later));

describe('applying a payment event', () => {
  it('waits for the result once the payment is requested, until it expires, and publishes nothing', () => {
    const decision = applyPaymentEvent(aPlacedOrder(), requested, later);

    expect(decision).toMatchObject({
      state: {
        status: 'PAYMENT_PENDING',
        payment: { status: 'PENDING', reason: null },
        dueAt: new Date('2026-11-21T09:45:00Z'),
        updatedAt: later,
        createdAt: at,
        version: 2,
      },
      steps: [{ event: requested }],
    });
  });

  it('assumes a time to live of 15 minutes for a request that names none', () => {
    const { expiresAt: _, ...data } = requested.data;

    const decision = applyPaymentEvent(aPlacedOrder(), { type: 'PaymentRequested', data }, later);

    expect(decision).toMatchObject({ state: { dueAt: new Date('2026-11-21T09:46:00Z') } });
  });

  it.each([
    ['that is placed', aPlacedOrder()],
    ['whose payment is pending', pending()],
  ])('completes an order %s', (_, order) => {
    const decision = applyPaymentEvent(order, succeeded, later);

    expect(decision).toMatchObject({
      state: { status: 'COMPLETED', payment: { status: 'SUCCEEDED' }, dueAt: null, version: order.version + 2 },
      steps: [{ event: succeeded }, { event: { type: 'OrderCompleted', data: { customerId: 'ada' } } }],
    });
  });

  it.each([
    ['that is placed', aPlacedOrder()],
    ['whose payment is pending', pending()],
  ])('cancels an order %s after a failure, with the reason and the actor', (_, order) => {
    const decision = applyPaymentEvent(order, failed, later);

    expect(decision).toMatchObject({
      state: {
        status: 'CANCELLED',
        cancelReason: 'payment failed: card declined',
        payment: { status: 'FAILED', reason: 'card declined' },
        dueAt: null,
      },
      steps: [
        { event: failed },
        { event: { type: 'OrderCancelled', data: { reason: 'payment failed: card declined', actor: 'gateway' } } },
      ],
    });
  });

  it.each([
    ['cancelled', 'CANCELLED', cancelled],
    ['refunded', 'REFUNDED', refunded],
  ] as const)('follows a payment that is %s after its order was cancelled', (_, status, event) => {
    const decision = applyPaymentEvent(cancel(pending()), event, later);

    expect(decision).toMatchObject({
      state: { status: 'CANCELLED', payment: { status, reason: 'ordered twice' }, cancelReason: 'ordered twice' },
      steps: [{ event }],
    });
  });

  it.each([
    ['an operator', succeeded, 'operator:olga'],
    ['no actor, like every request', requested, 'payment-service'],
    ['no actor, like early messages', cancelled, 'payment-service'],
  ])('records the actor of a message that names %s', (_, event, actor) => {
    expect(actorOfPayment(event)).toBe(actor);
  });
});

describe('a late, duplicate or contradictory event', () => {
  const completed = apply(pending(), succeeded);
  it.each<[string, Order, PaymentEvent, PaymentSnapshot['status'] | undefined]>([
    ['a second request', pending(), requested, 'PENDING'],
    ['a request for a cancelled order', cancel(aPlacedOrder()), requested, 'PENDING'],
    ['a success for a cancelled order', cancel(pending()), succeeded, 'SUCCEEDED'],
    ['a failure for a cancelled order', cancel(pending()), failed, 'FAILED'],
    ['a second success', completed, succeeded, 'SUCCEEDED'],
    ['a success for a finished order', accepted(finishOrder(completed, later)), succeeded, 'SUCCEEDED'],
    ['a failure after the success', completed, failed, 'SUCCEEDED'],
    ['a success after the failure', apply(pending(), failed), succeeded, 'FAILED'],
    ['a second failure', apply(pending(), failed), failed, 'FAILED'],
    ['a request after the result', completed, requested, 'SUCCEEDED'],
    ['a cancellation of the payment alone', pending(), cancelled, 'CANCELLED'],
    ['a second cancellation', apply(cancel(pending()), cancelled), cancelled, 'CANCELLED'],
    ['a refund for a completed order', completed, refunded, 'REFUNDED'],
    ['a second refund', apply(cancel(pending()), succeeded, refunded), refunded, 'REFUNDED'],
    ['anything for a draft', aDraft(), succeeded, 'SUCCEEDED'],
  ])('is ignored: %s (the status stays, and the payment only moves forward)', (_, order, event, status) => {
    const decision = applyPaymentEvent(order, event, later);

    expect(decision).toMatchObject({
      state: { status: order.status, cancelReason: order.cancelReason, payment: { status }, dueAt: order.dueAt },
      steps: [
        { event: { type: 'MessagePassedOver', data: { type: event.type, reason: expect.stringMatching(/\S/) } } },
      ],
    });
    expect(accepted(decision).version).toBe(order.version + 1);
  });

  it('is ignored if it belongs to a different payment', () => {
    const other = '01939d3c-9999-7a52-8f01-1c2d3e4f5a6b';
    const event = { type: 'PaymentSucceeded', data: { ...succeeded.data, paymentRequestId: other } } as const;

    const decision = applyPaymentEvent(pending(), event, later);

    expect(decision).toMatchObject({
      state: { status: 'PAYMENT_PENDING', payment: { paymentRequestId: requested.data.paymentRequestId } },
      steps: [
        {
          event: { type: 'MessagePassedOver', data: { reason: expect.stringContaining(`payment request ${other},`) } },
        },
      ],
    });
  });
});

it('any sequence of events and commands leads to a valid end, and a final order keeps its status', () => {
  const acts = fc.array(fc.constantFrom(...all, 'cancel' as const, 'finish' as const), { maxLength: 12 });

  fc.assert(
    fc.property(acts, (given) => {
      let order = aPlacedOrder();
      const published: string[] = [];
      for (const act of given) {
        const decision =
          act === 'cancel'
            ? cancelOrder(order, 'no more', 'customer:ada', later)
            : act === 'finish'
              ? finishOrder(order, later)
              : applyPaymentEvent(order, act, later);
        if (!decision.accepted) {
          expect(decision.rejection).toMatchObject({ code: 'order-wrong-status', actual: order.status });
          continue;
        }
        expect(decision.state.version).toBe(order.version + decision.steps.length);
        if (!isLive(order) && decision.state.status !== order.status)
          expect([order.status, decision.state.status]).toEqual(['COMPLETED', 'FINISHED']);
        order = decision.state;
        published.push(...decision.steps.map(({ event }) => event.type).filter((type) => type.startsWith('Order')));
      }
      const ends = { COMPLETED: ['OrderCompleted'], FINISHED: ['OrderCompleted', 'OrderFinished'] };
      expect(published).toEqual(
        order.status === 'CANCELLED' ? ['OrderCancelled'] : (ends[order.status as keyof typeof ends] ?? []),
      );
      expect(order.dueAt !== null).toBe(isLive(order));
      expect(order.cancelReason !== null).toBe(order.status === 'CANCELLED');
    }),
  );
});

it('cuts a reason to the length that an event allows, between characters', () => {
  const reason = `x${'😀'.repeat(499)}`;

  const order = accepted(
    applyPaymentEvent(pending(), { type: 'PaymentFailed', data: { ...failed.data, reason } }, later),
  );

  expect(Array.from(order.cancelReason ?? '')).toHaveLength(500);
  expect(order.cancelReason?.isWellFormed()).toBe(true);
});
