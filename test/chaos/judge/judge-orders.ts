import { type Facts } from './facts.js';
import { excusedKeys } from './judge-rest.js';

/** P4: an order that is sent several times is placed once at most, an idempotency key yields one order, and an accepted order exists. */
export function acceptedOrdersExist({ orderAttempts, orders, orderSteps }: Facts): string[] {
  const byCustomer = Map.groupBy(orders, ({ customerId }) => customerId);
  const placed = new Set(orderSteps.filter(({ type }) => type === 'OrderPlaced').map(({ orderId }) => orderId));
  const findings = orderAttempts.flatMap(({ customerId, outcome, orderIds, total }) => {
    const theirs = byCustomer.get(customerId) ?? [];
    const order = theirs.find(({ id }) => placed.has(id));
    if (theirs.length > 1) return [`${customerId} requested one order and has ${theirs.length}`];
    if (outcome === 'accepted')
      return orderIds.length === 1 && order?.id === orderIds[0] && order?.total === total
        ? []
        : [
            `${customerId} was answered with order ${orderIds.join(', ')} for ${total}, but has ${order?.id} for ${order?.total}`,
          ];
    // Unavailable or unanswered requests may or may not have taken effect.
    const isNone = outcome === 'refused' || outcome === 'abandoned';
    return isNone && order ? [`an order of ${customerId} was ${outcome} but is placed`] : [];
  });
  const customers = new Set(orderAttempts.map(({ customerId }) => customerId));
  const unknown = orders.filter(({ customerId }) => !customers.has(customerId));
  return [...findings, ...unknown.map(({ id }) => `nobody requested order ${id}`)];
}

/** Of several changes of the same version at most one is accepted, and an accepted change creates the next version. */
export function cartChangesAreConditional({ edits, orderSteps }: Facts): string[] {
  const types = new Set(['ItemAdded', 'ItemRemoved', 'OrderPlaced']);
  const changes = new Set(
    orderSteps.filter(({ type }) => types.has(type)).map(({ orderId, version }) => `version ${version} of ${orderId}`),
  );
  const accepted = Map.groupBy(
    edits.filter(({ outcome }) => outcome === 'accepted'),
    ({ orderId, expected }) => `version ${expected + 1} of ${orderId}`,
  );
  return [...accepted].flatMap(([change, ofVersion]) => [
    ...(ofVersion.length > 1 ? [`${change} was created ${ofVersion.length} times`] : []),
    ...(changes.has(change) ? [] : [`${change} was accepted but does not exist`]),
  ]);
}

/** An accepted command stays in effect, and a refused command was refused for the actual status of the order. */
export function commandsStayInEffect({ commands, orders }: Facts): string[] {
  const statusOf = new Map(orders.map(({ id, status }) => [id, status]));
  const ends: Readonly<Record<string, readonly string[]>> = {
    cancel: ['CANCELLED'],
    finish: ['FINISHED'],
    CANCELLED: ['CANCELLED'],
    COMPLETED: ['COMPLETED', 'FINISHED'],
    FINISHED: ['FINISHED'],
  };
  return commands.flatMap(({ kind, orderId, outcome, actual }) => {
    const answer = outcome === 'accepted' ? kind : actual;
    if (answer === undefined) return [];
    const status = statusOf.get(orderId) ?? 'missing';
    const valid = ends[answer]?.includes(status) ?? false;
    return valid
      ? []
      : [`the request to ${kind} order ${orderId} was ${outcome}${actual ? ` as ${actual}` : ''}, but it is ${status}`];
  });
}

/** The valid final statuses of a placed order, each with the valid statuses of its payment. */
const PAYMENTS_OF: Readonly<Record<string, readonly string[]>> = {
  COMPLETED: ['SUCCEEDED'],
  FINISHED: ['SUCCEEDED'],
  CANCELLED: ['FAILED', 'CANCELLED', 'REFUNDED'],
};

/** No order is left unfinished: every undecided payment has expired, and every due refund has been made. */
export function ordersAreSettled(facts: Facts): string[] {
  const { orders, paymentRequests, orderSteps } = facts;
  const excused = excusedKeys(facts, ['order-service', 'payment-service']);
  const requestOf = new Map(paymentRequests.map((request) => [request.orderId, request]));
  const placed = new Set(orderSteps.filter(({ type }) => type === 'OrderPlaced').map(({ orderId }) => orderId));
  return orders.flatMap(({ id, status, payment }) => {
    const request = requestOf.get(id);
    if (!placed.has(id)) return request || payment ? [`order ${id} was never placed but has a payment`] : [];
    if (excused.has(id)) return [];
    const valid = PAYMENTS_OF[status];
    if (valid === undefined) return [`order ${id} is still ${status}`];
    if (!request || !valid.includes(request.status))
      return [`order ${id} is ${status}, but its payment is ${request?.status ?? 'missing'}`];
    return payment?.paymentRequestId === request.id && payment.status === request.status
      ? []
      : [`order ${id} has recorded a different payment or payment status than payment-service`];
  });
}

/** Customers are notified of every end of their order at least once. */
export function customersAreNotified(facts: Facts): string[] {
  const notified = new Set(facts.notices.map(({ type, orderId }) => `${type} of order ${orderId}`));
  const excused = excusedKeys(facts, ['order-service-notifications']);
  return facts.outbox
    .filter(({ topic, type, key }) => topic === 'order.events' && type !== 'OrderPlaced' && !excused.has(key))
    .map(({ type, key }) => `${type} of order ${key}`)
    .filter((end) => !notified.has(end))
    .map((end) => `no customer was notified of ${end}`);
}
