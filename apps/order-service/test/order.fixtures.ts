import { type PaymentEvent } from '@twinbox/contracts';
import { type NewOrder, openDraft, placeAtOnce } from '../src/domain/cart.js';
import { type Order, type OrderDecision, type OrderHead } from '../src/domain/order.js';
import { Catalogue, type Product } from '../src/domain/product.js';

export const at = new Date('2026-11-21T09:30:00Z');
export const later = new Date('2026-11-21T09:31:00Z');

const orderId = '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';
const paymentRequestId = '01939d3c-3b1e-7a52-8f01-1c2d3e4f5a6b';

export function aProduct(fields: Partial<Product> = {}): Product {
  return {
    id: 'tea',
    name: 'Tea',
    price: 450,
    currency: 'EUR',
    available: 1_000_000_000,
    version: 1,
    updatedAt: at,
    ...fields,
  };
}

export const tea = aProduct();
export const mug = aProduct({ id: 'mug', name: 'Mug', price: 1800 });
export const book = aProduct({ id: 'book', name: 'Book', price: 2500, currency: 'USD' });
export const catalogue = new Catalogue([tea, mug, book]);

export function aNewOrder(fields: Partial<NewOrder> = {}): NewOrder {
  return { orderId, customerId: 'ada', description: null, lines: [{ productId: 'tea', quantity: 2 }], ...fields };
}

export function aDraft(fields: Partial<NewOrder> = {}): Order {
  return accepted(openDraft(aNewOrder(fields), catalogue, at));
}

export function aPlacedOrder(fields: Partial<NewOrder> = {}): Order {
  return accepted(placeAtOnce(aNewOrder(fields), catalogue, at));
}

/** Returns the state after a decision that must be accepted. */
export function accepted<O extends OrderHead>(decision: OrderDecision<O>): O {
  if (!decision.accepted) throw new Error(decision.rejection.code);
  return decision.state;
}

/** The events of the order's payment. */
export const payment = {
  requested: {
    type: 'PaymentRequested',
    data: { orderId, paymentRequestId, expiresAt: '2026-11-21T09:45:00.000Z' },
  },
  succeeded: { type: 'PaymentSucceeded', data: { orderId, paymentRequestId, actor: 'operator:olga' } },
  failed: {
    type: 'PaymentFailed',
    data: { orderId, paymentRequestId, reason: 'card declined', actor: 'gateway' },
  },
  cancelled: { type: 'PaymentCancelled', data: { orderId, paymentRequestId, reason: 'ordered twice' } },
  refunded: { type: 'PaymentRefunded', data: { orderId, paymentRequestId, reason: 'ordered twice' } },
} as const satisfies Record<string, PaymentEvent>;
