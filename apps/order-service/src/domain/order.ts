import { type OrderEvent, type PaymentEvent } from '@twinbox/contracts';
import { accept, type Accepted, type Decision, reject, type VersionConflict } from '@twinbox/kernel';
import { dueAtOf, laterOf, paymentOf, type PaymentSnapshot } from './payment-snapshot.js';
import { type HeldShare, type PriceChange, type Shortage } from './product.js';

export const ORDER_STATUSES = ['DRAFT', 'PLACED', 'PAYMENT_PENDING', 'COMPLETED', 'FINISHED', 'CANCELLED'] as const;
export type OrderStatus = (typeof ORDER_STATUSES)[number];

/** Statuses in which the items of an order are reserved. */
export const LIVE_STATUSES = ['PLACED', 'PAYMENT_PENDING'] as const satisfies readonly OrderStatus[];
export type LiveStatus = (typeof LIVE_STATUSES)[number];

export interface OrderItem {
  readonly productId: string;
  readonly name: string;
  readonly quantity: number;
  /** Minor units of the order's currency, as of when the item was added, or when the order was placed. */
  readonly unitPrice: number;
}

/** An order without its items, which is all the rules need once it is placed. */
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
  /** PLACED: when it began to wait for its payment request. PAYMENT_PENDING: when its payment expires. Otherwise null. */
  readonly dueAt: Date | null;
  /** Increases with every change. */
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export interface Order extends OrderHead {
  readonly items: readonly OrderItem[];
}

/** Changes of a draft. They are recorded in the timeline but not published. */
export type CartEvent =
  | { readonly type: 'OrderOpened'; readonly data: object }
  | { readonly type: 'ItemAdded'; readonly data: Omit<OrderItem, 'name'> }
  | { readonly type: 'ItemRemoved'; readonly data: Pick<OrderItem, 'productId' | 'quantity'> }
  | { readonly type: 'OrderDiscarded'; readonly data: { readonly reason: string } };

/** A late or duplicate message was ignored. */
export interface MessagePassedOver {
  readonly type: 'MessagePassedOver';
  readonly data: { readonly type: PaymentEvent['type']; readonly reason: string };
}

/** Everything recorded in the timeline. Only order events are published. */
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
  | { readonly code: 'insufficient-stock'; readonly short: readonly Shortage[] }
  | QuotaRejection;

type QuotaRejection =
  | { readonly code: 'too-many-drafts' | 'too-many-unpaid-orders'; readonly most: number }
  | {
      readonly code: 'too-many-pieces-held';
      readonly most: number;
      readonly held: number;
      readonly requested: number;
    }
  | { readonly code: 'too-large-share-held'; readonly over: readonly HeldShare[] };

export type OrderDecision<O extends OrderHead = Order> = Decision<O, OrderChange, OrderRejection>;

export function isLive({ status }: Pick<OrderHead, 'status'>): boolean {
  return LIVE_STATUSES.some((live) => live === status);
}

/** Discards a draft or cancels a live order. payment-service decides about the money. */
export function cancelOrder<O extends OrderHead>(order: O, reason: string, actor: string, at: Date): OrderDecision<O> {
  const { id: orderId, customerId, status } = order;
  if (status === 'DRAFT') return changed(order, at, { type: 'OrderDiscarded', data: { reason } });
  if (!isLive(order)) return reject({ code: 'order-wrong-status', orderId, actual: status });
  return changed(order, at, { type: 'OrderCancelled', data: { orderId, customerId, reason, actor } });
}

export function finishOrder<O extends OrderHead>(order: O, at: Date): OrderDecision<O> {
  const { id: orderId, customerId, status } = order;
  if (status !== 'COMPLETED') return reject({ code: 'order-wrong-status', orderId, actual: status });
  return changed(order, at, { type: 'OrderFinished', data: { orderId, customerId } });
}

export function changed<O extends OrderHead>(order: O, at: Date, ...changes: OrderChange[]): Accepted<O, OrderChange> {
  return accept((state: O, change: OrderChange): O => evolve(state, change, at), order, ...changes);
}

/** Applies one change. Items and total were already set by the rule that returned it. */
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

/** After a payment expires, the message about it may take a moment to arrive. */
export const PAYMENT_GRACE_MS = 60_000;

export function isLate(order: Pick<OrderHead, 'status' | 'dueAt'>, now: Date, lateAfterMs: number): boolean {
  if (order.dueAt === null) return false;
  const overdueMs = now.getTime() - order.dueAt.getTime();
  switch (order.status) {
    case 'PLACED':
      return overdueMs > lateAfterMs;
    case 'PAYMENT_PENDING':
      return overdueMs > PAYMENT_GRACE_MS;
    case 'DRAFT':
    case 'COMPLETED':
    case 'FINISHED':
    case 'CANCELLED':
      return false;
  }
}
