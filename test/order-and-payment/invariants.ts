import { type OrderStatus } from '../../apps/order-service/src/domain/order.js';
import { type PaymentRequest, type PaymentStatus } from '../../apps/payment-service/src/domain/payment-request.js';
import { type Change, type Sight, stepOf } from './change.js';
import { messageLaws } from './message-invariants.js';
import { must } from './must.js';
import { PRODUCTS } from './world.js';

type Law = (change: Change) => void;

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

function whatIsInVainChangesNothing({ before, now, inVain }: Change): void {
  must(inVain === undefined || isSame(before, now), `what is in vain changes nothing; not so: ${inVain}`);
}

function stockIsConserved({ world }: Change): void {
  for (const productId of PRODUCTS) {
    const available = world.orders.tables.products.get(productId)?.available ?? 0;
    must(available >= 0, `stock is never negative; of ${productId} it is ${available}`);
    const counted = world.orders.available(productId) + world.reserved(productId) + world.sold(productId);
    const supply = world.supply.get(productId);
    must(counted === supply, `stock is conserved; of ${productId} there were ${supply}, and now ${counted}`);
  }
}

function ordersMoveLawfully({ before, now, newOrderLines, tally }: Change): void {
  for (const [id, order] of now.orders) {
    const was = before.orders.get(id);
    if (was === order) continue;
    let { status, version } = was ?? ({ status: 'DRAFT', version: 0 } as const);
    for (const line of newOrderLines.filter(({ orderId }) => orderId === id)) {
      must(
        line.status === status || ORDER_EDGES[status].includes(line.status),
        `an order does not go from ${status} to ${line.status}`,
      );
      must(line.version === version + 1, `the steps of an order count its version; ${line.type} is ${line.version}`);
      tally.add(`order: ${stepOf(line)} in ${status}`);
      ({ status, version } = line);
    }
    must(order.status === status && order.version === version, "the order's timeline says what it is");
    const total = order.items.reduce((sum, { quantity, unitPrice }) => sum + quantity * unitPrice, 0);
    must(order.total === total, 'the total of an order is that of its items');
    must(
      was === undefined || was.status === 'DRAFT' || (was.items === order.items && was.total === total),
      'what is in an order changes only while it is a draft',
    );
  }
}

function paymentsMoveLawfully({ before, now, newPaymentLines, tally }: Change): void {
  for (const [id, request] of now.requests) {
    const was = before.requests.get(id);
    if (was === request) continue;
    let status: PaymentStatus = was?.status ?? 'PENDING';
    for (const line of newPaymentLines) {
      if (line.orderId !== request.orderId || line.status === null) continue;
      must(
        line.status === status || PAYMENT_EDGES[status].includes(line.status),
        `a payment does not go from ${status} to ${line.status}`,
      );
      ({ status } = line);
    }
    must(request.status === status, "the payment's timeline says what it is");
    must(request.version > (was?.version ?? 0), 'the version of a payment grows');
    const order = now.orders.get(request.orderId);
    must(
      request.amount === order?.total && request.currency === order.currency,
      "what is asked for is the order's total",
    );
  }
  for (const line of newPaymentLines) {
    const was = [...before.requests.values()].find(({ orderId }) => orderId === line.orderId);
    const how = line.type === 'PaymentRefunded' && line.actor.startsWith('operator:') ? ' by hand' : '';
    tally.add(`payment: ${stepOf(line)} in ${was ? wordFor(was, line.at) : 'none'}${how}`);
  }
}

function moneyIsConserved({ world, now }: Change): void {
  const { provider, tables } = world.payments;
  const jobs = [...tables.jobs.values(), ...tables.deadJobs.values()];
  const ordersAsked = [...now.requests.values()].map(({ orderId }) => orderId);
  must(new Set(ordersAsked).size === ordersAsked.length, 'an order has at most one payment request');
  for (const { id, status } of now.requests.values()) {
    const isBooked = status === 'SUCCEEDED' || status === 'REFUND_PENDING' || status === 'REFUNDED';
    const hasCome = provider.charged.has(id);
    must(hasCome || !isBooked, `no payment is ${status} without money`);
    must(
      !hasCome || isBooked || world.willHearOfMoney(id),
      `money is not forgotten; a payment is ${status} in spite of it`,
    );
    const isBack = provider.refunded.has(id);
    must(
      isBack ? status === 'REFUND_PENDING' || status === 'REFUNDED' : status !== 'REFUNDED',
      `money goes back once that is due, and then that is booked; a payment is ${status}`,
    );
    must(
      status !== 'REFUND_PENDING' || jobs.some((job) => job.queue === 'refund' && job.paymentRequestId === id),
      'a refund that is due has its job',
    );
  }
}

/** Every one is looked at after every move. */
export const allLaws: readonly Law[] = [
  whatIsInVainChangesNothing,
  stockIsConserved,
  ordersMoveLawfully,
  paymentsMoveLawfully,
  moneyIsConserved,
  ...messageLaws,
];

function isSame(before: Sight, now: Sight): boolean {
  const counts = ({
    orderLines,
    paymentLines,
    orderMessages,
    paymentMessages,
    heardOfOrders,
    heardOfPayments,
  }: Sight) =>
    [orderLines, paymentLines, orderMessages, paymentMessages, heardOfOrders, heardOfPayments].map(
      ({ length }) => length,
    );
  return (
    counts(before).join() === counts(now).join() &&
    [...now.orders].every(([id, order]) => before.orders.get(id) === order) &&
    [...now.requests].every(([id, request]) => before.requests.get(id) === request)
  );
}

/** The status, and what else makes a difference to what comes next. */
function wordFor({ status, reason, expiresAt }: PaymentRequest, at: Date): string {
  if (status === 'FAILED' && reason === 'expired') return 'FAILED by expiry';
  return status === 'PENDING' && expiresAt <= at ? 'PENDING past its time' : status;
}
