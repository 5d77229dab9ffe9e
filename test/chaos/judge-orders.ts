import { type Facts } from './facts.js';
import { keysOfExplained } from './judge-rest.js';

/** P4: a wish is one order at most, however often it was sent; an idempotency key is an order, and an accepted order is there. */
export function acceptedOrdersAreThere({ placings, orders, orderSteps }: Facts): string[] {
  const byCustomer = Map.groupBy(orders, ({ customerId }) => customerId);
  const placed = new Set(orderSteps.filter(({ type }) => type === 'OrderPlaced').map(({ orderId }) => orderId));
  const findings = placings.flatMap(({ customerId, outcome, orderIds, total }) => {
    const theirs = byCustomer.get(customerId) ?? [];
    const order = theirs.find(({ id }) => placed.has(id));
    if (theirs.length > 1) return [`${customerId} wanted one order and has ${theirs.length}`];
    if (outcome === 'accepted')
      return orderIds.length === 1 && order?.id === orderIds[0] && order?.total === total
        ? []
        : [
            `${customerId} was told of order ${orderIds.join(', ')} for ${total}, but has ${order?.id} for ${order?.total}`,
          ];
    // Unavailable or unanswered says nothing of the outcome.
    const isNone = outcome === 'refused' || outcome === 'unasked';
    return isNone && order ? [`an order of ${customerId} was ${outcome} and is placed`] : [];
  });
  const customers = new Set(placings.map(({ customerId }) => customerId));
  const strange = orders.filter(({ customerId }) => !customers.has(customerId));
  return [...findings, ...strange.map(({ id }) => `nobody wanted order ${id}`)];
}

/** Two that have seen the same version cannot both change it, and a change that was accepted is the next version. */
export function cartsAreSafe({ edits, orderSteps }: Facts): string[] {
  const types = new Set(['ItemAdded', 'ItemRemoved', 'OrderPlaced']);
  const changes = new Set(
    orderSteps.filter(({ type }) => types.has(type)).map(({ orderId, version }) => `version ${version} of ${orderId}`),
  );
  const accepted = Map.groupBy(
    edits.filter(({ outcome }) => outcome === 'accepted'),
    ({ orderId, expected }) => `version ${expected + 1} of ${orderId}`,
  );
  return [...accepted].flatMap(([change, ofVersion]) => [
    ...(ofVersion.length > 1 ? [`${change} was made ${ofVersion.length} times`] : []),
    ...(changes.has(change) ? [] : [`${change} was accepted and is not there`]),
  ]);
}

/** What was accepted stays so, and what was refused was refused with reason. */
export function commandsStand({ commands, orders }: Facts): string[] {
  const statusOf = new Map(orders.map(({ id, status }) => [id, status]));
  const ends: Readonly<Record<string, readonly string[]>> = {
    cancel: ['CANCELLED'],
    finish: ['FINISHED'],
    CANCELLED: ['CANCELLED'],
    COMPLETED: ['COMPLETED', 'FINISHED'],
    FINISHED: ['FINISHED'],
  };
  return commands.flatMap(({ kind, orderId, outcome, actual }) => {
    const told = outcome === 'accepted' ? kind : actual;
    if (told === undefined) return [];
    const status = statusOf.get(orderId) ?? 'gone';
    const lawful = ends[told]?.includes(status) ?? false;
    return lawful ? [] : [`to ${kind} order ${orderId} was ${outcome} (${actual ?? 'done'}), and it is ${status}`];
  });
}

/** The payments that belong to each lawful end of an order that was placed. */
const PAYMENTS_OF: Readonly<Record<string, readonly string[]>> = {
  COMPLETED: ['SUCCEEDED'],
  FINISHED: ['SUCCEEDED'],
  CANCELLED: ['FAILED', 'CANCELLED', 'REFUNDED'],
};

/** Nothing stays on its way: whatever was not decided has expired, and whatever is to go back is back. */
export function ordersAreSettled(facts: Facts): string[] {
  const { orders, paymentRequests, orderSteps } = facts;
  const excused = keysOfExplained(facts, ['order-service', 'payment-service']);
  const requestOf = new Map(paymentRequests.map((request) => [request.orderId, request]));
  const placed = new Set(orderSteps.filter(({ type }) => type === 'OrderPlaced').map(({ orderId }) => orderId));
  return orders.flatMap(({ id, status, payment }) => {
    const request = requestOf.get(id);
    if (!placed.has(id)) return request || payment ? [`order ${id} was never placed and has a payment`] : [];
    if (excused.has(id)) return [];
    const lawful = PAYMENTS_OF[status];
    if (lawful === undefined) return [`order ${id} is still ${status}`];
    if (!request || !lawful.includes(request.status))
      return [`order ${id} is ${status}, its payment ${request?.status ?? 'missing'}`];
    return payment?.paymentRequestId === request.id && payment.status === request.status
      ? []
      : [`order ${id} knows of another payment, or another status of it, than there is`];
  });
}

/** Customers hear of every end of their order, at least once. */
export function customersWereTold(facts: Facts): string[] {
  const told = new Set(facts.notices.map(({ type, orderId }) => `${type} of order ${orderId}`));
  const excused = keysOfExplained(facts, ['order-service-notifications']);
  return facts.outbox
    .filter(({ topic, type, key }) => topic === 'order.events' && type !== 'OrderPlaced' && !excused.has(key))
    .map(({ type, key }) => `${type} of order ${key}`)
    .filter((end) => !told.has(end))
    .map((end) => `no customer was told of ${end}`);
}
