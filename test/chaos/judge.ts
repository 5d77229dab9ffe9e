import { type PaymentDecision, type Placing } from './load.js';
import { type LoggedRecord } from './topic-log.js';

/** What was seen from outside: the calls and their answers, the databases and the topics when all was quiet again. */
export interface Facts {
  readonly placings: readonly Pick<Placing, 'customerId' | 'outcome' | 'orderId'>[];
  readonly decisions: readonly PaymentDecision[];
  readonly orders: readonly OrderFact[];
  readonly paymentRequests: readonly PaymentRequestFact[];
  /** Ids of the messages that are in an outbox, published or not. */
  readonly outbox: readonly string[];
  /** In the order of the topics' partitions. */
  readonly records: readonly LoggedRecord[];
  readonly deadLetters: readonly DeadLetter[];
  /** What happened although nobody did it, told in words. */
  readonly complaints: readonly string[];
}

export interface OrderFact {
  readonly id: string;
  readonly customerId: string;
  readonly status: string;
  readonly total: number;
  readonly version: number;
  /** As the order last heard of it. */
  readonly payment: { readonly paymentRequestId: string; readonly status: string } | null;
}

export interface PaymentRequestFact {
  readonly id: string;
  readonly orderId: string;
  readonly customerId: string;
  readonly status: string;
  readonly amount: number;
  readonly version: number;
}

export interface DeadLetter {
  readonly table: string;
  readonly key: string;
  readonly error: string;
}

export interface Verdict {
  readonly check: string;
  /** One line each; none: it holds. */
  readonly findings: readonly string[];
}

/**
 * Where an order, or a payment request, may stand in the end: its version, which tells how many changes it has seen, and the
 * events that it has raised, each with the version as its sequence. Another effect would show in all three.
 */
interface Standing {
  readonly version: number;
  readonly events: Readonly<Record<string, number>>;
}

const ORDER: Readonly<Record<string, Standing>> = {
  PLACED: { version: 1, events: { OrderPlaced: 1 } },
  PAYMENT_PENDING: { version: 2, events: { OrderPlaced: 1 } },
  COMPLETED: { version: 4, events: { OrderPlaced: 1, OrderCompleted: 4 } },
  CANCELLED: { version: 4, events: { OrderPlaced: 1, OrderCancelled: 4 } },
};

const PAYMENT_REQUEST: Readonly<Record<string, Standing>> = {
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

const CHECKS: Readonly<Record<string, (facts: Facts) => string[]>> = {
  'something happened that could have gone wrong': somethingHappened,
  'no accepted order is lost': acceptedOrdersAreThere,
  'no accepted payment result is lost': acceptedResultsAreThere,
  'one payment request an order': onePaymentRequestAnOrder,
  'every order is final or lawfully pending': ordersAreSettled,
  'every event is on its topic, and none that nothing raised': eventsAreOnTopics,
  'no inversion within a key': inversions,
  'no effect twice': effectsHappenedOnce,
  'no dead letter is unexplained': unexplainedDeadLetters,
  'the services went on by themselves': ({ complaints }) => [...complaints],
};

/** The whole verdict: a rule over facts, so that each check is proven to fail by facts that are made up. */
export function judge(facts: Facts): Verdict[] {
  return Object.entries(CHECKS).map(([check, find]) => ({ check, findings: find(facts) }));
}

/** Dead letters that are a process's death in the middle of a message: the design blames a message that was alone in flight. */
export function diedInACrash({ error }: DeadLetter): boolean {
  return /\bcrash/i.test(error);
}

function somethingHappened({ placings, orders, records }: Facts): string[] {
  const findings = [];
  if (!placings.some(({ outcome }) => outcome === 'accepted')) findings.push('no order was accepted');
  for (const status of ['COMPLETED', 'CANCELLED'])
    if (!orders.some((order) => order.status === status)) findings.push(`no order was ${status}`);
  if (records.length === 0) findings.push('no message is on the topics');
  return findings;
}

function acceptedOrdersAreThere({ placings, orders }: Facts): string[] {
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

function acceptedResultsAreThere({ decisions, paymentRequests }: Facts): string[] {
  const statusOf = new Map(paymentRequests.map(({ id, status }) => [id, status]));
  return decisions
    .filter(({ paymentRequestId, status }) => statusOf.get(paymentRequestId) !== status)
    .map(
      ({ paymentRequestId, status }) =>
        `payment request ${paymentRequestId} was accepted as ${status} and is ${statusOf.get(paymentRequestId) ?? 'gone'}`,
    );
}

function onePaymentRequestAnOrder({ orders, paymentRequests, deadLetters }: Facts): string[] {
  const excused = keysOfCrashes(deadLetters);
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

function ordersAreSettled({ orders, paymentRequests, deadLetters }: Facts): string[] {
  const excused = keysOfCrashes(deadLetters);
  const requestOf = new Map(paymentRequests.map((request) => [request.orderId, request]));
  return orders.flatMap(({ id, status, payment }) => {
    if (excused.has(id)) return [];
    const request = requestOf.get(id);
    const lawful = PAYMENT_OF[status];
    if (lawful === undefined) return [`order ${id} is still ${status}`];
    if (request?.status !== lawful) return [`order ${id} is ${status}, its payment ${request?.status ?? 'missing'}`];
    return payment?.paymentRequestId === request.id && payment.status === request.status
      ? []
      : [`order ${id} knows another payment than there is`];
  });
}

/** P1 and P2: the state tells which events there must be. */
function eventsAreOnTopics({ orders, paymentRequests, records, outbox }: Facts): string[] {
  const raised = new Map<string, string>();
  const expect = (topic: string, key: string, events: Standing['events'] = {}) => {
    for (const type of Object.keys(events)) raised.set(`${topic} ${key} ${type}`, `${type} of order ${key}`);
  };
  for (const { id, status } of orders) expect('order.events', id, ORDER[status]?.events);
  for (const { orderId, status } of paymentRequests) expect('payment.events', orderId, PAYMENT_REQUEST[status]?.events);
  const there = new Map(
    records.map(({ topic, key, type }) => [`${topic} ${key} ${type}`, `${type} of order ${key} on ${topic}`]),
  );
  const ids = new Set(records.map(({ id }) => id));
  return [
    ...[...raised].filter(([event]) => !there.has(event)).map(([, name]) => `${name} never reached its topic`),
    ...[...there]
      .filter(([event]) => !raised.has(event))
      .map(([, name]) => `${name} was raised by nothing that is there`),
    ...outbox.filter((id) => !ids.has(id)).map((id) => `message ${id} is in the outbox and not on its topic`),
  ];
}

/** P3: a first occurrence behind the first occurrence of a later message of its key. Duplicates may stand anywhere. */
function inversions({ records }: Facts): string[] {
  return [...Map.groupBy(records, ({ topic, key }) => `${key} on ${topic}`)].flatMap(([name, ofKey]) => {
    const partitions = new Set(ofKey.map(({ partition }) => partition));
    if (partitions.size > 1) return [`the messages of ${name} are spread over ${partitions.size} partitions`];
    const firsts = new Map<string, LoggedRecord>();
    for (const record of ofKey.toSorted((a, b) => a.offset - b.offset))
      if (!firsts.has(record.id)) firsts.set(record.id, record);
    let latest = -Infinity;
    return [...firsts.values()].flatMap(({ sequence, type, partition, offset }) => {
      const isBehind = !(sequence > latest);
      latest = Math.max(latest, sequence);
      return isBehind ? [`${type} of ${name}, at ${partition}/${offset}, is behind a later message`] : [];
    });
  });
}

/** P4: a change made twice raises the version once more, and an event raised twice has two ids. */
function effectsHappenedOnce({ orders, paymentRequests, records }: Facts): string[] {
  const standing = (what: string, id: string, status: string, version: number, lawful: Standing | undefined) =>
    lawful?.version === version ? [] : [`${what} ${id} is ${status} in version ${version}`];
  const sequences: Record<string, number> = {};
  for (const { events } of [...Object.values(ORDER), ...Object.values(PAYMENT_REQUEST)])
    Object.assign(sequences, events);
  const ids = [...Map.groupBy(records, ({ topic, key, type }) => `${type} of order ${key} on ${topic}`)];
  return [
    ...orders.flatMap(({ id, status, version }) => standing('order', id, status, version, ORDER[status])),
    ...paymentRequests.flatMap(({ id, status, version }) =>
      standing('payment request', id, status, version, PAYMENT_REQUEST[status]),
    ),
    ...ids
      .map(([event, same]) => ({ event, count: new Set(same.map(({ id }) => id)).size }))
      .filter(({ count }) => count > 1)
      .map(({ event, count }) => `${event} was raised ${count} times`),
    ...records
      .filter(({ type, sequence }) => sequences[type] !== sequence)
      .map(({ type, key, sequence }) => `${type} of order ${key} has the sequence ${sequence}`),
  ];
}

function unexplainedDeadLetters({ deadLetters }: Facts): string[] {
  return deadLetters
    .filter((letter) => !diedInACrash(letter))
    .map(({ table, key, error }) => `${table} has a dead letter of ${key}: ${error}`);
}

function keysOfCrashes(deadLetters: readonly DeadLetter[]): Set<string> {
  return new Set(deadLetters.filter(diedInACrash).map(({ key }) => key));
}
