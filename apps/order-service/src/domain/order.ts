import { type OrderEvent, type PaymentEvent } from '@twinbox/contracts';
import { accept, type Accepted, type Decision, reject, type VersionConflict } from '@twinbox/kernel';
import { dueAtOf, laterOf, paymentOf, type PaymentSnapshot } from './payment-snapshot.js';
import { type PriceChange, type Shortage } from './product.js';

export const ORDER_STATUSES = ['DRAFT', 'PLACED', 'PAYMENT_PENDING', 'COMPLETED', 'FINISHED', 'CANCELLED'] as const;
export type OrderStatus = (typeof ORDER_STATUSES)[number];

/** Placed, and neither paid nor cancelled: what such an order holds is reserved. */
export const LIVE_STATUSES = ['PLACED', 'PAYMENT_PENDING'] as const satisfies readonly OrderStatus[];
export type LiveStatus = (typeof LIVE_STATUSES)[number];

/** One product of an order: at the price of when it was added, and once placed at the price of then. */
export interface OrderItem {
  readonly productId: string;
  readonly name: string;
  readonly quantity: number;
  /** Minor units of the order's currency. */
  readonly unitPrice: number;
}

/** An order without its items: all that is needed to say how it goes on once it is placed. */
export interface OrderHead {
  readonly id: string;
  readonly customerId: string;
  readonly status: OrderStatus;
  readonly description: string | null;
  /** Minor units of `currency`. */
  readonly total: number;
  /** ISO 4217; null while a draft has no items. */
  readonly currency: string | null;
  readonly payment: PaymentSnapshot | null;
  readonly cancelReason: string | null;
  /** PLACED: since when it waits for its payment request. PAYMENT_PENDING: until when for its payment. Else null. */
  readonly dueAt: Date | null;
  /** Grows with every change. */
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export interface Order extends OrderHead {
  readonly items: readonly OrderItem[];
}

/** What happens to a draft: it stands in the order's history and is not published. */
export type CartEvent =
  | { readonly type: 'OrderOpened'; readonly data: object }
  | { readonly type: 'ItemAdded'; readonly data: Omit<OrderItem, 'name'> }
  | { readonly type: 'ItemRemoved'; readonly data: Pick<OrderItem, 'productId' | 'quantity'> }
  | { readonly type: 'OrderDiscarded'; readonly data: { readonly reason: string } };

/** A message came that may no longer, or not twice, move the order. */
export interface MessagePassedOver {
  readonly type: 'MessagePassedOver';
  readonly data: { readonly type: PaymentEvent['type']; readonly reason: string };
}

/** Whatever is a step of an order's history. The order events among them are published. */
export type OrderChange = OrderEvent | CartEvent | PaymentEvent | MessagePassedOver;

export type OrderRejection =
  | { readonly code: 'order-not-found' | 'order-not-yours' | 'operator-required'; readonly orderId: string }
  | { readonly code: 'order-empty' | 'order-total-too-large'; readonly orderId: string }
  | { readonly code: 'order-wrong-status'; readonly orderId: string; readonly actual: OrderStatus }
  | VersionConflict
  | { readonly code: 'item-not-found'; readonly orderId: string; readonly productId: string }
  | { readonly code: 'too-many-products'; readonly orderId: string; readonly most: number }
  | { readonly code: 'quantity-too-large'; readonly orderId: string; readonly productId: string; readonly most: number }
  | { readonly code: 'product-unknown'; readonly productIds: readonly string[] }
  | { readonly code: 'mixed-currencies'; readonly currencies: readonly string[] }
  | { readonly code: 'price-changed'; readonly changed: readonly PriceChange[] }
  | { readonly code: 'insufficient-stock'; readonly short: readonly Shortage[] };

export type OrderDecision<O extends OrderHead = Order> = Decision<O, OrderChange, OrderRejection>;

/** Whether its items are reserved. */
export function isLive({ status }: Pick<OrderHead, 'status'>): boolean {
  return LIVE_STATUSES.some((live) => live === status);
}

/** A draft is discarded, a live order is cancelled; what becomes of its money, payment-service knows. */
export function cancelOrder<O extends OrderHead>(order: O, reason: string, actor: string, at: Date): OrderDecision<O> {
  const { id: orderId, customerId, status } = order;
  if (status === 'DRAFT') return changed(order, at, { type: 'OrderDiscarded', data: { reason } });
  if (!isLive(order)) return reject({ code: 'order-wrong-status', orderId, actual: status });
  return changed(order, at, { type: 'OrderCancelled', data: { orderId, customerId, reason, actor } });
}

/** COMPLETED → FINISHED: nothing is left to be done for it. */
export function finishOrder<O extends OrderHead>(order: O, at: Date): OrderDecision<O> {
  const { id: orderId, customerId, status } = order;
  if (status !== 'COMPLETED') return reject({ code: 'order-wrong-status', orderId, actual: status });
  return changed(order, at, { type: 'OrderFinished', data: { orderId, customerId } });
}

/** The order after the changes, and the changes. */
export function changed<O extends OrderHead>(order: O, at: Date, ...changes: OrderChange[]): Accepted<O, OrderChange> {
  return accept((state: O, change: OrderChange): O => evolve(state, change, at), order, ...changes);
}

/** The order after one step of its history. What it costs and holds is worked out by the rule that raised the step. */
export function evolve<O extends OrderHead>(order: O, change: OrderChange, at: Date): O {
  return { ...order, ...effectOf(order, change, at), version: order.version + 1, updatedAt: at };
}

function effectOf({ payment }: OrderHead, change: OrderChange, at: Date): Partial<OrderHead> {
  switch (change.type) {
    case 'OrderPlaced':
      return { status: 'PLACED', dueAt: at };
    case 'OrderCompleted':
      return { status: 'COMPLETED', dueAt: null };
    case 'OrderFinished':
      return { status: 'FINISHED' };
    case 'OrderCancelled':
    case 'OrderDiscarded':
      return { status: 'CANCELLED', cancelReason: change.data.reason, dueAt: null };
    case 'PaymentRequested':
      return {
        status: 'PAYMENT_PENDING',
        dueAt: dueAtOf(change.data, at),
        payment: laterOf(payment, paymentOf(change)),
      };
    case 'PaymentSucceeded':
    case 'PaymentFailed':
    case 'PaymentCancelled':
    case 'PaymentRefunded':
      return { payment: laterOf(payment, paymentOf(change)) };
    case 'OrderOpened':
    case 'ItemAdded':
    case 'ItemRemoved':
    case 'MessagePassedOver':
      return {};
  }
}
