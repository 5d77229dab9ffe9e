import { type Facts, nameOf } from './facts.js';
import { keysOfExplained } from './judge-rest.js';

/**
 * Where an order, or a payment request, may stand in the end: its version, which tells how many changes it has seen, and the
 * events that it has raised, each with the version as its sequence. Another effect would show in all three.
 */
interface Standing {
  readonly version: number;
  readonly events: Readonly<Record<string, number>>;
}

export const ORDER: Readonly<Record<string, Standing>> = {
  PLACED: { version: 1, events: { OrderPlaced: 1 } },
  PAYMENT_PENDING: { version: 2, events: { OrderPlaced: 1 } },
  COMPLETED: { version: 4, events: { OrderPlaced: 1, OrderCompleted: 4 } },
  CANCELLED: { version: 4, events: { OrderPlaced: 1, OrderCancelled: 4 } },
};

export const PAYMENT_REQUEST: Readonly<Record<string, Standing>> = {
  PENDING: { version: 1, events: { PaymentRequested: 1 } },
  SUCCEEDED: { version: 2, events: { PaymentRequested: 1, PaymentSucceeded: 2 } },
  FAILED: { version: 2, events: { PaymentRequested: 1, PaymentFailed: 2 } },
};

/** The payment that belongs to each lawful end of an order. */
const PAYMENT_OF: Readonly<Record<string, string>> = {
  PAYMENT_PENDING: 'PENDING',
  COMPLETED: 'SUCCEEDED',
  CANCELLED: 'FAILED',
};

export function acceptedOrdersAreThere({ placings, orders }: Facts): string[] {
  const byCustomer = Map.groupBy(orders, ({ customerId }) => customerId);
  const findings = placings.flatMap(({ customerId, outcome, orderId }) => {
    const theirs = byCustomer.get(customerId) ?? [];
    if (outcome === 'accepted' && !theirs.some(({ id }) => id === orderId))
      return [`order ${orderId} of ${customerId} was accepted and is not there`];
    if (outcome === 'refused' && theirs.length > 0) return [`an order of ${customerId} was refused and is there`];
    // Unavailable or unanswered says nothing of the outcome, but one attempt is one order at most.
    return theirs.length > 1 ? [`${customerId} placed one order and has ${theirs.length}`] : [];
  });
  const customers = new Set(placings.map(({ customerId }) => customerId));
  const strange = orders.filter(({ customerId }) => !customers.has(customerId));
  return [...findings, ...strange.map(({ id }) => `nobody placed order ${id}`)];
}

export function acceptedResultsAreThere({ decisions, paymentRequests }: Facts): string[] {
  const statusOf = new Map(paymentRequests.map(({ id, status }) => [id, status]));
  return decisions
    .filter(({ paymentRequestId, status }) => statusOf.get(paymentRequestId) !== status)
    .map(
      ({ paymentRequestId, status }) =>
        `payment request ${paymentRequestId} was accepted as ${status} and is ${statusOf.get(paymentRequestId) ?? 'gone'}`,
    );
}

export function onePaymentRequestAnOrder(facts: Facts): string[] {
  const { orders, paymentRequests } = facts;
  // What payment-service never heard of it cannot request.
  const excused = keysOfExplained(facts, ['payment-service']);
  const byOrder = Map.groupBy(paymentRequests, ({ orderId }) => orderId);
  const findings = orders.flatMap(({ id, customerId, total }) => {
    const requests = byOrder.get(id) ?? [];
    if (requests.length === 0 && excused.has(id)) return [];
    if (requests.length !== 1) return [`order ${id} has ${requests.length} payment requests`];
    const [request] = requests;
    return request?.amount === total && request.customerId === customerId
      ? []
      : [`the payment request of order ${id} has another amount or customer`];
  });
  const ids = new Set(orders.map(({ id }) => id));
  const strange = paymentRequests.filter(({ orderId }) => !ids.has(orderId));
  return [...findings, ...strange.map(({ id }) => `payment request ${id} belongs to no order`)];
}

/** Pending is lawful only where no operator was ever going to decide. */
export function ordersAreSettled(facts: Facts): string[] {
  const { orders, paymentRequests, setAside } = facts;
  const excused = keysOfExplained(facts, ['order-service', 'payment-service']);
  const requestOf = new Map(paymentRequests.map((request) => [request.orderId, request]));
  return orders.flatMap(({ id, status, payment }) => {
    if (excused.has(id)) return [];
    const request = requestOf.get(id);
    const lawful = PAYMENT_OF[status];
    if (lawful === undefined) return [`order ${id} is still ${status}`];
    if (request?.status !== lawful) return [`order ${id} is ${status}, its payment ${request?.status ?? 'missing'}`];
    if (lawful === 'PENDING' && !setAside.has(request.id)) return [`order ${id} is pending, but not set aside`];
    return payment?.paymentRequestId === request.id && payment.status === request.status
      ? []
      : [`order ${id} knows another payment than there is`];
  });
}

/** P4: a change made twice raises the version once more, and an event raised twice has two ids. */
export function effectsHappenedOnce({ orders, paymentRequests, records, outbox }: Facts): string[] {
  const standing = (what: string, id: string, status: string, version: number, lawful: Standing | undefined) =>
    lawful?.version === version ? [] : [`${what} ${id} is ${status} in version ${version}`];
  const sequences: Record<string, number> = {};
  for (const { events } of [...Object.values(ORDER), ...Object.values(PAYMENT_REQUEST)])
    Object.assign(sequences, events);
  return [
    ...orders.flatMap(({ id, status, version }) => standing('order', id, status, version, ORDER[status])),
    ...paymentRequests.flatMap(({ id, status, version }) =>
      standing('payment request', id, status, version, PAYMENT_REQUEST[status]),
    ),
    // Committed or published: a message may be in one of the two only, which is for other checks to find.
    ...[...Map.groupBy([...records, ...outbox], nameOf)]
      .map(([event, same]) => ({ event, count: new Set(same.map(({ id }) => id)).size }))
      .filter(({ count }) => count > 1)
      .map(({ event, count }) => `${event} was raised ${count} times`),
    ...records
      .filter(({ type, sequence }) => sequences[type] !== sequence)
      .map((record) => `${nameOf(record)} has the sequence ${record.sequence}`),
  ];
}
