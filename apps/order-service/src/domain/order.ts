import { type OrderEvent, type PaymentEvent, type PaymentRequested } from '@twinbox/contracts';
import { accept, type Decision, reject } from '@twinbox/kernel';
import { type Catalogue } from './product.js';

export const ORDER_STATUSES = ['DRAFT', 'PLACED', 'PAYMENT_PENDING', 'COMPLETED', 'CANCELLED'] as const;
export type OrderStatus = (typeof ORDER_STATUSES)[number];

export const PAYMENT_STATUSES = ['PENDING', 'SUCCEEDED', 'FAILED'] as const;

/** The order's payment as order-service last heard of it. */
export interface PaymentSnapshot {
  readonly paymentRequestId: string;
  readonly status: (typeof PAYMENT_STATUSES)[number];
  readonly reason: string | null;
}

/** One product of an order, at the price it was placed at. */
export interface OrderItem {
  readonly productId: string;
  readonly name: string;
  readonly quantity: number;
  /** Minor units of the order's currency. */
  readonly unitPrice: number;
}

export interface Order {
  readonly id: string;
  readonly customerId: string;
  readonly status: OrderStatus;
  readonly description: string | null;
  readonly items: readonly OrderItem[];
  /** Minor units of `currency`. */
  readonly total: number;
  /** ISO 4217. */
  readonly currency: string;
  readonly payment: PaymentSnapshot | null;
  readonly cancelReason: string | null;
  /** Grows with every change. */
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** What a customer wants: lines of the same product add up. */
export interface Cart {
  readonly orderId: string;
  readonly customerId: string;
  readonly description: string | null;
  readonly lines: readonly { readonly productId: string; readonly quantity: number }[];
}

export type OrderRejection =
  | { readonly code: 'order-not-found' | 'order-empty' | 'order-total-too-large'; readonly orderId: string }
  | { readonly code: 'order-wrong-status'; readonly orderId: string; readonly actual: OrderStatus }
  | { readonly code: 'product-unknown'; readonly productIds: readonly string[] }
  | { readonly code: 'mixed-currencies'; readonly currencies: readonly string[] };

export type OrderDecision = Decision<Order, OrderEvent, OrderRejection>;

/** DRAFT → PLACED at the catalogue's prices: a later price change does not reach a placed order. */
export function placeOrder(cart: Cart, catalogue: Catalogue, at: Date): OrderDecision {
  const { orderId, customerId, description } = cart;
  const quantities = new Map<string, number>();
  for (const { productId, quantity } of cart.lines)
    quantities.set(productId, (quantities.get(productId) ?? 0) + quantity);

  const unknown: string[] = [];
  const currencies = new Set<string>();
  const items: OrderItem[] = [];
  for (const [productId, quantity] of quantities) {
    const product = catalogue.product(productId);
    if (!product) {
      unknown.push(productId);
      continue;
    }
    currencies.add(product.currency);
    items.push({ productId, name: product.name, quantity, unitPrice: product.price });
  }
  if (unknown.length > 0) return reject({ code: 'product-unknown', productIds: unknown });
  const [currency, ...others] = currencies;
  if (currency === undefined) return reject({ code: 'order-empty', orderId });
  if (others.length > 0) return reject({ code: 'mixed-currencies', currencies: [currency, ...others] });

  const total = items.reduce((sum, { quantity, unitPrice }) => sum + quantity * unitPrice, 0);
  // Beyond it a sum of minor units is no longer exact.
  if (!Number.isSafeInteger(total)) return reject({ code: 'order-total-too-large', orderId });

  const draft: Order = {
    id: orderId,
    customerId,
    status: 'DRAFT',
    description,
    items,
    total,
    currency,
    payment: null,
    cancelReason: null,
    version: 0,
    createdAt: at,
    updatedAt: at,
  };
  return accept(evolveAt(at), draft, { type: 'OrderPlaced', data: { orderId, customerId, total, currency } });
}

/**
 * What payment-service said moves the order: PaymentRequested PLACED → PAYMENT_PENDING, PaymentSucceeded → COMPLETED and
 * PaymentFailed → CANCELLED. A result is accepted in PLACED too: it may be heard before the order knows of the request.
 */
export function hearPayment(order: Order, heard: PaymentEvent, at: Date): OrderDecision {
  const { id: orderId, customerId, status } = order;
  const expected =
    heard.type === 'PaymentRequested' ? status === 'PLACED' : status === 'PLACED' || status === 'PAYMENT_PENDING';
  if (!expected) return reject({ code: 'order-wrong-status', orderId, actual: status });

  const informed = evolveAt(at)(order, heard);
  switch (heard.type) {
    case 'PaymentRequested':
      // No event: payment-service, which said so, is the only one to whom it matters.
      return accept<Order, OrderEvent>(evolveAt(at), informed);
    case 'PaymentSucceeded':
      return accept(evolveAt(at), informed, { type: 'OrderCompleted', data: { orderId, customerId } });
    case 'PaymentFailed': {
      // In whole characters: half a surrogate pair could not be kept.
      const reason = Array.from(`payment failed: ${heard.data.reason}`).slice(0, 500).join('');
      return accept(evolveAt(at), informed, { type: 'OrderCancelled', data: { orderId, customerId, reason } });
    }
  }
}

/** The order after an event of its own, or after one that it heard from payment-service. */
export function evolve(order: Order, event: OrderEvent | PaymentEvent): Order {
  const next = { ...order, version: order.version + 1 };
  switch (event.type) {
    case 'OrderPlaced':
      return { ...next, status: 'PLACED' };
    case 'OrderCompleted':
      return { ...next, status: 'COMPLETED' };
    case 'OrderCancelled':
      return { ...next, status: 'CANCELLED', cancelReason: event.data.reason };
    case 'PaymentRequested':
      return { ...next, status: 'PAYMENT_PENDING', payment: paymentAfter(event.data, 'PENDING') };
    case 'PaymentSucceeded':
      return { ...next, payment: paymentAfter(event.data, 'SUCCEEDED') };
    case 'PaymentFailed':
      return { ...next, payment: paymentAfter(event.data, 'FAILED', event.data.reason) };
  }
}

function paymentAfter(
  { paymentRequestId }: PaymentRequested,
  status: PaymentSnapshot['status'],
  reason: string | null = null,
): PaymentSnapshot {
  return { paymentRequestId, status, reason };
}

function evolveAt(at: Date) {
  return (order: Order, event: OrderEvent | PaymentEvent): Order => ({ ...evolve(order, event), updatedAt: at });
}
