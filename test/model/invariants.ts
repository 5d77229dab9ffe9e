import { type OrderStatus } from '../../apps/order-service/src/domain/order.js';
import { type PaymentRequest, type PaymentStatus } from '../../apps/payment-service/src/domain/payment-request.js';
import { type Change, type Snapshot, stepOf } from './change.js';
import { messageInvariants } from './message-invariants.js';
import { must } from './must.js';
import { PRODUCTS } from './world.js';

type Invariant = (change: Change) => void;

const ORDER_EDGES: Record<OrderStatus, readonly OrderStatus[]> = {
  DRAFT: ['PLACED', 'CANCELLED'],
  PLACED: ['PAYMENT_PENDING', 'COMPLETED', 'CANCELLED'],
  PAYMENT_PENDING: ['COMPLETED', 'CANCELLED'],
  COMPLETED: ['FINISHED'],
  FINISHED: [],
  CANCELLED: [],
};

const PAYMENT_EDGES: Record<PaymentStatus, readonly PaymentStatus[]> = {
  PENDING: ['SUCCEEDED', 'FAILED', 'CANCELLED'],
  SUCCEEDED: ['REFUND_PENDING'],
  FAILED: ['REFUND_PENDING'],
  CANCELLED: ['REFUND_PENDING'],
  REFUND_PENDING: ['REFUNDED'],
  REFUNDED: [],
};

function movesWithoutEffectChangeNothing({ before, now, noEffect }: Change): void {
  must(noEffect === undefined || isSame(before, now), `a move without effect must change nothing (${noEffect})`);
}

function stockIsConserved({ world }: Change): void {
  for (const productId of PRODUCTS) {
    const available = world.orders.tables.products.get(productId)?.available ?? 0;
    must(available >= 0, `stock must not be negative, but ${productId} has ${available}`);
    const counted = world.orders.available(productId) + world.reserved(productId) + world.sold(productId);
    const supply = world.supply.get(productId);
    must(counted === supply, `stock must be conserved, but ${productId} had ${supply} and now has ${counted}`);
  }
}

function orderTransitionsAreValid({ before, now, newOrderLines, tally }: Change): void {
  for (const [id, order] of now.orders) {
    const was = before.orders.get(id);
    if (was === order) continue;
    let { status, version } = was ?? ({ status: 'DRAFT', version: 0 } as const);
    for (const line of newOrderLines.filter(({ orderId }) => orderId === id)) {
      must(
        line.status === status || ORDER_EDGES[status].includes(line.status),
        `an order must not go from ${status} to ${line.status}`,
      );
      must(
        line.version === version + 1,
        `each step of an order must increase its version by one, but ${line.type} has ${line.version}`,
      );
      tally.add(`order: ${stepOf(line)} in ${status}`);
      ({ status, version } = line);
    }
    must(order.status === status && order.version === version, "the order's timeline must match its state");
    const total = order.items.reduce((sum, { quantity, unitPrice }) => sum + quantity * unitPrice, 0);
    must(order.total === total, 'the total of an order must be the total of its items');
    must(
      was === undefined || was.status === 'DRAFT' || (was.items === order.items && was.total === total),
      'the items of an order must change only while it is a draft',
    );
  }
}

function paymentTransitionsAreValid({ before, now, newPaymentLines, tally }: Change): void {
  for (const [id, request] of now.requests) {
    const was = before.requests.get(id);
    if (was === request) continue;
    let status: PaymentStatus = was?.status ?? 'PENDING';
    for (const line of newPaymentLines) {
      if (line.orderId !== request.orderId || line.status === null) continue;
      must(
        line.status === status || PAYMENT_EDGES[status].includes(line.status),
        `a payment must not go from ${status} to ${line.status}`,
      );
      ({ status } = line);
    }
    must(request.status === status, "the payment's timeline must match its state");
    must(request.version > (was?.version ?? 0), 'the version of a payment must increase');
    const order = now.orders.get(request.orderId);
    must(
      request.amount === order?.total && request.currency === order.currency,
      "the payment must request the order's total",
    );
  }
  for (const line of newPaymentLines) {
    const was = [...before.requests.values()].find(({ orderId }) => orderId === line.orderId);
    const how = line.type === 'PaymentRefunded' && line.actor.startsWith('operator:') ? ' by hand' : '';
    tally.add(`payment: ${stepOf(line)} in ${was ? nameOf(was, line.at) : 'none'}${how}`);
  }
}

function moneyIsConserved({ world, now }: Change): void {
  const { provider, tables } = world.payments;
  const jobs = [...tables.jobs.values(), ...tables.deadJobs.values()];
  const orderIds = [...now.requests.values()].map(({ orderId }) => orderId);
  must(new Set(orderIds).size === orderIds.length, 'an order must have at most one payment request');
  for (const { id, status } of now.requests.values()) {
    const isRecorded = status === 'SUCCEEDED' || status === 'REFUND_PENDING' || status === 'REFUNDED';
    const isCharged = provider.charged.has(id);
    must(isCharged || !isRecorded, `a payment must not be ${status} without money`);
    must(
      !isCharged || isRecorded || world.willReceiveResult(id),
      `a charge must not be lost, but the payment is ${status}`,
    );
    const isRefunded = provider.refunded.has(id);
    must(
      isRefunded ? status === 'REFUND_PENDING' || status === 'REFUNDED' : status !== 'REFUNDED',
      `a refund must be due when it is made, and then be recorded, but the payment is ${status}`,
    );
    must(
      status !== 'REFUND_PENDING' || jobs.some((job) => job.queue === 'refund' && job.paymentRequestId === id),
      'a refund that is due must have its job',
    );
  }
}

/** All are checked after every move. */
export const allInvariants: readonly Invariant[] = [
  movesWithoutEffectChangeNothing,
  stockIsConserved,
  orderTransitionsAreValid,
  paymentTransitionsAreValid,
  moneyIsConserved,
  ...messageInvariants,
];

function isSame(before: Snapshot, now: Snapshot): boolean {
  const counts = ({
    orderLines,
    paymentLines,
    orderMessages,
    paymentMessages,
    receivedByPayments,
    receivedByOrders,
  }: Snapshot) =>
    [orderLines, paymentLines, orderMessages, paymentMessages, receivedByPayments, receivedByOrders].map(
      ({ length }) => length,
    );
  return (
    counts(before).join() === counts(now).join() &&
    [...now.orders].every(([id, order]) => before.orders.get(id) === order) &&
    [...now.requests].every(([id, request]) => before.requests.get(id) === request)
  );
}

/** Names the status, with whatever else affects the next step. */
function nameOf({ status, reason, expiresAt }: PaymentRequest, at: Date): string {
  if (status === 'FAILED' && reason === 'expired') return 'FAILED by expiry';
  return status === 'PENDING' && expiresAt <= at ? 'PENDING after expiry' : status;
}
