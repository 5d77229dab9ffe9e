import { type OrderPlaced } from '@twinbox/contracts';
import fc from 'fast-check';
import { decidePayment, type PaymentRequest, type PaymentResult, requestPayment } from './payment-request.js';

const at = new Date('2026-11-21T09:30:00Z');
const later = new Date('2026-11-21T09:31:00Z');
const paymentRequestId = '01939d3c-3b1e-7a52-8f01-1c2d3e4f5a6b';
const placed: OrderPlaced = {
  orderId: '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d',
  customerId: 'ada',
  total: 900,
  currency: 'EUR',
};
const success: PaymentResult = { status: 'SUCCEEDED' };
const failure: PaymentResult = { status: 'FAILED', reason: 'card declined' };

function aPendingRequest(): PaymentRequest {
  return requestPayment(placed, paymentRequestId, at).state;
}

describe('requesting a payment', () => {
  it("asks for the order's total, and says so", () => {
    const decision = requestPayment(placed, paymentRequestId, at);

    expect(decision).toMatchObject({
      state: { status: 'PENDING', amount: 900, currency: 'EUR', orderId: placed.orderId, version: 1 },
      events: [{ type: 'PaymentRequested', data: { orderId: placed.orderId, paymentRequestId } }],
    });
  });
});

describe('deciding a payment', () => {
  it('succeeds, with the operator and the time', () => {
    const decision = decidePayment(aPendingRequest(), success, 'ops', later);

    expect(decision).toMatchObject({
      state: { status: 'SUCCEEDED', decidedBy: 'ops', updatedAt: later, version: 2 },
      events: [{ type: 'PaymentSucceeded' }],
    });
  });

  it('fails, with a reason', () => {
    const decision = decidePayment(aPendingRequest(), failure, 'ops', later);

    expect(decision).toMatchObject({
      state: { status: 'FAILED', reason: 'card declined' },
      events: [{ type: 'PaymentFailed', data: { reason: 'card declined' } }],
    });
  });

  it('of many results counts the first: the same again changes nothing, the other is refused', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(success, failure, { ...failure, reason: 'other' }), { minLength: 1 }),
        (results) => {
          let request = aPendingRequest();
          let events = 0;
          for (const result of results) {
            const before = request;
            const decision = decidePayment(request, result, 'ops', later);
            expect(decision.accepted).toBe(before.status === 'PENDING' || before.status === result.status);
            if (!decision.accepted) {
              expect(decision.rejection).toEqual({
                code: 'payment-already-decided',
                paymentRequestId,
                actual: before.status,
              });
              continue;
            }
            if (before.status !== 'PENDING') expect(decision.state).toBe(before);
            request = decision.state;
            events += decision.events.length;
          }
          expect(events).toBe(1);
          expect(request.status).toBe(results[0]!.status);
        },
      ),
    );
  });
});
