import { type PaymentEvent } from '@twinbox/contracts';
import fc from 'fast-check';
import { type Cart, evolve, hearPayment, type Order, placeOrder } from './order.js';
import { Catalogue, type Product } from './product.js';

const at = new Date('2026-11-21T09:30:00Z');
const later = new Date('2026-11-21T09:31:00Z');
const paymentRequestId = '01939d3c-3b1e-7a52-8f01-1c2d3e4f5a6b';

const tea: Product = { id: 'tea', name: 'Tea', price: 450, currency: 'EUR' };
const mug: Product = { id: 'mug', name: 'Mug', price: 1800, currency: 'EUR' };
const book: Product = { id: 'book', name: 'Book', price: 2500, currency: 'USD' };
const catalogue = new Catalogue([tea, mug, book]);

function aCart(fields: Partial<Cart> = {}): Cart {
  return {
    orderId: '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d',
    customerId: 'ada',
    description: null,
    lines: [{ productId: 'tea', quantity: 2 }],
    ...fields,
  };
}

function aPlacedOrder(): Order {
  const decision = placeOrder(aCart(), catalogue, at);
  if (!decision.accepted) throw new Error(decision.rejection.code);
  return decision.state;
}

const requested: PaymentEvent = { type: 'PaymentRequested', data: { orderId: aCart().orderId, paymentRequestId } };
const succeeded: PaymentEvent = { type: 'PaymentSucceeded', data: { orderId: aCart().orderId, paymentRequestId } };
const failed: PaymentEvent = {
  type: 'PaymentFailed',
  data: { orderId: aCart().orderId, paymentRequestId, reason: 'card declined' },
};

describe('placing an order', () => {
  it('takes the prices from the catalogue, and raises the event with the total', () => {
    const decision = placeOrder(aCart(), catalogue, at);

    expect(decision).toMatchObject({
      accepted: true,
      state: {
        status: 'PLACED',
        total: 900,
        currency: 'EUR',
        version: 1,
        createdAt: at,
        items: [{ name: 'Tea', unitPrice: 450 }],
      },
      events: [{ type: 'OrderPlaced', data: { customerId: 'ada', total: 900, currency: 'EUR' } }],
    });
  });

  it('adds up the lines of one product', () => {
    const lines = ['tea', 'mug', 'tea'].map((productId) => ({ productId, quantity: 3 }));

    const decision = placeOrder(aCart({ lines }), catalogue, at);

    expect(decision).toMatchObject({
      state: {
        items: [
          { productId: 'tea', quantity: 6 },
          { productId: 'mug', quantity: 3 },
        ],
      },
    });
  });

  it.each([
    ['no items', { lines: [] }, { code: 'order-empty' }],
    [
      'unknown products',
      { lines: ['tea', 'unicorn'].map((productId) => ({ productId, quantity: 1 })) },
      { code: 'product-unknown', productIds: ['unicorn'] },
    ],
    [
      'two currencies',
      { lines: ['tea', 'book'].map((productId) => ({ productId, quantity: 1 })) },
      { code: 'mixed-currencies', currencies: ['EUR', 'USD'] },
    ],
    [
      'a total beyond exact sums',
      { lines: [{ productId: 'tea', quantity: Number.MAX_SAFE_INTEGER }] },
      { code: 'order-total-too-large' },
    ],
  ])('refuses %s', (_, fields, rejection) => {
    expect(placeOrder(aCart(fields), catalogue, at)).toMatchObject({ accepted: false, rejection });
  });

  it('never loses or invents a cent', () => {
    const lines = fc.array(
      fc.record({ productId: fc.constantFrom('tea', 'mug'), quantity: fc.integer({ min: 1, max: 10_000 }) }),
      { minLength: 1, maxLength: 20 },
    );

    fc.assert(
      fc.property(lines, (given) => {
        const decision = placeOrder(aCart({ lines: given }), catalogue, at);

        const expected = given.reduce(
          (sum, { productId, quantity }) => sum + quantity * catalogue.product(productId)!.price,
          0,
        );
        expect(decision).toMatchObject({
          accepted: true,
          state: { total: expected },
          events: [{ data: { total: expected } }],
        });
      }),
    );
  });
});

describe('hearing of the payment', () => {
  it('waits for the result once the payment is requested, and tells nobody', () => {
    const decision = hearPayment(aPlacedOrder(), requested, later);

    expect(decision).toMatchObject({
      state: {
        status: 'PAYMENT_PENDING',
        payment: { paymentRequestId, status: 'PENDING', reason: null },
        updatedAt: later,
        createdAt: at,
      },
      events: [],
    });
  });

  it('completes a paid order', () => {
    const decision = hearPayment(aPlacedOrder(), succeeded, later);

    expect(decision).toMatchObject({
      state: { status: 'COMPLETED', payment: { status: 'SUCCEEDED' } },
      events: [{ type: 'OrderCompleted', data: { customerId: 'ada' } }],
    });
  });

  it('cancels an order whose payment failed, with the reason', () => {
    const decision = hearPayment(aPlacedOrder(), failed, later);

    expect(decision).toMatchObject({
      state: {
        status: 'CANCELLED',
        cancelReason: 'payment failed: card declined',
        payment: { status: 'FAILED', reason: 'card declined' },
      },
      events: [{ type: 'OrderCancelled', data: { reason: 'payment failed: card declined' } }],
    });
  });

  it('ends lawfully whatever is heard, in whatever order: a final order never changes again', () => {
    const heard = fc.array(fc.constantFrom(requested, succeeded, failed), { maxLength: 8 });

    fc.assert(
      fc.property(heard, (events) => {
        let order = aPlacedOrder();
        let raised = 0;
        for (const event of events) {
          const final = order.status === 'COMPLETED' || order.status === 'CANCELLED';
          const decision = hearPayment(order, event, later);
          if (final)
            expect(decision).toMatchObject({
              accepted: false,
              rejection: { code: 'order-wrong-status', actual: order.status },
            });
          if (!decision.accepted) continue;
          expect(decision.state.version).toBeGreaterThan(order.version);
          order = decision.state;
          raised += decision.events.length;
        }
        expect(raised).toBe(order.status === 'COMPLETED' || order.status === 'CANCELLED' ? 1 : 0);
        expect(order.status === 'COMPLETED').toBe(order.payment?.status === 'SUCCEEDED');
        expect(order.status === 'CANCELLED').toBe(order.payment?.status === 'FAILED');
      }),
    );
  });

  it('keeps a reason that is as long as an event allows', () => {
    const long: PaymentEvent = {
      type: 'PaymentFailed',
      data: { orderId: aCart().orderId, paymentRequestId, reason: 'x'.repeat(500) },
    };

    const decision = hearPayment(aPlacedOrder(), long, later);

    expect(decision.accepted && decision.state.cancelReason).toHaveLength(500);
  });

  it('cuts a reason between characters, never through one', () => {
    const long: PaymentEvent = {
      type: 'PaymentFailed',
      data: { orderId: aCart().orderId, paymentRequestId, reason: `x${'😀'.repeat(499)}` },
    };

    const decision = hearPayment(aPlacedOrder(), long, later);

    const reason = decision.accepted ? (decision.state.cancelReason ?? '') : '';
    expect(Array.from(reason)).toHaveLength(500);
    expect(reason.isWellFormed()).toBe(true);
  });
});

it('an order is what its events made of it', () => {
  const placed = aPlacedOrder();

  const order = [
    requested,
    succeeded,
    { type: 'OrderCompleted', data: { orderId: placed.id, customerId: 'ada' } } as const,
  ].reduce(evolve, placed);

  expect(order).toMatchObject({ status: 'COMPLETED', version: 4, payment: { status: 'SUCCEEDED' } });
});
