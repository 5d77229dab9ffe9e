import { type OrderPlaced } from '@twinbox/contracts';
import fc from 'fast-check';
import { applyResult } from './charge-result.js';
import {
  decidePayment,
  expirePayment,
  isPublished,
  PAYMENT_STATUSES,
  type PaymentChange,
  type PaymentRequest,
  type PaymentResult,
  type PaymentStatus,
  requestPayment,
} from './payment-request.js';
import { applyOrderCancelled, bookRefund, confirmRefund } from './refund.js';

const at = new Date('2026-11-21T09:30:00Z');
const later = new Date('2026-11-21T09:31:00Z');
const TTL_MS = 15 * 60_000;
const terms = { ttlMs: TTL_MS, gateway: 'simulated' };
const expiry = new Date(at.getTime() + TTL_MS);
const paymentRequestId = '01939d3c-3b1e-7a52-8f01-1c2d3e4f5a6b';
const placed: OrderPlaced = {
  orderId: '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d',
  customerId: 'ada',
  total: 900,
  currency: 'EUR',
};
const ids = { orderId: placed.orderId, paymentRequestId };
const success: PaymentResult = { status: 'SUCCEEDED' };
const failure: PaymentResult = { status: 'FAILED', reason: 'card declined' };
const cancellation = { reason: 'changed my mind', actor: 'customer:ada', repeated: false };

function aRequest(fields: Partial<PaymentRequest> = {}): PaymentRequest {
  return { ...requestPayment(placed, paymentRequestId, at, terms).state, ...fields };
}

describe('requesting a payment', () => {
  it("requests the order's total until it expires, and publishes an event", () => {
    const decision = requestPayment(placed, paymentRequestId, at, terms);

    expect(decision).toMatchObject({
      state: {
        status: 'PENDING',
        amount: 900,
        currency: 'EUR',
        gateway: 'simulated',
        orderId: placed.orderId,
        expiresAt: expiry,
        version: 1,
      },
      steps: [{ event: { type: 'PaymentRequested', data: { ...ids, expiresAt: '2026-11-21T09:45:00.000Z' } } }],
    });
  });
});

describe('an operator', () => {
  it('marks a payment as succeeded', () => {
    const decision = decidePayment(aRequest(), success, 'operator:olga', later);

    expect(decision).toMatchObject({
      state: { status: 'SUCCEEDED', decidedBy: 'olga', updatedAt: later, version: 2 },
      steps: [{ event: { type: 'PaymentSucceeded', data: { ...ids, actor: 'operator:olga' } } }],
    });
  });

  it('marks a payment as failed, with a reason', () => {
    const decision = decidePayment(aRequest(), failure, 'operator:olga', later);

    expect(decision).toMatchObject({
      state: { status: 'FAILED', reason: 'card declined', decidedBy: 'olga' },
      steps: [{ event: { type: 'PaymentFailed', data: { ...ids, reason: 'card declined', actor: 'operator:olga' } } }],
    });
  });

  it('repeats a result without changing the first one', () => {
    const failed = aRequest({ status: 'FAILED', reason: 'card declined', decidedBy: 'olga' });

    const decision = decidePayment(failed, { ...failure, reason: 'another' }, 'operator:otto', later);

    expect(decision).toEqual({ accepted: true, state: failed, steps: [] });
  });

  it.each<[PaymentStatus, PaymentResult]>([
    ['SUCCEEDED', failure],
    ['FAILED', success],
    ['CANCELLED', success],
    ['CANCELLED', failure],
    ['REFUND_PENDING', success],
    ['REFUND_PENDING', failure],
    ['REFUNDED', success],
    ['REFUNDED', failure],
  ])('is rejected when the payment is %s and the result is %j', (actual, result) => {
    const decision = decidePayment(aRequest({ status: actual }), result, 'operator:olga', later);

    expect(decision).toEqual({
      accepted: false,
      rejection: { code: 'payment-already-decided', paymentRequestId, actual },
    });
  });
});

describe.each(['gateway', 'provider'] as const)('the %s', (source) => {
  it('settles a pending payment', () => {
    expect(applyResult(aRequest(), success, source, later)).toMatchObject({
      state: { status: 'SUCCEEDED', decidedBy: source, version: 2 },
      steps: [{ event: { type: 'PaymentSucceeded', data: { ...ids, actor: source } } }],
    });
    expect(applyResult(aRequest(), failure, source, later)).toMatchObject({
      state: { status: 'FAILED', reason: 'card declined', decidedBy: source },
      steps: [{ event: { type: 'PaymentFailed', data: { reason: 'card declined', actor: source } } }],
    });
  });

  it.each(['FAILED', 'CANCELLED'] as const)('causes a refund when money arrives for a payment that is %s', (status) => {
    const decision = applyResult(aRequest({ status, decidedBy: 'system' }), success, source, later);

    expect(decision).toMatchObject({
      accepted: true,
      state: { status: 'REFUND_PENDING', decidedBy: source, version: 2 },
      steps: [
        {
          event: {
            type: 'LatePaymentReceived',
            data: { ...ids, reason: `The money arrived when the payment was ${status}.` },
          },
        },
      ],
    });
  });

  it.each<[PaymentStatus, PaymentResult]>([
    ['SUCCEEDED', success],
    ['SUCCEEDED', failure],
    ['FAILED', failure],
    ['CANCELLED', failure],
    ['REFUND_PENDING', success],
    ['REFUND_PENDING', failure],
    ['REFUNDED', success],
    ['REFUNDED', failure],
  ])('is ignored when an operator has made the payment %s and the result is %j', (status, result) => {
    const decision = applyResult(aRequest({ status, decidedBy: 'olga' }), result, source, later);

    expect(decision).toEqual({
      accepted: false,
      rejection: { code: 'message-ignored', reason: `The payment was ${status}.` },
    });
  });
});

describe('a result that names money', () => {
  it.each([[{ amount: 900, currency: 'EUR' }], [{ amount: 900, currency: null }], [{ amount: null, currency: 'EUR' }]])(
    'settles the payment when amount and currency match: %j',
    (named) => {
      expect(applyResult(aRequest(), success, 'provider', later, named)).toMatchObject({
        state: { status: 'SUCCEEDED' },
      });
      expect(applyResult(aRequest(), failure, 'provider', later, named)).toMatchObject({ state: { status: 'FAILED' } });
    },
  );

  it.each([
    [{ amount: 899, currency: 'EUR' }, '899 EUR'],
    [{ amount: 0, currency: null }, '0'],
    [{ amount: null, currency: 'USD' }, 'USD'],
    [{ amount: 900, currency: 'USD' }, '900 USD'],
  ])('changes nothing when amount or currency differ, whatever the status: %j', (named, words) => {
    const reason = `It names ${words}, but the payment is 900 EUR (in minor units).`;

    for (const status of PAYMENT_STATUSES)
      for (const result of [success, failure])
        expect(applyResult(aRequest({ status }), result, 'provider', later, named)).toEqual({
          accepted: false,
          rejection: { code: 'amount-mismatched', reason },
        });
  });
});

it.each(['gateway', 'provider', 'system', 'operator:gateway', 'admin:root'])(
  'an operator named %s is distinguished from the system actor of that name',
  (operator) => {
    const { state } = decidePayment(aRequest(), success, `operator:${operator}`, later) as { state: PaymentRequest };

    expect(state.decidedBy).toBe(`operator:${operator}`);
    // The operator's result, not a repeated call to the gateway.
    expect(applyResult(state, success, 'gateway', later)).toMatchObject({ accepted: false });
  },
);

it('a repeated gateway call is accepted and changes nothing; the result of the provider is ignored', () => {
  for (const status of ['SUCCEEDED', 'REFUND_PENDING', 'REFUNDED'] as const) {
    const byGateway = aRequest({ status, decidedBy: 'gateway' });
    const byProvider = aRequest({ status, decidedBy: 'provider' });

    expect(applyResult(byGateway, success, 'gateway', later)).toEqual({ accepted: true, state: byGateway, steps: [] });
    expect(applyResult(byProvider, success, 'provider', later)).toMatchObject({ accepted: false });
    expect(applyResult(byGateway, failure, 'gateway', later)).toMatchObject({ accepted: false });
  }
  const declined = aRequest({ status: 'FAILED', decidedBy: 'gateway' });
  expect(applyResult(declined, failure, 'gateway', later)).toEqual({ accepted: true, state: declined, steps: [] });
});

describe('the cancellation of the order', () => {
  it('cancels a pending payment', () => {
    expect(applyOrderCancelled(aRequest(), cancellation, later)).toMatchObject({
      state: { status: 'CANCELLED', reason: 'changed my mind', decidedBy: null, updatedAt: later, version: 2 },
      steps: [
        { event: { type: 'PaymentCancelled', data: { ...ids, reason: 'changed my mind', actor: 'customer:ada' } } },
      ],
    });
  });

  it('causes a refund when the payment was paid', () => {
    const paid = aRequest({ status: 'SUCCEEDED', decidedBy: 'olga' });

    const decision = applyOrderCancelled(paid, cancellation, later);

    expect(decision).toMatchObject({
      state: { status: 'REFUND_PENDING', reason: 'changed my mind', decidedBy: 'olga', version: 2 },
      steps: [{ event: { type: 'RefundRequested' } }],
    });
  });

  it.each(['FAILED', 'REFUND_PENDING', 'REFUNDED'] as const)('changes nothing when the payment is %s', (status) => {
    const request = aRequest({ status });

    expect(applyOrderCancelled(request, cancellation, later)).toEqual({ accepted: true, state: request, steps: [] });
  });

  it.each(PAYMENT_STATUSES)('is ignored when repeated, whatever the status: %s', (status) => {
    const decision = applyOrderCancelled(aRequest({ status }), { ...cancellation, repeated: true }, later);

    expect(decision).toMatchObject({ accepted: false, rejection: { code: 'message-ignored' } });
  });
});

describe('the expiry of a payment', () => {
  it('comes at its time, not before', () => {
    const before = new Date(expiry.getTime() - 1);

    expect(expirePayment(aRequest(), before)).toEqual({ accepted: true, state: aRequest(), steps: [] });
    expect(expirePayment(aRequest(), expiry)).toMatchObject({
      state: { status: 'FAILED', reason: 'expired', decidedBy: 'system', updatedAt: expiry },
      steps: [{ event: { type: 'PaymentFailed', data: { ...ids, reason: 'expired', actor: 'system' } } }],
    });
  });

  it.each(PAYMENT_STATUSES.filter((status) => status !== 'PENDING'))(
    'changes nothing when the payment is %s',
    (status) => {
      const request = aRequest({ status });

      expect(expirePayment(request, expiry)).toEqual({ accepted: true, state: request, steps: [] });
    },
  );
});

describe('a refund', () => {
  it('is recorded once', () => {
    const due = aRequest({ status: 'REFUND_PENDING', reason: 'changed my mind' });

    const recorded = bookRefund(due, 'gateway', later);

    expect(recorded).toMatchObject({
      state: { status: 'REFUNDED', reason: 'changed my mind', version: 2 },
      steps: [{ event: { type: 'PaymentRefunded', data: { ...ids, reason: 'changed my mind', actor: 'gateway' } } }],
    });
    const again = bookRefund(aRequest({ status: 'REFUNDED' }), 'gateway', later);
    expect(again).toMatchObject({ accepted: true, steps: [] });
  });

  it.each(['PENDING', 'SUCCEEDED', 'FAILED', 'CANCELLED'] as const)('is not due when the payment is %s', (status) => {
    expect(bookRefund(aRequest({ status }), 'gateway', later)).toMatchObject({ accepted: false });
  });

  it('is confirmed by an operator who made it by hand', () => {
    const due = aRequest({ status: 'REFUND_PENDING', reason: 'changed my mind', decidedBy: 'otto' });

    const confirmed = confirmRefund(due, 'operator:olga', later);

    expect(confirmed).toMatchObject({
      state: { status: 'REFUNDED', reason: 'changed my mind', decidedBy: 'otto', version: 2, updatedAt: later },
      steps: [
        { event: { type: 'PaymentRefunded', data: { ...ids, reason: 'changed my mind', actor: 'operator:olga' } } },
      ],
    });
    const again = confirmRefund(aRequest({ status: 'REFUNDED' }), 'operator:olga', later);
    expect(again).toMatchObject({ accepted: true, steps: [] });
  });

  it.each(['PENDING', 'SUCCEEDED', 'FAILED', 'CANCELLED'] as const)(
    'is not confirmed when the payment is %s',
    (status) => {
      expect(confirmRefund(aRequest({ status }), 'operator:olga', later)).toEqual({
        accepted: false,
        rejection: { code: 'refund-not-due', paymentRequestId, actual: status },
      });
    },
  );
});

/** Everything that may happen to a payment, in any order and any number of times. */
type Command =
  | { readonly name: 'decide' | 'gateway' | 'provider'; readonly result: PaymentResult }
  | { readonly name: 'cancel' | 'expire' | 'refund' };

const commands: fc.Arbitrary<Command[]> = fc.array(
  fc.oneof(
    fc.record({
      name: fc.constantFrom('decide' as const, 'gateway' as const, 'provider' as const),
      result: fc.constantFrom<PaymentResult>(success, failure),
    }),
    fc.record({ name: fc.constantFrom('cancel' as const, 'expire' as const, 'refund' as const) }),
  ),
  { maxLength: 12 },
);

const ALLOWED_TRANSITIONS: Readonly<Record<PaymentStatus, readonly PaymentStatus[]>> = {
  PENDING: ['SUCCEEDED', 'FAILED', 'CANCELLED'],
  SUCCEEDED: ['REFUND_PENDING'],
  FAILED: ['REFUND_PENDING'],
  CANCELLED: ['REFUND_PENDING'],
  REFUND_PENDING: ['REFUNDED'],
  REFUNDED: [],
};

function apply(request: PaymentRequest, command: Command, now: Date, cancelledBefore: boolean) {
  switch (command.name) {
    case 'decide':
      return decidePayment(request, command.result, 'operator:olga', now);
    case 'gateway':
    case 'provider':
      return applyResult(request, command.result, command.name, now);
    case 'cancel':
      return applyOrderCancelled(request, { ...cancellation, repeated: cancelledBefore }, now);
    case 'expire':
      return expirePayment(request, now);
    case 'refund':
      return bookRefund(request, 'gateway', now);
  }
}

it('any commands in any order give one outcome, keep no money of a cancelled order, and refund only money that arrived', () => {
  fc.assert(
    fc.property(commands, (script) => {
      let request = aRequest();
      const steps: PaymentChange['type'][] = [];
      let cancelled = false;
      let moneyCame = false;
      for (const [n, command] of script.entries()) {
        const now = command.name === 'expire' ? expiry : new Date(at.getTime() + n);
        const before = request;

        const decision = apply(request, command, now, cancelled);

        cancelled ||= command.name === 'cancel';
        const reported = 'result' in command ? command.result.status : undefined;
        if (reported === 'SUCCEEDED' && (command.name !== 'decide' || decision.accepted)) moneyCame = true;
        if (!decision.accepted) continue;
        request = decision.state;
        steps.push(...decision.steps.map(({ event }) => event.type));

        // Each step is allowed, increases the version, and is an event. Without a step nothing changes.
        if (decision.steps.length === 0) expect(request).toBe(before);
        else expect(ALLOWED_TRANSITIONS[before.status]).toContain(request.status);
        expect(decision.steps.length).toBeLessThanOrEqual(1);
        expect(request.version).toBe(before.version + decision.steps.length);
        for (const { event } of decision.steps) if (isPublished(event)) expect(event.data).toMatchObject(ids);
      }

      const count = (...types: PaymentChange['type'][]) => steps.filter((type) => types.includes(type)).length;
      expect(count('PaymentSucceeded', 'PaymentFailed', 'PaymentCancelled')).toBeLessThanOrEqual(1);
      expect(count('PaymentSucceeded', 'LatePaymentReceived')).toBe(moneyCame ? 1 : 0);
      expect(count('RefundRequested', 'LatePaymentReceived')).toBeLessThanOrEqual(1);
      expect(count('PaymentRefunded')).toBe(request.status === 'REFUNDED' ? 1 : 0);
      const over = cancelled || count('PaymentFailed', 'PaymentCancelled') > 0;
      if (over) expect(request.status).not.toBe('PENDING');
      if (over && moneyCame) expect(['REFUND_PENDING', 'REFUNDED']).toContain(request.status);
      if (!moneyCame) expect(['PENDING', 'FAILED', 'CANCELLED']).toContain(request.status);
      if (!over && moneyCame) expect(request.status).toBe('SUCCEEDED');
    }),
    { numRuns: 2000 },
  );
});
